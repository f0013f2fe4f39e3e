"""The border between text and the terminal: text of documents, users and errors is shown as it stands and drives nothing."""

import json
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markdown import Markdown
from rich.segment import Segment
from rich.text import Text

from bot.core.markup import Markup, Piece
from bot.core.text import UNSAFE, safe


class Screen(Console):
    """A rich console that takes no text for markup.

    `[red]` and `:smile:` are shown as they stand, wherever they are: in a line, a rule, a cell or a title. Styles are given by
    `Text` or by the parameter `style`. No text reaches the terminal with control characters, invisible characters or as a
    clickable link, which could hide where it leads.
    """

    def __init__(
        self,
        *,
        file: IO[str] | None = None,
        stderr: bool = False,
        width: int | None = None,
        force_terminal: bool | None = None,
    ) -> None:
        super().__init__(
            file=file,
            stderr=stderr,
            width=width,
            force_terminal=force_terminal,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def print_indented(self, text: Text) -> None:
        """Print a text two columns further right. Unlike `rich.padding`, it fills no line with spaces up to its end."""
        for line in text.wrap(self, self.width - 2):
            line.rstrip()
            self.print(Text.assemble("  ", line), soft_wrap=True)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else _harmless(segment)


def _harmless(segment: Segment) -> Segment:
    style = segment.style
    return Segment(safe(segment.text), style.update_link(None) if style is not None and style.link else style)


def markdown(text: str) -> Markdown:
    """Render Markdown of a document or a user; each link is followed by its address."""
    return Markdown(safe(text), hyperlinks=False)


def shown(pieces: Iterable[Piece]) -> RenderableType:
    """Return the text that pieces make up, each by its markup, with an empty line between two."""
    parts: list[RenderableType] = []
    for piece in pieces:
        parts += [Text(), _piece(piece)] if parts else [_piece(piece)]
    return Group(*parts)


def _piece(piece: Piece) -> RenderableType:
    if piece.markup is Markup.MARKDOWN:
        return markdown(piece.text)
    text = Text()
    for run, bold, code in piece.runs:
        text.append(safe(run), style="bold" if bold else "cyan" if code else None)
    return text


def json_line(data: object) -> str:
    """Return data as JSON in one line. Characters that are unsafe to print are escaped, which changes no parsed value."""
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(data, ensure_ascii=False))
