"""The speed of a local language model: tokens a second, the time to the first words, and the effect on reading.

    python benchmarks/generating.py [--model FOLDER] [--tokens 64] [--seconds 20] [--passages 2]
    python benchmarks/generating.py --model FOLDER --kept-prompt [--tokens 64] [--dtype auto] [--quantization none]

Without a model it makes one of the size of GPT-2 (124 million parameters, random weights: speed doesn't depend on what they
say). Measures on an otherwise quiet machine: plain `model.generate` against the worker; several texts side by side against one
after the other; and loop lag and reading while two texts are written and 16 questions a second are read.

--kept-prompt asks questions about different passages one after the other, each once with the beginning of the last prompt
reused and once without, and compares the texts.
"""

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import aclosing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from bot.core.settings import GeneratorSettings, ModelsSettings, Settings
from bot.inference.generator import GeneratedText, GenerationWorker, LocalModel, load_model
from bot.inference.prompts import Excerpt, PromptContent
from bot.inference.span_model import SpanQuery
from bot.inference.workers import AsyncReader, InferenceWorker
from bot.observability.loop_lag import LoopLagProbe
from bot.runtime.loading import load_models
from tests import tiny_models

_PROMPT = "The library opens at nine and closes at half past five. On Sundays it stays closed. " * 8
_PASSAGE = "Use water at 92 to 96 degrees. It should be soft. Hard water makes the cup taste flat. " * 8
_QUESTIONS_PER_SECOND = 16


