"""What the loaders read, in the words of a test; and a guide with every form of block."""

import pytest

from bot.core.documents import Block, Document, Form
from bot.core.errors import DocumentError
from bot.knowledge.loaders import load

GUIDE = """# Bread guide

Bread is made of flour, water and salt. It needs time, a hot oven, and the patience of the person who bakes it every day.

## Dough

These are the steps:

1. Mix the flour with the water.
2. Knead the dough for ten minutes, until it is smooth and doesn't stick to the hands any more when it is touched.
3. Let it rest.

### Temperatures

| Bread | Temperature | Time |
| --- | --- | --- |
| Rye | 250 degrees | 50 minutes |
| Wheat | 230 degrees | 35 minutes |

Run this:

```
def bake():
    oven.heat(250)

    return bread
```

## Storing

Things to keep it in:

- A paper bag
- A pot of clay
- A linen cloth
"""
TABLE = (
    "| Bread | Temperature | Time |\n| --- | --- | --- |\n| Rye | 250 degrees | 50 minutes |\n"
    "| Wheat | 230 degrees | 35 minutes |"
)
STEPS = (
    "1. Mix the flour with the water.\n2. Knead the dough for ten minutes, until it is smooth and doesn't stick to the hands "
    "any more when it is touched.\n3. Let it rest."
)


def read(path: str, text: str | bytes) -> Document:
    return load(path, text.encode() if isinstance(text, str) else text)


def markdown(*lines: str) -> Document:
    return read("guide.md", "\n".join(lines))


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


def shown(document: Document) -> list[tuple[str, str]]:
    """The text of each block behind its headings."""
    return [(" › ".join(block.heading), block.text) for block in document.blocks]


def forms(document: Document) -> list[tuple[Form, tuple[str, ...]]]:
    return [(block.form, block.heading) for block in document.blocks]


def told(blocks: list[Block]) -> list[tuple[str, str, str, int | None]]:
    return [(" > ".join(block.heading), block.context, block.text, block.locator.row) for block in blocks]


def only(document: Document) -> Block:
    [block] = document.blocks
    return block


def pairs(document: Document) -> list[tuple[int | None, str, str]]:
    assert all(block.form is Form.PAIR and block.locator.lines is None for block in document.blocks)
    return [(block.locator.row, block.context, block.text) for block in document.blocks]


def refusal(path: str, content: str | bytes) -> str:
    with pytest.raises(DocumentError) as raised:
        read(path, content)
    return str(raised.value)


def assert_lines_are_right(document: Document, text: str) -> None:
    """The lines that a block names are its text; a heading that is a block is without its marks."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for block in document.blocks:
        assert block.locator.lines is not None
        first, last = block.locator.lines
        written = "\n".join(lines[first - 1 : last])
        assert block.text == written or block.text in written.strip("# \t")
