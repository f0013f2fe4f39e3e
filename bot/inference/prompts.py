"""Prompts for language models: question, passages and earlier turns as text, in the form that fits the model.

Their wording comes from `templates`.

Documents, questions and turns are data: anything in them that a model could read as part of the prompt is made harmless. A
prompt that is too long loses its oldest turns, then the ends of its passages, the last-ranked first.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.messages import Turn
from bot.inference.templates import Templates, fill


class Style(StrEnum):
    """The form of a prompt."""

    CHAT = "chat"  # system and user messages, for models with a chat template
    DIALOGUE = "dialogue"  # turns, each ended by the end-of-text token, for DialoGPT
    COMPLETION = "completion"  # examples whose pattern the answer continues, for base models
    QUESTION = "question"  # `question: ... context: ...`, for T5 kinds
    SUMMARY = "summary"  # the passages alone, for models that summarise


# The styles that include persona and language.
INSTRUCTED = frozenset({Style.CHAT, Style.COMPLETION})


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage in a prompt: its place (title and headings) and its text."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class PromptContent:
    """The content of a prompt: the question, passages that answer it, best first, and earlier turns, oldest first.

    `persona` and `language` come from the settings. `may_abstain`: the model is to say so where the passages don't answer.
    """

    question: str
    excerpts: tuple[Excerpt, ...]
    turns: tuple[Turn, ...] = ()
    persona: str = ""
    language: str = ""
    may_abstain: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """A text and an order about it, in the form that each kind of model understands.

    `order`: for models that follow instructions. `prefix`: the words before such a text that T5 kinds have learned. `label`:
    the words behind the text that a base model goes on from. Models made for one purpose, such as BART kinds, get the text
    alone.
    """

    text: str
    order: str
    prefix: str = ""
    label: str = ""


Prompt = PromptContent | Instruction | str
"""The input of a model. A plain text is continued as it stands."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    content: str


# --- the forms --------------------------------------------------------------------------------------------------------


def chat(content: PromptContent, templates: Templates) -> list[Message]:
    """Return a system message, the examples and the earlier turns, and a user message with the passages and the question."""
    wording = templates.chat
    documents = "\n\n".join(fill(wording.document, place=one.place, text=one.text) for one in content.excerpts)
    examples = [
        Turn(fill(wording.user, documents=one.documents, question=one.question), one.answer) for one in wording.examples
    ]
    return [
        Message("system", _introduced(wording.system, content, templates)),
        *_messages((*examples, *content.turns)),
        Message("user", fill(wording.user, documents=documents, question=content.question)),
    ]


def without_system(messages: Sequence[Message]) -> list[Message]:
    """Return the messages for a template without a system role: its text goes in front of the first user message."""
    first, second, *others = messages
    return [replace(second, content=f"{first.content}\n\n{second.content}"), *others]


def dialogue(content: PromptContent, end: str, templates: Templates) -> str:
    """Return the earlier turns, and then those of the templates, each ended by the token `end`."""
    earlier = [text for turn in content.turns for text in (turn.question, turn.answer)]
    known = " ".join(excerpt.text for excerpt in content.excerpts)
    own = [fill(turn, documents=known, question=content.question) for turn in templates.dialogue.turns]
    return "".join(f"{_line(text)}{end}" for text in (*earlier, *own) if text.strip())


def completion(content: PromptContent, templates: Templates) -> str:
    """Return examples of text, question and answer, then the question at hand, so that an answer is the likeliest
    continuation."""
    completion = templates.completion
    # An empty line would end the example.
    text = "\n".join(re.sub(r"\n\s*\n", "\n", excerpt.text.strip()) for excerpt in content.excerpts)
    turns = "".join(
        fill(completion.turn, question=_line(turn.question), answer=_line(turn.answer)) for turn in content.turns
    )
    examples = [
        f"{fill(completion.prompt, documents=one.documents, turns='', question=one.question)} {one.answer}"
        for one in completion.examples
    ]
    asked = fill(completion.prompt, documents=text, turns=turns, question=_line(content.question))
    return "\n\n".join(filter(None, (_introduced(completion.introduction, content, templates), *examples, asked)))


def question_and_context(content: PromptContent, templates: Templates) -> str:
    """Return the form in which T5 models have learned questions."""
    context = " ".join(_line(excerpt.text) for excerpt in content.excerpts)
    return fill(templates.question.prompt, documents=context, question=_line(content.question))


def summary(content: PromptContent, templates: Templates) -> str:
    """Return the passages, for a model that summarises."""
    text = "\n".join(excerpt.text for excerpt in content.excerpts)
    return fill(templates.summary.prompt, documents=text, question=_line(content.question))


def instructed(instruction: Instruction) -> list[Message]:
    """Return one user message: small models heed an order beside the text more than one in a system message."""
    return [Message("user", f"{instruction.order}\n\n{instruction.text}")]


def labelled(instruction: Instruction) -> str:
    """Return the text and the label that a base model goes on from. An empty line would end it."""
    text = re.sub(r"\n\s*\n", "\n", instruction.text.strip())
    return f"{text}\n\n{instruction.label}:"


def _messages(turns: Sequence[Turn]) -> list[Message]:
    pairs = ((Message("user", turn.question), Message("assistant", turn.answer)) for turn in turns)
    return [message for pair in pairs for message in pair]


def _introduced(template: str, content: PromptContent, templates: Templates) -> str:
    """Return an introduction, without the gaps that empty values leave."""
    language = fill(templates.language, language=content.language) if content.language else ""
    abstain = templates.abstain if content.may_abstain else ""
    text = fill(template, persona=content.persona, language=language, abstain=abstain)
    return "\n".join(map(_line, text.splitlines())).strip()


