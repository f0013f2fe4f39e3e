"""One package a platform: its events become Questions, Answers become its messages. They run no models and open no database."""
