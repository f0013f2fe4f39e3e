"""The common ground of all packages: messages, documents, errors, settings and operations on text. Imports no other package."""
