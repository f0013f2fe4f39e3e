"""Tasks beside answering: summaries, translations, labels and named entities of documents and messages."""
