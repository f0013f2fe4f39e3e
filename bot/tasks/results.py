"""The results of tasks, as text for people and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.core.text import counted
from bot.inference.pipelines import Entity, Label
from bot.tasks.summaries import Summary

_MOST_LABELS = 5
# Classes that are less likely say nothing.
_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a task for a text.

    `model` is the id of the model, or the name of its folder, "" where the text speaks in its own words. `text` is for people,
    without markup; `details` are the same in parts, of JSON types.
    """

    task: str
    model: str
    text: str
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def summary_result(summary: Summary, model: str, title: str) -> TaskResult:
    """Build the result of a summary. `model`: the model that was asked, empty if none was."""
    written = any(not sentence.quoted for sentence in summary.sentences)
    lines = [title] if title else []
    lines += [f"• {one.text}" + (f" ({one.place})" if one.place else "") for one in summary.sentences]
    note = _note(summary, model, written=written)
    details = {"sentences": [asdict(one) for one in summary.sentences], "dropped": summary.dropped}
    return TaskResult("summarise", model if written else "", "\n".join(filter(None, (*lines, note))), details)


def _note(summary: Summary, model: str, *, written: bool) -> str:
    """Return a remark for the reader on a summary for which a model was asked; empty if there is none."""
    if not model:
        return ""
    if not written:
        return "These are sentences of the text: what the model wrote had no support there, or it took too long."
    dropped = counted(summary.dropped, "sentence of the model that has", "sentences of the model that have")
    return f"Left out: {dropped} no support in the text." if summary.dropped else ""


def translation_result(text: str, model: str) -> TaskResult:
    """Build the result of a translation."""
    return TaskResult("translate", model, f"{text}\nTranslated by {model}, unchecked.", {"translation": text})


def labels_result(task: str, model: str, found: Sequence[Label] | Sequence[Entity]) -> TaskResult:
    """Build the result of a task that finds classes or names. The text leaves out improbable classes."""
    labels, entities = _labels(found), _entities(found)
    if labels:
        likely = [label for label in labels if label.score >= _LEAST][:_MOST_LABELS] or labels[:1]
        text = "\n".join(f"{label.name}: {label.score:.0%}" for label in likely)
        return TaskResult(task, model, text, {"labels": [asdict(label) for label in labels]})
    text = _listed(entities) or "There are no names in this text."
    return TaskResult(task, model, text, {"entities": [asdict(entity) for entity in entities]})


def survey_result(task: str, model: str, found: Sequence[Sequence[Label] | Sequence[Entity]]) -> TaskResult:
    """Build the result for several texts: the likeliest class of each, counted, and the names in all of them."""
    counts = Counter(labels[0].name for labels in map(_labels, found) if labels)
    entities = [entity for of_text in found for entity in _entities(of_text)]
    lines = [f"{name}: {count} of {len(found)}" for name, count in counts.most_common()]
    details = {"texts": len(found), "counts": dict(counts.most_common()), "entities": _counted(entities)}
    return TaskResult(
        task, model, "\n".join(lines) or _listed(entities) or "There are no names in these texts.", details
    )


def _labels(found: Sequence[Label] | Sequence[Entity]) -> list[Label]:
    return [one for one in found if isinstance(one, Label)]


def _entities(found: Sequence[Label] | Sequence[Entity]) -> list[Entity]:
    return [one for one in found if isinstance(one, Entity)]


def _counted(entities: Sequence[Entity]) -> dict[str, dict[str, int]]:
    """Count each name by kind, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for entity in entities:
        counts.setdefault(entity.kind, Counter())[entity.text] += 1
    return {kind: dict(names.most_common()) for kind, names in sorted(counts.items())}


def _listed(entities: Sequence[Entity]) -> str:
    return "\n".join(
        f"{kind}: " + ", ".join(name if count == 1 else f"{name} ({count})" for name, count in names.items())
        for kind, names in _counted(entities).items()
    )
