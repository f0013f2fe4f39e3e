"""Reading of documents, their division into passages, indexing, and search."""