def _line(text: str) -> str:
    return " ".join(text.split())


# --- data stays data --------------------------------------------------------------------------------------------------

# Control tokens and labels in the prompts of well-known models and in ours.
_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<\uff5c[^<>\n]{1,40}\uff5c>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\]|<</?SYS>>|"
    r"</?(?:s|bos|eos|pad|unk|mask|think|system|user|assistant|document|documents|start_of_turn|end_of_turn|im_start|im_end)"
    r"\s*/?>",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^(\W*(?:system|user|assistant|human|bot|instructions?|question|answer|context|text|document)[ \t]*):",
    re.IGNORECASE | re.MULTILINE,
)
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")


def harmless(text: str, special_tokens: Sequence[str] = (), stops: Sequence[str] = ()) -> str:
    """Return data that can't be read as part of a prompt.

    Control tokens (also the model's own `special_tokens`), labels such as `Question:` at the start of a line (also those of
    `stops`), and invisible characters are removed or defused.
    """
    text = _INVISIBLE.sub("", text)
    for stop in stops:
        if stop.startswith("\n") and stop.rstrip().endswith(":"):
            label = stop.strip().rstrip(":").rstrip()
            text = re.sub(rf"^(\W*{re.escape(label)}[ \t]*):", r"\1 -", text, flags=re.IGNORECASE | re.MULTILINE)
    for token in special_tokens:
        if len(token.strip()) > 1:
            text = text.replace(token, _opened(token))
    return _LABEL.sub(r"\1 -", _CONTROL.sub(lambda match: _opened(match[0]), text))


def harmless_content(
    content: PromptContent, special_tokens: Sequence[str] = (), stops: Sequence[str] = ()
) -> PromptContent:
    """Return the content with its data made harmless."""

    def clean(text: str) -> str:
        return harmless(text, special_tokens, stops)

    return replace(
        content,
        question=clean(content.question),
        excerpts=tuple(Excerpt(clean(excerpt.place), clean(excerpt.text)) for excerpt in content.excerpts),
        turns=tuple(Turn(clean(turn.question), clean(turn.answer)) for turn in content.turns),
    )


def shortened(text: str, room: int, count: Callable[[str], int]) -> str:
    """Return as much of the beginning of a text as has at most `room` tokens by `count`, up to the end of a word."""
    while text and (size := count(text)) > room:
        text = text[: int(len(text) * min(0.95, room / size))]
        text = text[: max(text.rfind(" "), 0)]
    return text


def _opened(token: str) -> str:
    """Return a control token without its brackets, which makes it plain text."""
    return token.translate(str.maketrans("<>[]|\uff5c", "()()  "))


# --- within the budget ------------------------------------------------------------------------------------------------

_SHORTEST_EXCERPT = 40  # characters; shorter ones say nothing
# Earlier turns help to understand a follow-up, but the passages hold the answer.
_SHARE_OF_TURNS = 0.25


def fitted(content: PromptContent, budget: int, count: Callable[[PromptContent], int]) -> PromptContent:
    """Return the content shortened so that its prompt has at most `budget` tokens, if turns and passages can be spared.

    `count` returns the number of tokens in the prompt of a content. The best passage is shortened last, and never dropped.
    """
    bare = replace(content, turns=())
    without_turns = count(bare)
    turns = content.turns
    while turns and count(replace(bare, turns=turns)) - without_turns > _SHARE_OF_TURNS * budget:
        turns = turns[1:]
    if without_turns > budget:
        turns = ()
    content = replace(content, turns=turns)
    while (surplus := count(content) - budget) > 0:
        shorter = _shortened(content, surplus)
        if shorter == content:
            break
        content = shorter
    return content


def _shortened(content: PromptContent, surplus: int) -> PromptContent:
    """Drop about `surplus` tokens from the end of the last passage, or all of it if little would be left."""
    *others, last = content.excerpts
    keep = max(0, len(last.text) - 3 * surplus - 1)  # an estimate; the caller repeats the call if it was too little
    text = last.text[:keep]
    end = max((text.rfind(mark) for mark in (". ", "! ", "? ", "\n")), default=-1)
    text = text[: end + 1] if end > keep // 2 else text[: max(text.rfind(" "), 0)]
    if len(text) >= _SHORTEST_EXCERPT:
        return replace(content, excerpts=(*others, replace(last, text=text)))
    if others:
        return replace(content, excerpts=tuple(others))
    return replace(content, excerpts=(replace(last, text=last.text[:_SHORTEST_EXCERPT]),))


# --- what comes back --------------------------------------------------------------------------------------------------

_THOUGHT_BEGINS, _THOUGHT_ENDS = "<think>", "</think>"


def without_thinking(prompt: str) -> str:
    """Return the prompt with an empty thought where it ends within one, because a thought takes longer than anybody waits."""
    return f"{prompt.rstrip()}\n\n{_THOUGHT_ENDS}\n\n" if prompt.rstrip().endswith(_THOUGHT_BEGINS) else prompt


def strip_thoughts(text: str) -> str:
    """Return a model's text without its thoughts (`<think> ... </think>`)."""
    begins = text.lstrip()
    if begins.startswith(_THOUGHT_BEGINS):
        return text.partition(_THOUGHT_ENDS)[2].lstrip()
    return "" if begins and _THOUGHT_BEGINS.startswith(begins) else text


def until_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first stop, and whether it has one."""
    positions = [position for stop in stops if (position := text.find(stop)) >= 0]
    return (text[: min(positions)], True) if positions else (text, False)


def certain(text: str, stops: Sequence[str]) -> str:
    """Return the part of an unfinished text that is final: without the beginning of a stop or half a character."""
    text = text.rstrip("\ufffd")
    half = [size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])]
    return text[: len(text) - max(half)] if half else text
