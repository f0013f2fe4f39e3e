"""What the metrics say of messages."""

from collections import Counter

from bot.observability import metrics


def outcomes(platform: str) -> Counter[str]:
    """The number of messages of a platform by their outcome, since the process began."""
    [family] = metrics.MESSAGES.collect()
    return Counter(
        {
            sample.labels["outcome"]: int(sample.value)
            for sample in family.samples
            if sample.labels["platform"] == platform
        }
    )