def gpt2_sized(folder: Path) -> Path:
    """A GPT-2 of the usual size, with the tokenizer of the tests and random weights that never end a text."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokens = tiny_models.tokenizer([_PROMPT, _PASSAGE], ["<|endoftext|>"], "<|endoftext|>")
    config = GPT2Config(vocab_size=50257, eos_token_id=50256, bos_token_id=50256)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def plainly(model: LocalModel, tokens: int) -> float:
    """Tokens per second of the library alone."""
    ids = torch.tensor([model.encode(_PROMPT).tokens])
    with torch.inference_mode():
        started = time.perf_counter()
        written = model.network.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0
        )
    return (written.shape[1] - ids.shape[1]) / (time.perf_counter() - started)


async def write(worker: GenerationWorker) -> tuple[float, float, int]:
    """Seconds to the first piece, seconds in all, and pieces (one a token)."""
    started = time.perf_counter()
    first, count = 0.0, 0
    async with aclosing(worker.stream(_PROMPT)) as pieces:
        async for _ in pieces:
            first = first or time.perf_counter() - started
            count += 1
    return first, time.perf_counter() - started, count


async def read(reading: AsyncReader, seconds: float, passages: int) -> list[float]:
    """Milliseconds that each of 16 questions a second takes to be read."""
    loop = asyncio.get_running_loop()

    async def one() -> float:
        started = time.perf_counter()
        await reading.read([SpanQuery("how hot should the water be?", _PASSAGE)] * passages)
        return (time.perf_counter() - started) * 1000

    begun = loop.time()
    asked: list[asyncio.Task[float]] = []
    while loop.time() - begun < seconds:
        asked.append(asyncio.create_task(one()))
        await asyncio.sleep(begun + len(asked) / _QUESTIONS_PER_SECOND - loop.time())
    return await asyncio.gather(*asked)


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def measure(model: LocalModel, tokens: int, seconds: float, passages: int) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    worker = InferenceWorker("inference", partial(load_models, Settings()), capacity=512)
    reading = AsyncReader(worker)
    together = GenerationWorker("together", lambda: model, side_by_side=4, capacity=64, pause=worker.let_pass)
    alone = GenerationWorker("alone", lambda: model, side_by_side=1, capacity=64)
    await write(together)
    await asyncio.to_thread(plainly, model, 8)
    plain, ours, firsts = [], [], []
    for _ in range(3):  # in turn, so that whatever else runs disturbs both
        plain.append(await asyncio.to_thread(plainly, model, tokens))
        first, whole, count = await write(together)
        ours.append(count / whole)
        firsts.append(first)
    rows.append(("plain model.generate", f"{max(plain):.1f} tokens/s", ""))
    rows.append(("the worker", f"{max(ours):.1f} tokens/s", f"{max(ours) / max(plain):.2f} of plain (at least 0.9)"))
    rows.append(
        (
            "time to the first words",
            f"{min(firsts) * 1000:.0f} ms",
            f"prompt of {len(model.encode(_PROMPT).tokens)} tokens",
        )
    )
    for name, one in (("four texts side by side", together), ("four texts one after the other", alone)):
        started = time.perf_counter()
        results = await asyncio.gather(*(write(one) for _ in range(4)))
        spent = time.perf_counter() - started
        rows.append((name, f"{sum(count for *_, count in results) / spent:.1f} tokens/s", f"all after {spent:.1f} s"))
    await reading.read([SpanQuery("how hot?", _PASSAGE)])
    idle = await read(reading, seconds, passages)
    rows.append(("reading, 16 questions/s", f"p95 {p95(idle):.0f} ms", "idle"))
    async with LoopLagProbe() as lag:
        writing = [asyncio.create_task(_keep_writing(together)) for _ in range(2)]
        busy = await read(reading, seconds, passages)
        counts = [task.cancel() for task in writing]
        await asyncio.gather(*writing, return_exceptions=True)
        assert all(counts)
        rows.append(
            (
                "reading, two texts meanwhile",
                f"p95 {p95(busy):.0f} ms",
                f"{p95(busy) / p95(idle):.1f} times idle (at most 3)",
            )
        )
        rows.append(("loop lag meanwhile", f"p99 {lag.percentile(0.99):.1f} ms", "at most 10 ms"))
    for closing in (together, alone):
        await closing.close()
    await worker.close()
    return rows


_FACTS = (
    (
        "How long is a token valid?",
        "A token is valid for 30 minutes. Then the server refuses it, and you sign in again.",
    ),
    ("Which port is used?", "The server listens on port 8080. Set `server.port` to use another one, and restart it."),
    ("Does it work offline?", "Everything runs on your own machine, without internet. Only updates are fetched."),
    ("How do I make a backup?", "Run `backup` once a day. It copies the data folder into an archive with a date."),
    ("Who may delete an entry?", "Only operators may delete entries. Others may ask them to, with a reason."),
    ("How large may a file be?", "A file may have 100 megabytes. Larger ones are left out, with a line in the log."),
)
_OTHERS = "It is checked at each start. Changes are noticed within a minute, and nobody is interrupted by them. " * 5


def kept_prompt(model: LocalModel) -> list[tuple[str, str, str]]:
    """The seconds to the first token and the tokens a second, with and without the last prompt, in turn."""
    kept = model._prompt_cache
    if not kept.possible:
        raise SystemExit("This model can't go back to an earlier token, so no prompt is kept.")
    persona = GeneratorSettings().persona
    contents = [
        PromptContent(asked, (Excerpt("Guide", f"{fact} {_OTHERS}"),), persona=persona) for asked, fact in _FACTS
    ]
    firsts: dict[bool, list[float]] = {True: [], False: []}
    wholes: dict[bool, list[float]] = {True: [], False: []}
    texts: dict[bool, list[str]] = {True: [], False: []}
    model.write([GeneratedText(model.encode(_PROMPT), lambda _: None)])
    model.write([GeneratedText(model.encode(contents[-1]), lambda _: None)])
    for content in contents:
        for reuse in (True, False):
            kept.possible = reuse
            moments: list[float] = []
            pieces: list[str] = []

            def take(piece: str, moments: list[float] = moments, pieces: list[str] = pieces) -> None:
                moments.append(time.perf_counter())
                pieces.append(piece)

            started = time.perf_counter()
            text = GeneratedText(model.encode(content), take)
            model.write([text])
            firsts[reuse].append(moments[0] - started)
            wholes[reuse].append(len(text.tokens) / (time.perf_counter() - started))
            texts[reuse].append("".join(pieces))
    shortest = [len(model.encode(content).tokens) for content in contents]
    same = sum(one == other for one, other in zip(texts[True], texts[False], strict=True))
    return [
        (
            name,
            f"first token after {statistics.median(firsts[reuse]):.2f} s",
            f"{statistics.median(wholes[reuse]):.1f} tokens/s in all",
        )
        for name, reuse in (("with the last prompt", True), ("without", False))
    ] + [("the same texts", f"{same} of {len(contents)}", f"prompts of {min(shortest)} to {max(shortest)} tokens")]


async def _keep_writing(worker: GenerationWorker) -> None:
    while True:
        await write(worker)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="A folder; default: one of the size of GPT-2 is made.")
    parser.add_argument("--tokens", type=int, default=64, help="How many tokens a text has.")
    parser.add_argument("--seconds", type=float, default=20.0, help="How long reading is measured.")
    parser.add_argument(
        "--passages", type=int, default=2, help="How many are read for a question: at first 2, 5 at most."
    )
    parser.add_argument("--kept-prompt", action="store_true", help="Measure only what the last prompt saves the next.")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16.")
    parser.add_argument("--quantization", default="none", help="none or int8.")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        model_folder = options.model or gpt2_sized(Path(folder))
        settings = GeneratorSettings(
            provider="local",
            model=str(model_folder),
            max_new_tokens=options.tokens,
            dtype=options.dtype,
            quantization=options.quantization,
        )
        model = load_model(settings, ModelsSettings())
        weights = [*model.network.parameters(), *model.network.buffers()]
        if options.kept_prompt:
            rows = kept_prompt(model)
        else:
            rows = asyncio.run(measure(model, options.tokens, options.seconds, options.passages))
    megabytes = sum(tensor.nbytes for tensor in weights) / 1e6
    table = Table(
        "", "", "", title=f"{model.description['dtype']}, {options.quantization}: {megabytes:.0f} MB of weights"
    )
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
