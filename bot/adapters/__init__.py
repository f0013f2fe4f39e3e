"""One module a platform: its events become Questions, Answers become its messages. No models, no storage."""
