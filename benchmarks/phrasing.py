"""What real language models make of answers: kept, trimmed or replaced, more useful or less than the quotes, and how fast.

    make models
    python benchmarks/phrasing.py [--model NAME ...] [--limit 25] [--show] [--results FOLDER]

Asks the questions about the handbook and those of each set in --helpdesk (a folder with `knowledge/` and `questions.jsonl`),
in an order by chance that stays the same, until each model has written --limit drafts, spread over the sets. The quote is what
the same engine answers without the model, so both are measured on the same questions. Models are those of
benchmarks/language_models.py, or folders.

Each answer is written to a file in --results at once, and isn't asked for again: an interrupted run goes on where it was, and a
greater --limit adds to it. Take another folder after a change. --show prints the drafts beside the quotes, asking nothing.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parent.parent))

from benchmarks import language_models
from bot.core.messages import Answer, Question, Update
from bot.core.settings import GeneratorSettings, LogSettings, Settings
from bot.engine.qa import Considered, QAEngine
from bot.evaluation.metrics import help_shares, helps, phrased
from bot.evaluation.questions import EvaluationQuestion, load_questions
from bot.evaluation.run import EvaluationResult, ask_all
from bot.inference.generator import Generator
from bot.inference.prompts import PromptContent
from bot.observability.logs import configure_logging
from bot.runtime.application import Application, open_application

ROOT = Path(__file__).parent.parent
HELPDESK = ROOT.parent / "shared" / "eval" / "helpdesk"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and questions about them."""

    name: str
    knowledge: Path
    questions: Path

    def shuffled(self) -> list[EvaluationQuestion]:
        questions = load_questions(self.questions)
        random.Random(self.name).shuffle(questions)  # noqa: S311 - an order, the same in each run
        return questions


@dataclass(frozen=True, slots=True)
class Draft:
    """What a model wrote for a prompt of `excerpts`. Seconds from the request to the first token and to the last one."""

    excerpts: tuple[str, ...]
    text: str
    tokens: int
    first_seconds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens a second, without the time for reading the prompt."""
        return (self.tokens - 1) / max(self.seconds - self.first_seconds, 1e-9)


class Recorder:
    """A Generator that keeps the drafts of another one."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.drafts: list[Draft] = []

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def description(self) -> Mapping[str, object]:
        return self._generator.description

    async def stream(self, prompt: PromptContent | str) -> AsyncGenerator[str, None]:
        started = time.perf_counter()
        moments: list[float] = []
        text = ""
        try:
            async with aclosing(self._generator.stream(prompt)) as pieces:
                async for piece in pieces:  # one a token
                    moments.append(time.perf_counter() - started)
                    text += piece
                    yield piece
        finally:
            excerpts = tuple(one.text for one in prompt.excerpts) if isinstance(prompt, PromptContent) else ()
            self.drafts.append(Draft(excerpts, text, len(moments), *(moments[:1] or [0.0]), *(moments[-1:] or [0.0])))

    async def close(self) -> None:
        """The application closes the generator."""


