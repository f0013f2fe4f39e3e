"""Odd messages on Discord and Telegram: whether each has an outcome in the metrics, and a reply where one is due.

    python benchmarks/odd_messages.py [--messages 10000] [--processes 2] [--seed 0]

Hostile texts come in the shapes that the platforms give to messages: mentions, captions, forwards, edits, events, messages of
bots; see tests/platforms/odd_messages.py. So many are sent on each platform. It prints the outcomes and what is wrong, and ends
with status 1 if anything is.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from bot.core.settings import LogSettings  # noqa: E402
from bot.observability.logs import configure_logging  # noqa: E402
from tests.platforms.both_platforms import BothPlatforms  # noqa: E402
from tests.platforms.hostile import hostile_messages  # noqa: E402
from tests.platforms.odd_messages import send_odd_messages  # noqa: E402

_SHARE = 250  # messages of one bot

Outcomes = dict[str, Counter[str]]


def run_share(share: tuple[int, list[str]]) -> tuple[Outcomes, list[str]]:
    """Send the texts of a share, of which the first part is its seed. Returns the outcomes by platform, and what is wrong."""
    seed, texts = share
    configure_logging(LogSettings(level="error"), quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_send(texts, seed, Path(folder)))


async def _send(texts: list[str], seed: int, folder: Path) -> tuple[Outcomes, list[str]]:
    async with BothPlatforms.running(folder) as bot:
        return await send_odd_messages(bot, texts, seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000, help="on each platform")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    texts = hostile_messages(options.messages)
    shares = [(options.seed + start, texts[start : start + _SHARE]) for start in range(0, len(texts), _SHARE)]
    started, outcomes, wrong = time.monotonic(), Outcomes(discord=Counter(), telegram=Counter()), 0
    console = Console()
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
        for (seed, _), (counts, lines) in zip(shares, pool.imap(run_share, shares), strict=True):
            for platform, counted in counts.items():
                outcomes[platform].update(counted)
            wrong += len(lines)
            for line in lines:
                console.print(f"seed {seed}: {line}", markup=False, highlight=False)
    table = Table("outcome", "Discord", "Telegram", box=None, header_style="bold")
    for name in sorted({name for counted in outcomes.values() for name in counted}):
        table.add_row(name, str(outcomes["discord"][name]), str(outcomes["telegram"][name]))
    console.print(table)
    console.print(f"{len(texts)} on each platform in {time.monotonic() - started:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
