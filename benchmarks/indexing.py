"""How fast documents are indexed, against the bare model and against sentence-transformers as it comes.

    python benchmarks/indexing.py [--passages 400] [--rounds 3] [--folder knowledge]

The same passages in the same run, the three ways in turn: processors differ and machines are noisy, so read the ratios.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from bot.core.documents import Block, Document, Form, embedded_text
from bot.core.settings import LogSettings, Settings
from bot.inference.encoder import AnyEncoder
from bot.inference.weights import find_weights
from bot.inference.workers import AsyncEncoder, InferenceWorker, Models
from bot.knowledge.indexer import Indexer
from bot.knowledge.loaders import LOADERS, load
from bot.knowledge.passages import split
from bot.observability.logs import configure_logging
from bot.runtime.loading import load_models
from bot.storage.sqlite.knowledge import SqliteKnowledge

RAW_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=400, help="how many passages to index")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed; the median counts")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "knowledge")
    options = parser.parse_args()
    configure_logging(LogSettings(), quiet=True)

    settings = Settings()
    models = load_models(settings)
    encoder = models.encoder
    documents = numbered_documents(options.folder, encoder, settings.knowledge.passage_tokens, options.passages)
    texts = [
        embedded_text(document.title, passage.heading, passage.body)
        for document in documents
        for passage in split(document, encoder.count_tokens, settings.knowledge.passage_tokens)
    ]
    original = SentenceTransformer(
        str(find_weights(settings.encoder.model).folder), device="cpu", local_files_only=True
    )
    forward = raw_forward(encoder, texts)
    ways: dict[str, Callable[[], object]] = {
        f"bare forward passes, {encoder.description['dtype']}": forward,
        "indexer: cut, embed, store": lambda: asyncio.run(index(documents, models)),
        "SentenceTransformer.encode, defaults": lambda: original.encode(texts, show_progress_bar=False),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways.values():
        way()  # warm-up
    for _ in range(options.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)

    rates = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    bare, ours, defaults = rates.values()
    table = Table("way", "passages/s", "spread", "against the bare model", "against the defaults")
    for name, rate in rates.items():
        low, high = len(texts) / max(seconds[name]), len(texts) / min(seconds[name])
        table.add_row(name, f"{rate:.1f}", f"{low:.1f}-{high:.1f}", f"{rate / bare:.2f}", f"{rate / defaults:.2f}")
    tokens = statistics.mean(encoder.count_tokens(texts))
    Console().print(
        f"{len(texts)} passages of {tokens:.0f} tokens on average; {encoder.description['dtype_reason']}; "
        f"{encoder.description['threads']} threads",
        table,
        f"indexer / bare forward: {ours / bare:.2f}   indexer / defaults: {ours / defaults:.2f}",
        sep="\n",
    )


def numbered_documents(folder: Path, encoder: AnyEncoder, passage_tokens: int, wanted: int) -> list[Document]:
    """The folder's documents, again and again under other titles, so that no two passages are the same."""
    originals = [
        load(file.name, file.read_bytes()) for file in sorted(folder.rglob("*")) if file.suffix.lower() in LOADERS
    ]
    documents: list[Document] = []
    count = 0
    while count < wanted:
        number = len(documents) // len(originals)
        original = originals[len(documents) % len(originals)]
        note = Block(Form.PARAGRAPH, f"Edition {number}.")
        document = Document(f"{number}/{original.path}", f"{original.title} {number}", (*original.blocks, note))
        count += len(split(document, encoder.count_tokens, passage_tokens))
        documents.append(document)
    return documents


def raw_forward(encoder: AnyEncoder, texts: list[str]) -> Callable[[], None]:
    """The model's forward passes alone: tokens are made beforehand, batches have texts of one length."""
    model = encoder._model
    ordered = sorted(texts, key=len)
    batches = [model.preprocess(ordered[start : start + RAW_BATCH]) for start in range(0, len(ordered), RAW_BATCH)]

    def forward() -> None:
        with torch.inference_mode():
            for batch in batches:
                model(dict(batch))

    return forward


async def index(documents: list[Document], models: Models) -> None:
    worker = InferenceWorker("encode", lambda: models, capacity=8)
    await worker.loaded()
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteKnowledge.open(Path(folder))
        await Indexer(store, AsyncEncoder(worker), Settings().knowledge.passage_tokens).index_documents(documents)
        await store.close()
    await worker.close()


if __name__ == "__main__":
    main()
