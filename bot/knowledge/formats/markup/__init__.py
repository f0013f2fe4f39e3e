"""Markdown, with what its dialects add, and reStructuredText."""
