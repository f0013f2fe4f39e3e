"""How long a first answer takes from the start of the program, and how much memory the waiting bot holds.

    python benchmarks/starting.py [--rounds 5]

Against a program that only imports torch and sentence-transformers and loads the model, in turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent.parent / "knowledge"
QUESTION = "How do I add documents?"
MODEL_ALONE = """
import torch, sentence_transformers
from bot.inference.weights import find_weights
folder = find_weights("sentence-transformers/all-MiniLM-L6-v2").folder
sentence_transformers.SentenceTransformer(str(folder), device="cpu")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | {"BOT_KNOWLEDGE__FOLDER": str(FOLDER), "BOT_STORAGE__FOLDER": place}
        bot = [sys.executable, "-m", "bot"]
        subprocess.run([*bot, "index"], env=environment, check=True, stdout=subprocess.DEVNULL)
        commands = {
            "imports and the model alone": [sys.executable, "-c", MODEL_ALONE],
            "ask, on the built index": [*bot, "ask", QUESTION],
            "--help": [*bot, "--help"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(
                    command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                seconds[name].append(time.perf_counter() - started)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        table = Table("command", "seconds, median", "spread", "against the model alone")
        for name, times in seconds.items():
            ratio = medians[name] / medians["imports and the model alone"]
            table.add_row(name, f"{medians[name]:.2f}", f"{min(times):.2f}-{max(times):.2f}", f"{ratio:.2f}")
        Console().print(
            table, f"resident memory, idle after the first answer: {idle_memory(bot, environment):.0f} MB", sep="\n"
        )


def idle_memory(bot: list[str], environment: dict[str, str]) -> float:
    """Megabytes (10^6 bytes) that a bot holds which has answered one question and waits for the next."""
    process = subprocess.Popen(
        [*bot, "chat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    if process.stdin is None or process.stdout is None:
        raise SystemExit("no pipes to the bot")
    process.stdin.write(f"{QUESTION}\n")
    process.stdin.flush()
    while "—" not in process.stdout.readline():
        pass
    time.sleep(2)
    memory: float = psutil.Process(process.pid).memory_info().rss / 1e6
    process.stdin.close()
    process.wait(30)
    return memory


if __name__ == "__main__":
    main()
