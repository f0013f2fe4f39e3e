"""Questions in other words: by a model where it is of use, else by rules."""

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pytest

from bot.core.errors import GenerationFailed
from bot.core.text import stems
from bot.evaluation.own_questions import OwnQuestion, QuestionSource
from bot.evaluation.rewording import by_rules, reworded
from bot.inference.prompts import PromptContent


def question(subject: str, title: str = "Handbook", *, is_plain: bool = True) -> OwnQuestion:
    text = subject if subject.endswith("?") else f"{subject} ({title})"
    return OwnQuestion(
        text, subject, title, "Boilers are kept in the cellar.", (QuestionSource("a.md", (subject,)),), is_plain
    )


class Scripted:
    """A generator that writes one line after the other, or raises or waits where a line says so."""

    name = "scripted"
    description: Mapping[str, object] = {}

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.prompts: list[PromptContent | str] = []

    async def stream(self, prompt: PromptContent | str) -> AsyncGenerator[str, None]:
        self.prompts.append(prompt)
        line = self._lines.pop(0)
        if line == "fail":
            raise GenerationFailed("it fails")
        if line == "wait":
            await asyncio.sleep(60)
        for word in line.split(" "):
            yield f"{word} "
        yield "\nText: and so on\n"
        raise AssertionError("nobody reads beyond the line")

    async def close(self) -> None: ...


# --- by rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "short"),
    [
        ("How do I install the boiler?", "set up boiler"),
        ("Deleting a reader's card", "removing reader's card"),
        ("Why is there an error?", "why problem"),
        ("Which files are not read?", "files not read"),
        ("Configuring the `heat-pump` P-400", "changing heat-pump p-400"),
    ],
)
def test_rules_shorten_and_put_everyday_words(subject, short):
    """In lower case; words that a question turns on, and codes, are kept."""
    assert by_rules(question(subject, title="")) == short


def test_the_title_is_left_out_half_of_the_time():
    """The same questions each time; never where two documents have the heading."""
    subjects = [f"Boiler {number}" for number in range(100)]
    texts = [by_rules(question(subject)) for subject in subjects]
    assert 30 < sum("handbook" in text for text in texts) < 70
    assert texts == [by_rules(question(subject)) for subject in subjects]
    assert all("handbook" in by_rules(question(subject, is_plain=False)) for subject in subjects)


def test_a_title_is_a_name_that_stays():
    """Though its words have others that are more everyday."""
    assert by_rules(question("Error", "Installation", is_plain=False)) == "problem installation"


def test_a_question_of_words_without_meaning_is_kept():
    assert by_rules(question("What is it?", title="")) == "what is it?"


# --- by a model -------------------------------------------------------------------------------------------------------


async def test_a_model_rewords_with_the_section_before_it():
    """Its first line counts, without the label that it may repeat."""
    generator = Scripted("In other words: in which room do boilers stand?")
    texts, by_model = await reworded([question("Storage")], generator, 10)
    assert (texts, by_model) == (["in which room do boilers stand?"], 1)
    [prompt] = generator.prompts
    assert "Text: Boilers are kept in the cellar.\nQuestion: Storage (Handbook)\n" in str(prompt)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Storage (Handbook)",
        "how long are old copies kept?",
        "Question: where are boilers?",
        "who won the cup?",
        "boilers",
        "boilers " * 31,
    ],
)
async def test_a_rewording_that_is_of_no_use_falls_back_to_the_rules(line):
    """Empty, the same, copied from the prompt, about something else, too short or too long."""
    asked = question("Storage")
    assert await reworded([asked], Scripted(line), 10) == ([by_rules(asked)], 0)


async def test_a_code_that_is_lost_falls_back_to_the_rules():
    """Another code would be another question."""
    asked = question("Boiler P-400")
    assert await reworded([asked], Scripted("where does boiler P-300 stand?"), 10) == ([by_rules(asked)], 0)


@pytest.mark.parametrize("trouble", ["fail", "wait"])
async def test_a_model_that_fails_is_not_asked_again(trouble):
    """The rules take over for the rest."""
    generator = Scripted("in which room do boilers stand?", trouble)
    asked = [question("Storage"), question("Boilers"), question("Cellar")]
    texts, by_model = await reworded(asked, generator, 0.2)
    assert (texts[0], by_model) == ("in which room do boilers stand?", 1)
    assert texts[1:] == [by_rules(one) for one in asked[1:]]
    assert len(generator.prompts) == 2


def test_the_rules_keep_some_words_of_what_they_reword():
    """Or nothing could be found."""
    asked = question("How do I delete a boiler?", title="")
    assert stems(by_rules(asked)) & stems(asked.text)
