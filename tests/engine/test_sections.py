"""The section around a passage: whatever the index has cut is put together again."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Block, Document, Form, FoundPassage, Locator, Passage
from bot.core.text import Span
from bot.engine.sections import Section, section_of
from bot.knowledge.loaders import load
from bot.knowledge.passages import split

SPLIT = {
    "list": "\n".join(f"{n}. step number {n} of the way" for n in range(1, 13)),
    "loose list": "\n\n".join(f"- step number {n} of the way\n\n  with more to say" for n in range(1, 13)),
    "one endless item": "- step number 7 " + " ".join(f"word{n}" for n in range(90)) + "\n- end",
    "table": "\n".join(["| a | b |", "|---|---|", *(f"| step | number {n} of |" for n in range(1, 13))]),
    "code": "\n".join(["```", *(f"step = 'number {n} of'  # way\n" for n in range(1, 9)), "```"]),
    "tilde": "\n".join(["~~~~sh", *(f"step number {n} of ```" for n in range(1, 13)), "~~~~"]),
    "indented": "\n".join(f"    step number {n} of the way" for n in range(1, 13)),
    "paragraph": " ".join(f"This is step number {n} of the way." for n in range(1, 13)),
}


def count_words(texts: Sequence[str]) -> list[int]:
    """A fake encoder's tokens: words and marks."""
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


class Index:
    """A document cut into small passages, as a Retriever gives them out."""

    def __init__(self, document: Document, largest: int = 40) -> None:
        self.document = document
        self.stored = split(document, count_words, largest)

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        assert document == self.document.path
        return self.stored[first : last + 1]

    def found(self, position: int) -> FoundPassage:
        document = self.document
        return FoundPassage(document.path, document.title, None, (position, position), self.stored[position])

    def section(self, words: str) -> Section:
        """The section around these words."""
        for position, passage in enumerate(self.stored):
            for place, block in enumerate(passage.blocks):
                if (start := block.text.find(words)) >= 0:
                    return self.section_at(position, place, (start, start + len(words)))
        raise AssertionError(f"{words!r} stands nowhere")

    def section_at(self, position: int, place: int, span: Span) -> Section:
        return asyncio.run(section_of(self, self.found(position), place, span))


def index_of(source: str, path: str = "doc.md", largest: int = 40) -> Index:
    return Index(load(path, source.encode()), largest)


@pytest.mark.parametrize("name", SPLIT)
def test_a_split_block_is_whole_again(name):
    """Form, text, lines and the place of the words are those of the original, to the character."""
    index = index_of(f"# T\n\nSome words before.\n\n{SPLIT[name]}\n\nEnd.")
    section = index.section("number 7 ")
    assert section.blocks == index.document.blocks
    assert (section.block.text, section.block.part) == (SPLIT[name], (0, 1))
    assert section.block.locator.lines == (5, 4 + len(SPLIT[name].split("\n")))
    assert section.block.text[slice(*section.span)] == "number 7 "


def test_a_long_stored_answer_is_whole_again():
    """Its neighbours are other questions' answers."""
    stored = " ".join(f"Sentence number {n} of it." for n in range(1, 20)) + "\n\n- a\n- b"
    section = index_of(f'question,answer\nx,y\nHow?,"{stored}"\nWhy?,So.\n', "faq.csv").section("number 7 ")
    assert [(block.text, block.context) for block in section.blocks] == [(stored, "How?")]
    assert section.block.text[slice(*section.span)] == "number 7 "
    assert section.block.locator.row == 3


def test_a_short_stored_answer_is_a_section_of_its_own():
    """Nothing needs to be fetched for it."""
    section = index_of("question,answer\na,b\nHow?,So.\nWhy?,No.\n", "faq.csv").section("So")
    assert [block.text for block in section.blocks] == ["So."]
    assert (section.position, section.span) == (0, (0, 2))


