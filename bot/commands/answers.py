"""Commands about answers: their explanation, the questions that the documents don't answer, and the feedback of users."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import ConfigOption, JsonOption, console, print_json, printable, settings_of, with_application

if TYPE_CHECKING:
    from bot.engine.explain import Explanation
    from bot.engine.gaps import Gap
    from bot.runtime.application import Application
    from bot.storage.base import Feedback

_OTHER_WORDS = 3  # in which a gap was asked about, too


def explain(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show why a question is answered or not: the passages found, how they were read, and the setting that decided."""

    async def show(application: "Application") -> None:
        from bot.runtime.application import administration_of

        explanation = await administration_of(application).explain(printable(text))
        if as_json:
            print_json(explanation.to_json())
        else:
            _print_explanation(explanation)

    with_application(settings_of(config), show)


def _print_explanation(explanation: "Explanation") -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.adapters.layout import source_line
    from bot.adapters.screen import shown
    from bot.core.text import safe

    screen = console()
    for text, weight in explanation.variants:
        screen.print(Text(f"Searched for ({weight:.0%}): {safe(text)}"))
    if explanation.candidates:
        scores = ("confidence", "relevance", "lead", "search", "meaning")
        table = Table(*scores, "best words", "where", title="What was read")
        for candidate in explanation.candidates:
            table.add_row(
                f"{candidate.confidence:.2f}",
                f"{candidate.relevance:+.1f}",
                f"{candidate.lead:+.2f}",
                f"{candidate.retrieval:.2f}",
                f"{candidate.cosine:.2f}",
                Text(safe(candidate.citation.quote)),
                Text(source_line(candidate.citation)),
            )
        screen.print(table)
    if explanation.unread:
        screen.print(Text(f"Found but not read: {safe(', '.join(explanation.unread))}", style="dim"))
    for sentence in explanation.advice:
        screen.print(Text(sentence, style="bold"))
    screen.print(shown(explanation.pieces))


def gaps(
    count: Annotated[int, typer.Option("-k", min=1, help="How many, those asked most often first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the questions that the documents don't answer, grouped by meaning."""

    async def show(application: "Application") -> None:
        from bot.runtime.application import administration_of

        found = (await administration_of(application).gaps())[:count]
        if as_json:
            print_json([gap.to_json() for gap in found])
        else:
            print_gaps(found)

    with_application(settings_of(config), show, fresh=False)


def print_gaps(found: "Sequence[Gap]") -> None:
    from datetime import datetime

    from rich.text import Text

    from bot.core.text import counted, safe

    screen = console()
    for gap in found:
        last = datetime.fromtimestamp(gap.last_at).astimezone().strftime("%Y-%m-%d")
        summary = f"{counted(len(gap.questions), 'time')}  last {last}  best confidence {gap.confidence:.2f}"
        screen.print(Text(summary, style="dim"))
        latest, *others = dict.fromkeys(gap.questions)  # the same words count, but are shown once
        screen.print_indented(Text(safe(latest), style="bold"))
        for text in others[:_OTHER_WORDS]:
            screen.print_indented(Text(f"also: {safe(text)}"))
        for document in gap.nearest:
            screen.print(Text(f"  {safe(document)}", style="cyan"), soft_wrap=True)  # a path that can be copied
    if not found:
        screen.print("Nothing was declined.")


def feedback(
    count: Annotated[int, typer.Option("-k", min=1, help="How many, the latest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the ratings of answers, with their reasons."""

    async def show(application: "Application") -> None:
        given = await application.stores.journal.answers.feedback(count)
        if as_json:
            print_json([one.to_json() for one in given])
        else:
            print_feedback(given)

    with_application(settings_of(config), show, fresh=False)


def print_feedback(given: "Sequence[Feedback]") -> None:
    from rich.table import Table

    from bot.core.text import safe

    table = Table("reference", "helpful", "reason", "question", box=None, pad_edge=False, header_style="bold")
    for one in given:
        question = one.stored.question.text if one.stored else "(erased)"
        table.add_row(one.reference, "yes" if one.helpful else "no", safe(one.reason), safe(question))
    console().print(table if given else "There is no feedback yet.")
