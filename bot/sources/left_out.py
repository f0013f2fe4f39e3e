"""Notes on the pages or files that a fetch leaves out, by reason, each with the first example."""

from collections import Counter
from dataclasses import dataclass, field

from bot.core.text import counted


@dataclass(slots=True)
class LeftOut:
    """Counts pages or files by the reason why they were left out. `unit` is the name of one, such as page."""

    unit: str
    _counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count one for a reason, which completes a sentence: `left out (too large)`."""
        self._counts[reason] += 1
        self._examples.setdefault(reason, example)

    def notes(self) -> list[str]:
        """Return a sentence for each reason: `3 pages left out (HTTP 404): https://example.org/a`."""
        return [
            f"{counted(count, self.unit)} {reason}: {self._examples[reason]}" for reason, count in self._counts.items()
        ]