def test_a_section_ends_with_its_heading():
    """Also where the sections around it are short, and have the same words."""
    index = index_of("# T\n\n## A\n\nSame.\n\n## B\n\nSame.\n\nMore.\n\n## C\n\nSame.\n", largest=5)
    [section] = {
        index.section_at(position, 0, (0, 4)).blocks
        for position, passage in enumerate(index.stored)
        if passage.heading[-1] == "B"
    }
    assert [block.text for block in section] == ["Same.", "More."]


def test_blocks_without_lines_are_told_apart_by_their_heading():
    """A page may hold the same words twice."""
    page = Locator(page=1)
    blocks = tuple(Block(Form.PARAGRAPH, text, (head,), page) for head in "AB" for text in ("Same.", f"Of {head}."))
    section = Index(Document("a.pdf", "T", blocks), 5).section("Of B")
    assert [block.text for block in section.blocks] == ["Same.", "Of B."]
    index = Index(Document("a.pdf", "T", blocks), 20)
    assert [block.text for block in index.section_at(1, 0, (0, 4)).blocks] == ["Same.", "Of B."]


def test_the_right_one_of_two_split_blocks_is_put_combined():
    """Also where both are cut into as many parts."""
    other = SPLIT["list"].replace("way", "other way")
    index = index_of(f"{SPLIT['list']}\n\n<!-- -->\n\n{other}\n\n<!-- -->\n\n{SPLIT['list']}")
    assert index.section("number 7 of the other").block.text == other


def test_the_blocks_of_the_passage_found_are_known_in_the_section():
    """Also where parts of a block are joined, and the passage holds the end of another section."""
    index = index_of(f"## A\n\nFirst.\n\n## B\n\nSecond.\n\n{SPLIT['list']}\n\nLast.")
    for position, passage in enumerate(index.stored):
        for place, block in enumerate(passage.blocks):
            section = index.section_at(position, place, (0, 1))
            first, last = section.found_blocks
            assert first <= section.position <= last
            joined = "\n".join(shown.text for shown in section.blocks[first : last + 1])
            assert all(one.text in joined for one in passage.blocks if one.heading == block.heading)


@pytest.mark.parametrize("stored", [[], index_of("Something else.").stored])
def test_where_the_document_has_changed_the_passage_is_the_section(stored):
    """What was found is still true."""
    index = index_of(f"# T\n\n{SPLIT['list']}")
    found = index.found(1)
    index.stored = stored
    section = asyncio.run(section_of(index, found, 0, (0, 4)))
    assert section == Section(found, found.passage.blocks, 0, (0, 4), (0, len(found.passage.blocks) - 1))


BLOCKS = ["A sentence. And another one.", "Do this:", "> Quoted. Words.\nlazy", *SPLIT.values()]
SOURCES = st.lists(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5), min_size=1, max_size=3).map(
    lambda sections: "\n\n".join(
        f"## Section {number}\n\n" + "\n\n<!-- -->\n\n".join(blocks) for number, blocks in enumerate(sections)
    )
)


@given(SOURCES, st.integers(20, 400), st.data())
def test_any_split_is_put_together_again(source, largest, data):
    """The blocks are the document's own, all of one section in a row; those at the ends may be parts where it is very long.
    The words stand in them where they stood."""
    index = index_of(source, largest=largest)
    position = data.draw(st.integers(0, len(index.stored) - 1))
    passage = index.stored[position]
    place = data.draw(st.integers(0, len(passage.blocks) - 1))
    end = data.draw(st.integers(1, len(passage.blocks[place].text)))
    start = data.draw(st.integers(0, end - 1))
    section = index.section_at(position, place, (start, end))
    assert section.block.text[slice(*section.span)] == passage.blocks[place].text[start:end]
    originals = [block for block in index.document.blocks if block.heading == passage.heading]
    around = [one for one in index.stored if one.heading == passage.heading]
    if len(around) <= 7:
        assert list(section.blocks) == originals
    assert all(block in originals for block in section.blocks[1:-1])
    for block in (section.blocks[0], section.blocks[-1]):
        assert any(block.text in original.text for original in originals)
        first, last = block.locator.lines
        assert block.text.rstrip() in "\n".join(source.split("\n")[first - 1 : last])
