"""The metrics for a monitoring system."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot import __version__
from bot.observability import metrics


def scraped() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by its name and labels, as Prometheus reads it."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_stages_are_counted_in_seconds():
    """They are measured in milliseconds; Prometheus's unit is the second."""
    name, labels = "knowledge_bot_stage_seconds", (("stage", "test"),)
    metrics.stages_took({"test": 20.0})
    metrics.stages_took({"test": 700.0})
    samples = scraped()
    assert samples[f"{name}_count", labels] == 2
    assert abs(samples[f"{name}_sum", labels] - 0.72) < 1e-9
    assert samples[f"{name}_bucket", (("le", "0.025"), *labels)] == 1


def test_the_age_of_the_index_counts_from_the_last_comparison(monkeypatch):
    """It grows while nobody compares, which is what an alert is for."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    metrics.index_is_in_step()
    now = 1042.0
    assert scraped()["knowledge_bot_index_age_seconds", ()] == 42
    metrics.index_is_in_step()
    assert scraped()["knowledge_bot_index_age_seconds", ()] == 0


def test_version_and_memory_are_among_the_figures():
    """Of the process that is asked."""
    samples = scraped()
    assert samples["knowledge_bot_info", (("version", __version__),)] == 1
    assert samples["process_resident_memory_bytes", ()] > 1e6
