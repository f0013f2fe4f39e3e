"""The Prometheus metrics of the process. They are defined here and counted by the modules they are about.

Safe from any thread. Labels come from small fixed sets: never an id, never a text. Metrics that are computed when they are
read (the loop lag, the age of the index, the unfinished questions) are set to a function.
"""

import math
import time
from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from bot import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second metric beside each, with the time of its first count
REGISTRY = CollectorRegistry()
# Memory, processor time and open files of the process; collections of the garbage collector.
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Info("knowledge_bot", "Which version runs.", registry=REGISTRY).info({"version": __version__})

TASKS = Counter("knowledge_bot_tasks", "Tasks, by how they ended.", ["task", "outcome"], registry=REGISTRY)

# --- messages and questions

MESSAGES = Counter(
    "knowledge_bot_messages",
    "Messages that a platform brought, by their outcome.",
    ["platform", "outcome"],
    registry=REGISTRY,
)
ACCEPTED = Counter("knowledge_bot_questions_accepted", "Questions taken in.", ["platform"], registry=REGISTRY)
REFUSED = Counter(
    "knowledge_bot_questions_refused",
    "Questions not taken in, because too many waited (busy) or somebody asked too often (limited).",
    ["platform", "reason"],
    registry=REGISTRY,
)
QUESTIONS = Counter(
    "knowledge_bot_questions",
    "Questions done, by the outcome of their answer, or undelivered.",
    ["platform", "outcome"],
    registry=REGISTRY,
)
STAGES = Histogram(
    "knowledge_bot_stage_seconds",
    "How long the stages of a question took; waited is the time before the first one, total that of the engine.",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)

# --- deliveries

DELIVERY_FAILURES = Counter(
    "knowledge_bot_delivery_failures", "Tries to deliver an answer that failed.", ["platform"], registry=REGISTRY
)
REPEATED = Counter(
    "knowledge_bot_parts_repeated",
    "Parts of answers that were sent again, marked as repeated, because it was in doubt whether they had arrived.",
    registry=REGISTRY,
)
FLOOD_WAITS = Counter(
    "knowledge_bot_flood_waits", "Sendings that waited for a platform's limits.", ["platform"], registry=REGISTRY
)
FLOOD_WAIT_SECONDS = Counter(
    "knowledge_bot_flood_wait_seconds", "How long they waited, added up.", ["platform"], registry=REGISTRY
)

HTTP_REQUESTS = Counter(
    "knowledge_bot_http_requests", "Requests to the HTTP server.", ["route", "status"], registry=REGISTRY
)

# --- generation

TOKENS = Counter(
    "knowledge_bot_tokens",
    "Tokens that a generator has read (prompt) or written (completion).",
    ["kind"],
    registry=REGISTRY,
)
GROUNDING = Counter(
    "knowledge_bot_grounding", "Drafts of a generator, by what became of them.", ["outcome"], registry=REGISTRY
)

# --- the program

RESTARTS = Counter(
    "knowledge_bot_restarts", "How often a component failed and was started again.", ["component"], registry=REGISTRY
)
COMPONENTS = Gauge(
    "knowledge_bot_component_up", "1 where a component does its work, else 0.", ["component"], registry=REGISTRY
)
UNFINISHED = Gauge(
    "knowledge_bot_questions_unfinished", "Accepted questions whose answer is not delivered yet.", registry=REGISTRY
)
LOOP_LAG_NAME = "knowledge_bot_event_loop_lag_seconds"
LOOP_LAG = Gauge(
    LOOP_LAG_NAME,
    "How late the event loop was in the last minutes: in so many of all cases not later than this.",
    ["quantile"],
    registry=REGISTRY,
)
DOCUMENTS = Gauge("knowledge_bot_documents", "Documents in the index.", registry=REGISTRY)
PASSAGES = Gauge("knowledge_bot_passages", "Passages in the index.", registry=REGISTRY)
INDEX_AGE = Gauge(
    "knowledge_bot_index_age_seconds",
    "Seconds since the index was last compared with the documents and brought in step with them.",
    registry=REGISTRY,
)
INDEX_AGE.set(math.nan)  # until it has been compared


def stages_took(milliseconds: Mapping[str, float]) -> None:
    """Observe the durations of one question's stages."""
    for stage, duration in milliseconds.items():
        STAGES.labels(stage).observe(duration / 1000)


def index_is_in_step() -> None:
    """Set the age of the index to zero: it was just compared with the documents and is in step."""
    now = time.monotonic()
    INDEX_AGE.set_function(lambda: time.monotonic() - now)
