"""The terminal adapter against a real pseudo-terminal and real pipes, with an engine whose answers can be predicted."""

import asyncio
import io
import re
import sys
from dataclasses import replace

import pytest

from bot.adapters.screen import Screen
from bot.adapters.terminal import TerminalAdapter
from bot.core.errors import EngineBusy
from bot.core.messages import Address, Answer, Citation, Outcome, Question, Sending, Stage, Update
from bot.engine.qa import UNSURE

CITATION = Citation("a.md", "Guide", ("Water",), (3, 4), None, None, "Use soft water.", "https://example.org/a.md")


class StraightDelivery:
    """A Delivery that sends at once."""

    def __init__(self, repeated: bool = False) -> None:
        self.repeated = repeated

    async def send_part(self, _part, send):
        return await send(Sending(self.repeated))


def answer_to(question: Question) -> Answer:
    return Answer(Outcome.ANSWERED, f"You said **{question.text}**.", "ref", citations=(CITATION,), retrieved=("a.md",))


class Desk:
    """Takes questions from the adapter and answers each at once, or refuses it."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.adapter: TerminalAdapter | None = None
        self.busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, question: Question) -> bool:
        if self.busy:
            raise EngineBusy(7)
        self.questions.append(question)
        task = asyncio.create_task(self._answer(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, question: Question) -> None:
        await self.adapter.progress(question.address, Update(Stage.READING))
        await self.adapter.deliver(question.address, answer_to(question), StraightDelivery())


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def screen():
    return io.StringIO()


@pytest.fixture
def adapter_on(desk, screen, tmp_path, monkeypatch):
    """Make the adapter on a given standard input."""

    def make(stdin) -> TerminalAdapter:
        monkeypatch.setattr(sys, "stdin", stdin)
        console = Screen(file=screen, width=100)
        desk.adapter = TerminalAdapter(
            desk.accept, history=tmp_path / "data" / "history", greeting="Hi.", console=console
        )
        return desk.adapter

    return make


async def piped(adapter_on, lines: str) -> None:
    await asyncio.wait_for(adapter_on(io.StringIO(lines)).run(), 10)


async def test_every_line_of_a_pipe_is_a_question_and_is_answered(adapter_on, desk, screen):
    """In order, blank lines passed over, each with its source."""
    await piped(adapter_on, "one\n\n  two  \nthree")
    assert [question.text for question in desk.questions] == ["one", "two", "three"]
    text = screen.getvalue()
    assert re.findall(r"> (\w+)", text) == ["one", "two", "three"]
    assert text.count("— Guide › Water (a.md, lines 3-4)") == 3
    assert "https://example.org/a.md" in text


async def test_questions_share_a_conversation_until_a_new_one_is_begun(adapter_on, desk):
    """And every message has an id of its own."""
    await piped(adapter_on, "one\ntwo\n/new\nthree\n")
    one, two, three = desk.questions
    assert one.conversation == two.conversation != three.conversation
    assert len({question.address.message for question in desk.questions}) == 3


async def test_commands_are_carried_out_not_asked(adapter_on, desk, screen):
    """An unknown one is told, with where to find the others; quitting ends the reading."""
    await piped(adapter_on, "/help\n/nonsense\n/sources\n/quit\nnever read\n")
    assert desk.questions == []
    text = screen.getvalue()
    assert "/sources shows the exact words" in text
    assert "There is no command /nonsense; /help lists them." in text
    assert "Nothing has been answered yet." in text


@pytest.mark.parametrize("word", ["quit", "exit", "Exit"])
async def test_what_leaves_other_programs_leaves_the_chat(adapter_on, desk, word):
    """And is no question; inside of one it is a word like others."""
    await piped(adapter_on, f"how do I {word}?\n{word}\nnever read\n")
    assert [question.text for question in desk.questions] == [f"how do I {word}?"]


async def test_sources_show_the_words_behind_the_last_answer(adapter_on, screen):
    """The quote, the documents found and the confidence."""
    adapter = adapter_on(io.StringIO(""))
    await adapter.deliver(
        Address("terminal", "terminal", "x", {"question": "q"}), answer_to_text("q"), StraightDelivery()
    )
    adapter._command("/sources")
    assert "Use soft water." in screen.getvalue()
    assert "Documents found: a.md. Confidence 0.00." in screen.getvalue()


async def test_a_suggestion_is_printed_with_its_source_and_the_rest_on_request(adapter_on, screen):
    """Like an answer."""
    adapter = adapter_on(io.StringIO(""))
    unsure = replace(answer_to_text("x"), outcome=Outcome.SUGGESTED, text=f"{UNSURE}\n\nUse **soft** water.")
    address = Address("terminal", "terminal", "x", {"question": "q"})
    await adapter.deliver(address, replace(unsure, more="1. **Rinse** it."), StraightDelivery())
    assert re.search(
        r"I'm not sure this is it:\s+Use soft water.\s+— Guide › Water \(a.md, lines 3-4\)", screen.getvalue()
    )
    assert "Rinse" not in screen.getvalue()
    adapter._command("/sources")
    assert re.search(r"Use soft water\.\s+More of the same section ─+\s+1 Rinse it\.", screen.getvalue())
    await adapter.deliver(replace(address, message="y"), unsure, StraightDelivery())
    adapter._command("/sources")
    assert screen.getvalue().count("More of the same section") == 1


def answer_to_text(text: str) -> Answer:
    return answer_to(Question(text, "c", "a", Address("t", "c", "m"), None))


async def test_a_refusal_is_shown_and_the_next_question_may_be_asked(adapter_on, desk, screen):
    """Busy is told politely."""
    desk.busy = True
    await piped(adapter_on, "one\ntwo\n")
    assert screen.getvalue().count("7 questions are waiting already. Please ask again in a moment.") == 2


async def test_an_answer_of_an_earlier_run_names_its_question(adapter_on, screen):
    """After a restart nobody remembers what was asked; a repeated one says so."""
    adapter = adapter_on(io.StringIO(""))
    address = Address("terminal", "terminal", "earlier", {"question": "what was it?"})
    await adapter.deliver(address, answer_to_text("x"), StraightDelivery(repeated=True))
    assert "> what was it?" in screen.getvalue()
    assert "shown again" in screen.getvalue()


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_documents_can_not_drive_the_terminal(adapter_on, screen, outcome):
    """Escape sequences and text that runs backwards are shown without their effect."""
    evil = "\x1b[2J\x1b]0;title\x07 red\u202etxt [bold]markup[/bold]"
    citation = Citation("\x1b[2J.md", evil, (evil,), None, None, None, evil, evil)
    adapter = adapter_on(io.StringIO(""))
    address = Address("terminal", "terminal", "m", {"question": evil})
    await adapter.deliver(
        address, Answer(outcome, evil, "ref", citations=(citation,), retrieved=(evil,)), StraightDelivery()
    )
    adapter._command("/sources")
    assert "\x1b" not in screen.getvalue()
    assert "\u202e" not in screen.getvalue()
    assert "[bold]markup[/bold]" in screen.getvalue()
