"""knowledge-bot: answers questions from the operator's own documents, in their own words."""

__version__ = "0.1.0"
