"""Bring `handbook-questions.jsonl` in step with the handbook: the lines of its places, found by their headings.

    .venv/bin/python benchmarks/handbook_questions.py

Run it after an edit of the handbook that moves headings. The file holds everyday questions over `knowledge/`, for
`knowledge-bot evaluate`. A question has, beside what the command reads (see `knowledge/evaluating.md`):

    places      where a good answer stands: document, heading, and the lines of the section, the heading not counted in;
                in a CSV file the heading is the stored question and the lines are those of its row
    key         short texts of which one stands in every useful answer (all, if `key_all` is true)
    subtype     howto, fact, definition, yesno, troubleshooting, list
    sloppy      whether it is typed carelessly;  `far_words`: whether it shares few words with its answer
"""

import json
import re
from pathlib import Path
from typing import Any

HANDBOOK = Path(__file__).parent.parent / "knowledge"
QUESTIONS = Path(__file__).with_name("handbook-questions.jsonl")


def section(document: str, heading: str) -> tuple[int, int]:
    """The first and the last line with text below a heading, or the row of a stored question. Raises ValueError."""
    lines = (HANDBOOK / document).read_text(encoding="utf-8").splitlines()
    if document.endswith(".csv"):
        row = next((n for n, line in enumerate(lines, 1) if line.lstrip('"').startswith(heading)), None)
        if row is None:
            raise ValueError(f"{document} has no question {heading!r}")
        return row, row
    titles = [n for n, line in enumerate(lines, 1) if re.match(r"#+ ", line)]
    first = next((n for n in titles if lines[n - 1].lstrip("# ") == heading), None)
    if first is None:
        raise ValueError(f"{document} has no heading {heading!r}")
    end = next((n for n in titles if n > first), len(lines) + 1)
    filled = [n for n in range(first + 1, end) if lines[n - 1].strip()]
    return filled[0], filled[-1]


def in_step(question: dict[str, Any]) -> dict[str, Any]:
    """The question with the lines of its places as they are now."""
    places = [
        place | {"lines": list(section(place["doc_id"], place["heading"]))} for place in question.get("places", [])
    ]
    return question | {"places": places}


def main() -> None:
    """Write the lines into the file."""
    questions = [in_step(json.loads(line)) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    QUESTIONS.write_text(
        "".join(f"{json.dumps(question, ensure_ascii=False)}\n" for question in questions), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
