"""Numbers with their nouns."""


def counted(count: int, noun: str) -> str:
    """`1 passage`, `2 passages`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
