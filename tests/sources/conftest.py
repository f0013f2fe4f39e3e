from tests.knowledge.formats.exports.exporting import fetcher, texts

__all__ = ["fetcher", "texts"]
