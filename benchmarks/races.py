"""Races on Discord and Telegram: whether any order of events loses, doubles or orphans an answer.

    python benchmarks/races.py [--sequences 2000] [--processes 4] [--seed 0]

Each sequence is one order of questions, double taps, edits, deletions, stops, closed threads, broken connections and restarts,
while calls and answers are let through one by one; see tests/platforms/races.py. It prints those after which the books don't
balance, with their seeds, and ends with status 1 if there are any.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from bot.core.settings import LogSettings  # noqa: E402
from bot.observability.logs import configure_logging  # noqa: E402
from tests.platforms.both_platforms import BothPlatforms  # noqa: E402
from tests.platforms.races import Sequence  # noqa: E402

_SHARE = 25  # sequences of one bot


def run_share(seeds: range) -> list[str]:
    """Run one sequence for each seed. Returns a line for each that ends badly."""
    configure_logging(LogSettings(level="error"), quiet=True)
    lines, left = [], deque(seeds)
    while left:  # a sequence that breaks off takes its bot along
        sequences: list[Sequence] = []
        try:
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(_run_with_one_bot(left, Path(folder), sequences, lines))
        except Exception as error:
            lines.append(_line(sequences[-1:], f"broken off by {error!r}"))
    return lines


async def _run_with_one_bot(left: deque[int], folder: Path, sequences: list[Sequence], lines: list[str]) -> None:
    numbers = itertools.count(1)
    async with BothPlatforms.running(folder) as bot:
        while left:
            sequences.append(Sequence(bot, left.popleft(), numbers))
            if wrong := await sequences[-1].run():
                lines.append(_line(sequences[-1:], "; ".join(wrong)))


def _line(sequences: list[Sequence], wrong: str) -> str:
    """What is wrong, and the sequence after which it is, if one has begun."""
    return "".join(f"seed {one.seed}: {wrong} after {', '.join(one.done)}" for one in sequences) or wrong


def _shares(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, _SHARE):
        yield range(start, min(start + _SHARE, first + count))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="that of the first sequence")
    options = parser.parse_args()
    say = partial(print, flush=True)
    started, wrong = time.monotonic(), 0
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
        for lines in pool.imap_unordered(run_share, _shares(options.seed, options.sequences)):
            wrong += len(lines)
            for line in lines:
                say(line)
    say(f"{options.sequences} sequences in {time.monotonic() - started:.0f} s, {wrong} ended badly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
