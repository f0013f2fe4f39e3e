"""What broken files do: valid ones of every format, cut off or with bits flipped, read one after the other.

    python benchmarks/fuzzing.py [--files 500] [--seed 1] [--formats .pdf,.docx]

Each must be read, or refused with a reason, within the limits of the converter. The process that reads may be ended by a
file and is started again; that is counted, and is no harm, because the bot is another process.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "knowledge"))

from document_writers import WRITERS, parts_of  # noqa: E402

from bot.core.errors import DocumentError  # noqa: E402
from bot.knowledge.converter import Converter, Limits  # noqa: E402

LIMITS = Limits(seconds=20, memory_bytes=1024 * 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500, help="how many broken files, a format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", default=",".join(WRITERS), help="suffixes, with commas between them")
    options = parser.parse_args()
    table = Table("format", "files", "read", "refused", "ended the reader", "too slow", "crashes", "slowest s")
    reasons: Counter[str] = Counter()
    markdown = (ROOT / "knowledge" / "adding-documents.md").read_text()
    with Converter(LIMITS) as converter:
        for suffix in options.formats.split(","):
            whole = WRITERS[suffix]("Adding documents", parts_of(markdown))
            outcomes: Counter[str] = Counter()
            slowest = 0.0
            for number, content in enumerate(broken(whole, options.files, random.Random(options.seed))):  # noqa: S311
                started = time.perf_counter()
                outcomes[outcome(converter, f"{number}{suffix}", content, reasons)] += 1
                slowest = max(slowest, time.perf_counter() - started)
            row = (options.files, *(outcomes[name] for name in ("read", "refused", "ended", "slow", "crash")))
            table.add_row(suffix, *map(str, row), f"{slowest:.2f}")
    Console().print(table)
    for reason, count in reasons.most_common():
        Console().print(f"{count:6}  {reason}", markup=False)


def broken(whole: bytes, count: int, chance: random.Random) -> Iterator[bytes]:
    """Half of them cut off, half of them with up to twenty bits flipped."""
    for number in range(count):
        if number % 2:
            yield whole[: chance.randrange(len(whole))]
        else:
            content = bytearray(whole)
            for _ in range(chance.randint(1, 20)):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            yield bytes(content)


def outcome(converter: Converter, path: str, content: bytes, reasons: Counter[str]) -> str:
    try:
        converter.read(path, content)
    except DocumentError as error:
        reasons[str(error)[:90]] += 1
        if "crashed" in str(error) or "has failed" in str(error):
            return "ended"
        return "slow" if "takes longer" in str(error) else "refused"
    except Exception as error:
        reasons[repr(error)[:90]] += 1
        return "crash"
    return "read"


if __name__ == "__main__":
    main()
