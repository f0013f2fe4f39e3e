"""Documents to fine-tune on: things with facts, a document each, whose headings are questions."""

import random
from collections.abc import Mapping
from pathlib import Path

from tests.tiny_models import _FACTS, _THINGS


def catalogue(things: int = 16) -> Mapping[str, str]:
    """So many documents of four questions each. Below a heading stand two sentences, the first of which answers."""
    chance = random.Random(5)
    files = {}
    for thing in _THINGS[:things]:
        facts = [(text.format(thing=thing, number=chance.randint(2, 99)), question) for text, question in _FACTS]
        sections = [
            f"## {question.format(thing=thing)}\n\n{text} {facts[(number + 1) % len(facts)][0]}\n"
            for number, (text, question) in enumerate(facts)
        ]
        files[f"{thing}.md"] = f"# The {thing}\n\n" + "\n".join(sections)
    return files


def write_catalogue(folder: Path, things: int = 16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in catalogue(things).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