class Watched:
    """The engine, which notes when the first checked words were shown."""

    def __init__(self, engine: QAEngine) -> None:
        self._engine = engine
        self.shown_seconds: float | None = None

    async def consider(self, question: Question, *, forced: bool) -> Considered:
        started = time.perf_counter()
        self.shown_seconds = None

        def progress(update: Update) -> None:
            if update.text and self.shown_seconds is None:
                self.shown_seconds = time.perf_counter() - started

        return await self._engine.consider(question, progress, forced=forced)


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer with its drafts. `shown_seconds`: until the first checked words were shown, None if only the whole was."""

    corpus: str
    result: EvaluationResult
    drafts: tuple[Draft, ...]
    shown_seconds: float | None

    def to_json(self) -> str:
        answer, quote = self.result.answer, self.result.forced
        return json.dumps(
            {
                "corpus": self.corpus,
                "id": self.result.question.id,
                "question": self.result.question.question,
                "answer": answer.to_json(),
                "quote": quote.to_json() if quote else None,
                "seconds": self.result.latency_ms / 1000,
                "shown_seconds": self.shown_seconds,
                "drafts": [asdict(draft) for draft in self.drafts],
            },
            ensure_ascii=False,
        )

    @property
    def quoted(self) -> EvaluationResult:
        """What would have been answered without the model."""
        quote = self.result.forced
        if quote is None or self.result.answer.phrasing is None:
            return self.result
        return replace(self.result, answer=replace(self.result.answer, text=quote.text, phrasing=None))


def read_results(file: Path, corpora: Sequence[Corpus]) -> list[Asked]:
    """Return the answers in a file of results, without those to questions that are gone."""
    questions = {(corpus.name, question.id): question for corpus in corpora for question in corpus.shuffled()}
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        data = json.loads(line)
        if question := questions.get((data["corpus"], data["id"])):
            answer = Answer.from_json(data["answer"])
            quote = Answer.from_json(data["quote"]) if data["quote"] else None
            drafts = tuple(Draft(**draft | {"excerpts": tuple(draft["excerpts"])}) for draft in data["drafts"])
            result = EvaluationResult(question, answer, data["seconds"] * 1000, quote)
            found.append(Asked(data["corpus"], result, drafts, data["shown_seconds"]))
    return found


# --- asking -----------------------------------------------------------------------------------------------------------


def ask(model: Path, corpora: Sequence[Corpus], file: Path, limit: int, options: Mapping[str, object]) -> None:
    """Ask until the file has `limit` answers with drafts of the model."""
    for number, corpus in enumerate(corpora):
        share = limit // len(corpora) + (number < limit % len(corpora))
        there = [one for one in read_results(file, corpora) if one.corpus == corpus.name]
        wanted = share - sum(bool(one.drafts) for one in there)
        known = {one.result.question.id for one in there}
        waiting = [question for question in corpus.shuffled() if question.id not in known]
        if wanted > 0 and waiting:
            settings = Settings(
                knowledge={"folder": corpus.knowledge},
                storage={"folder": file.parent / "index" / corpus.name},
                generator=GeneratorSettings(provider="local", model=str(model), **options),
            )
            asyncio.run(_ask(settings, corpus, waiting, wanted, file))


async def _ask(
    settings: Settings, corpus: Corpus, waiting: Sequence[EvaluationQuestion], wanted: int, file: Path
) -> None:
    async with open_application(settings, golden=False) as application:
        await application.indexer.index_folder(corpus.knowledge)
        await application.answering.generator_loaded.wait()
        phraser = application.answering.phraser
        if phraser is None or phraser.generator is None:
            raise SystemExit(f"{settings.generator.model} can't be loaded")
        recorder = Recorder(phraser.generator)
        phraser.use(recorder)
        say(f"{corpus.name}: {recorder.description}")
        for question in waiting:
            one = await _one(application, corpus, question, recorder)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(one.to_json() + "\n")
            wanted -= bool(one.drafts)
            if not wanted:
                return


async def _one(application: Application, corpus: Corpus, question: EvaluationQuestion, recorder: Recorder) -> Asked:
    engine = Watched(application.answering.engine)
    recorder.drafts = []
    [result] = await ask_all(engine, application.stores.journal.conversations, [question])
    phrasing = result.answer.phrasing
    said = f"{phrasing.outcome} {', '.join(phrasing.reasons)}" if phrasing else result.answer.outcome
    say(f"  {result.latency_ms / 1000:5.1f} s  {said}  {question.question[:80]}")
    return Asked(corpus.name, result, tuple(recorder.drafts), engine.shown_seconds)


# --- figures ----------------------------------------------------------------------------------------------------------


def print_figures(results: Mapping[str, Sequence[Asked]]) -> None:
    table = Table("", *results, title="Drafts of language models, beside the quotes for the same questions")
    columns = [dict(_figures(asked)) for asked in results.values()]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    Console().print(table)


def _figures(asked: Sequence[Asked]) -> Iterator[tuple[str, str]]:
    drafts = [draft for one in asked for draft in one.drafts]
    yield "questions / drafts", f"{len(asked)} / {len(drafts)}"
    if figures := phrased([one.result for one in asked]):
        yield "kept / trimmed / replaced / failed", " / ".join(f"{share:.0%}" for share in figures.outcomes.values())
        yield "why", ", ".join(f"{reason} {count}" for reason, count in figures.reasons.items())
    phrasings = [one for one in asked if one.drafts]
    for name, group in (("all questions", asked), ("drafts alone", phrasings)):
        for kind, some in (("phrased", [one.result for one in group]), ("quoted", [one.quoted for one in group])):
            if shares := help_shares(some).get("all"):
                yield f"useful / wrong, {kind}, {name}", f"{shares.useful:.2f} / {shares.wrong:.2f}"
    if drafts:
        shown = [one.shown_seconds or one.result.latency_ms / 1000 for one in phrasings]
        yield "first token, p50", _seconds(draft.first_seconds for draft in drafts)
        yield "first checked words, p50", _seconds(shown)
        yield "answer, p50", _seconds(one.result.latency_ms / 1000 for one in phrasings)
        yield "tokens in a draft, p50", f"{statistics.median(draft.tokens for draft in drafts):.0f}"
        yield "tokens a second, p50", f"{statistics.median(draft.rate for draft in drafts if draft.tokens > 3):.1f}"


def _seconds(values: Iterator[float] | Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} s"


def show(asked: Sequence[Asked]) -> None:
    """Print each draft beside the quote."""
    for one in asked:
        if not one.drafts or one.result.answer.phrasing is None:
            continue
        question, answer, phrasing = one.result.question, one.result.answer, one.result.answer.phrasing
        useful = f"{helps(question, one.quoted.answer)} -> {helps(question, answer)}"
        say(f"\n=== {one.corpus} {question.id}: {question.question}")
        say(f"[{phrasing.outcome}: {', '.join(phrasing.reasons)}] holds a key: {useful}")
        say(f"--- quote\n{one.quoted.answer.text}")
        for draft in one.drafts:
            say(f"--- draft ({draft.tokens} tokens, {draft.seconds:.0f} s)\n{draft.text}")
        if phrasing.outcome == "trimmed":
            say(f"--- shown\n{answer.text}")


def say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _corpora(helpdesk: Path) -> list[Corpus]:
    corpora = [Corpus("handbook", ROOT / "knowledge", ROOT / "benchmarks" / "handbook-questions.jsonl")]
    if not helpdesk.is_dir():
        say(f"{helpdesk} is not there: only the handbook's questions are asked")
        return corpora
    files = sorted(helpdesk.glob("*/questions.jsonl"))
    return [*corpora, *(Corpus(file.parent.name, file.parent / "knowledge", file) for file in files)]


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="default: all of `make models` that are there")
    parser.add_argument("--limit", type=int, default=25, help="drafts a model")
    parser.add_argument("--helpdesk", type=Path, default=HELPDESK)
    parser.add_argument("--results", type=Path, help="default: a folder for this commit beside the models")
    parser.add_argument("--show", action="store_true", help="print the drafts that there are; ask nothing")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds that an answer may take")
    parser.add_argument("--quantization", default="none", help="none or int8")
    options = parser.parse_args()
    configure_logging(LogSettings(), quiet=True)
    corpora = _corpora(options.helpdesk)
    folder = options.results or language_models.FOLDER / "phrasing" / _commit()
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in options.model or [name for name in language_models.MODELS if language_models.folder_of(name)]:
        model = language_models.folder_of(name) or Path(name)
        file = folder / f"{model.name}.jsonl"
        if not options.show:
            chosen = {"deadline_seconds": options.deadline, "quantization": options.quantization}
            ask(model, corpora, file, options.limit, chosen)
        results[model.name] = read_results(file, corpora)
        if options.show:
            show(results[model.name])
    if not results:
        raise SystemExit("There is no language model; `make models` fetches some.")
    print_figures(results)


if __name__ == "__main__":
    main()
