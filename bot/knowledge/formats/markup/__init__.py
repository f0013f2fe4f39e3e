"""Markdown with its dialects, and reStructuredText."""
