"""What the bot survives, measured: kill -9 under load, hostile messages, overload, and a soak.

    python benchmarks/faults.py kills    [--kills 100]         Discord, Telegram and HTTP together, killed at random moments
    python benchmarks/faults.py hostile  [--messages 10000]    odd, huge and marked-up messages, for each adapter
    python benchmarks/faults.py overload [--seconds 30]        ten times as many people as the queue has room for
    python benchmarks/faults.py quiet    [--seconds 30]        how long one waits while a crowd asks ten times too much
    python benchmarks/faults.py soak     [--questions 50000]   memory, open files and threads over many questions

The first two run the whole program against local servers, with an engine that repeats the question; `quiet` runs it with the
real models and asks by HTTP; the others go from the dispatcher to an adapter that only counts, with the real models and the
real journal. Each ends with status 1 where a figure is out of bounds.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from benchmarks.faults_hostile import hostile_discord, hostile_http, hostile_telegram, hostile_terminal  # noqa: E402
from benchmarks.faults_kills import kill_under_load  # noqa: E402
from benchmarks.faults_load import Say, overload, quiet, soak  # noqa: E402
from bot.core.settings import LogSettings, Settings  # noqa: E402
from bot.observability.logs import configure_logging  # noqa: E402
from tests.platforms.hostile import hostile_messages  # noqa: E402


async def run(options: argparse.Namespace, folder: Path, say: Say) -> bool:
    if options.what == "kills":
        survived = await kill_under_load(folder, options.kills)
        for line in survived.lines():
            say(line)
        return not (survived.lost or survived.unseen or survived.twice or survived.wrong)
    if options.what == "hostile":
        good = True
        adapters: dict[str, Callable[[Path, list[str]], Awaitable[list[str]]]] = {
            "telegram": hostile_telegram,
            "discord": hostile_discord,
            "terminal": hostile_terminal,
            "http": hostile_http,
        }
        messages = hostile_messages(options.messages)
        for name, attack in adapters.items():
            (folder / name).mkdir()
            wrong = await attack(folder / name, messages)
            say(f"{name}: {len(messages)} hostile messages, {len(wrong)} went wrong {wrong[:3] or ''}")
            good &= not wrong
        return good
    if options.what == "quiet":
        return await quiet(folder, options.folder.absolute(), options.seconds, say)
    settings = Settings(
        knowledge={"folder": options.folder},
        storage={"folder": folder},
        limits={"author_questions": 0, "chat_questions": 0},
        queue={"capacity": 64} if options.what == "overload" else {},
    )
    if options.what == "overload":
        return await overload(settings, options.seconds, say)
    return await soak(settings, options.questions, min(2000, options.questions // 5), say)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "hostile", "overload", "quiet", "soak"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of overload and quiet")
    parser.add_argument("--questions", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, default=ROOT / "knowledge", help="the documents of overload and soak")
    options = parser.parse_args()
    configure_logging(LogSettings(level="error"), quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(run(options, Path(folder), lambda line: print(line, flush=True)))  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
