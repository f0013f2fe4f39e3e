"""What the bot says in the same words on every platform. All of it is plain text, without the markup of a platform."""

from collections.abc import Mapping

from bot.core.messages import Policy, Stage, Update
from bot.core.text import counted, safe
from bot.storage.base import FileReport, Forgotten

# Shown with an answer that comes very late.
LATE = "This took a while: I was away when you asked."
OUR_FAULT = "Something went wrong on our side. Please try again, or tell the operator."
NOT_KEPT = "This answer isn't kept any more."
NO_GAPS = "Nothing was declined."
MOST_GAPS = 20  # in one list
# By the words that operators choose from; None: as in other chats.
POLICIES: Mapping[str, Policy | None] = {**{policy.value: policy for policy in Policy}, "default": None}
_STAGES = {
    Stage.STARTING: "I have just been started and am getting ready…",  # until the models and the index are loaded
    Stage.QUEUED: "Number {text} in the line…",
    Stage.SEARCHING: "Searching the documents…",
    Stage.READING: "Reading what was found…",
    Stage.WRITING: "Writing…\n{text}",
}
_LABELS = {
    "yes": ("👍", "Helpful"),
    "no": ("👎", "Not helpful"),
    "source": ("📄", "Show the passage"),
    "more": ("➕", "More"),
    "share": ("📣", "Share"),
}
_LABELS_BELOW_SUGGESTIONS = _LABELS | {"yes": ("👍", "That's it"), "no": ("👎", "No")}


def progress_text(update: Update) -> str:
    """Return the progress of a question as text."""
    return _STAGES[update.stage].format(text=safe(update.text)).rstrip()


def button_labels(*, suggested: bool) -> Mapping[str, tuple[str, str]]:
    """Return (emoji, words) of the buttons `yes`, `no`, `source`, `more` and `share` below an answer or a suggestion."""
    return _LABELS_BELOW_SUGGESTIONS if suggested else _LABELS


def file_line(file: FileReport) -> str:
    """Return what became of a document, as `guide.md: 3 passages (remark; remark)`."""
    remarks = "; ".join(filter(None, (file.problem, *file.warnings)))
    passages = "not read" if file.problem else counted(file.passages, "passage")
    return safe(f"{file.path}: {passages}" + (f" ({remarks})" if remarks else ""))


def erased_text(forgotten: Forgotten) -> str:
    """Return a sentence on what was erased of a person, and one on what was not."""
    questions = counted(forgotten.questions, "question with its answer", "questions with their answers")
    turns = counted(forgotten.turns, "conversation turn")
    feedback = counted(forgotten.feedback, "piece of feedback", "pieces of feedback")
    return (
        f"Erased: {questions}, {turns}, {feedback}. "
        "Backups that the operator made earlier hold it until they are deleted."
    )
