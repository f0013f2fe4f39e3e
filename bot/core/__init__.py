"""What every package speaks: messages, documents, errors, settings and operations on text. Imports no other package."""
