"""`knowledge-bot doctor`: checks of everything that can be wrong, a line each, with the fix.

Nothing is changed. The checks that need no models come first, so that they are made also if the models can't be loaded.
"""

import asyncio
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile

from filelock import FileLock, Timeout

from bot.core.diagnosis import Diagnosis, Severity, error, ok, warning
from bot.core.errors import BotError, DocumentError, SettingsError, WeightsError
from bot.core.messages import Outcome
from bot.core.settings import GeneratorSettings, Settings
from bot.core.text import counted
from bot.engine.phrasing import Phraser
from bot.evaluation.own_questions import own_questions
from bot.evaluation.rewording import reworded
from bot.evaluation.threshold import ThresholdFit, fit_threshold
from bot.inference.templates import load_templates
from bot.inference.tuned import chosen
from bot.inference.workers import Models
from bot.knowledge.converter import Converter
from bot.runtime.application import Application, open_application
from bot.sources.fetching import Fetcher, describe_status
from bot.storage.data_folder import LOCK
from bot.storage.sqlite.connection import damage
from bot.storage.sqlite.journal import FILE as JOURNAL
from bot.storage.sqlite.knowledge import FILE as INDEX

_OLDEST_SQLITE = (3, 35, 0)  # RETURNING
_LITTLE_SPACE, _NO_SPACE = 500 * 2**20, 20 * 2**20  # bytes
_FEW_FILES = 256
# A question that has waited for longer was forgotten by everybody.
_LONG_AGO = 3600.0  # seconds
_OWN_QUESTIONS = 40  # that the threshold is tried with
# When this program was written: a clock that shows an earlier time is wrong.
_EARLIEST = 1_760_000_000.0  # seconds since the epoch
_Progress = Callable[[int, int], None]


async def examine(
    settings: Settings,
    platforms: AsyncIterator[Diagnosis],
    models: Models | None = None,
    *,
    progress: _Progress = lambda _done, _total: None,
) -> AsyncIterator[Diagnosis]:
    """Yield the result of every check, in order.

    `platforms`: the results of the platforms' own checks. `models`: loaded ones, instead of those of the settings.
    `progress` is called with the progress of the slowest check.
    """
    yield ok("settings", f"they are valid; platforms: {', '.join(settings.platforms) or 'none, so the terminal'}")
    for found in await asyncio.to_thread(lambda: [*_machine(), _converter(), *_data_folder(settings.storage.folder)]):
        yield found
    for found in await asyncio.to_thread(lambda: [*_prompts(settings.generator), *_tuned_model(settings)]):
        yield found
    async for found in platforms:
        yield found
    for source in settings.sources:
        yield await _source(Fetcher(source, settings))
    try:
        async with open_application(settings, models, golden=False) as application:
            yield ok("models", ", ".join(f"{name} {value}" for name, value in _description(application).items()))
            async for found in _application(application, progress):
                yield found
    except BotError as failure:
        yield error("models and index", str(failure))


def _machine() -> Iterator[Diagnosis]:
    with closing(sqlite3.connect(":memory:")) as db:
        try:
            db.execute(
                "CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = 'porter unicode61 remove_diacritics 2')"
            )
        except sqlite3.OperationalError:
            yield error("sqlite", f"SQLite {sqlite3.sqlite_version} has no FTS5: use a Python whose SQLite has it.")
        else:
            if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
                yield error("sqlite", f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is needed, update Python.")
            else:
                yield ok("sqlite", f"SQLite {sqlite3.sqlite_version} with FTS5")
    if time.time() < _EARLIEST:
        yield error("clock", "it is far in the past, so that platforms refuse the connection: set the machine's clock.")
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit
        return
    [soft, _] = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES:
        yield warning("open files", f"only {soft} may be open at once: raise the limit (ulimit -n, LimitNOFILE=).")
    else:
        yield ok("open files", f"{soft} may be open at once")


def _converter() -> Diagnosis:
    subject = "converter"
    try:
        with Converter() as converter:
            isolation = converter.isolation
    except DocumentError as failure:
        return error(subject, f"the process that reads files doesn't start: {failure}")
    if isolation.complete:
        return ok(subject, f"files, network and processes are out of its reach: {isolation}")
    return warning(
        subject,
        f"a file that takes it over could reach more than itself: {isolation}. Use Linux 5.13 or newer with "
        "Landlock, and libseccomp, where documents come from strangers.",
    )


def _prompts(settings: GeneratorSettings) -> Iterator[Diagnosis]:
    """Check the operator's prompt file; yields nothing without one."""
    if settings.prompts is None:
        return
    try:
        load_templates(settings.prompts)
    except SettingsError as failure:
        yield from (
            error("prompts", f"{problem}. Until then the documents are quoted.") for problem in failure.problems
        )
    else:
        yield ok("prompts", f"{settings.prompts} is valid")


def _tuned_model(settings: Settings) -> Iterator[Diagnosis]:
    """Check the active tuned model; yields nothing if none is active."""
    try:
        choice = chosen(settings)
    except WeightsError as failure:
        yield error("tuned model", f"{failure} Until then the documents are quoted.")
        return
    if choice.warning:
        yield warning("tuned model", choice.warning)
    elif choice.name != settings.generator.model:
        yield ok("tuned model", choice.name)


def _data_folder(folder: Path) -> Iterator[Diagnosis]:
    subject = "data folder"
    if not folder.exists():
        yield ok(subject, f"{folder} will be made at the first start")
        return
    try:
        with NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as failure:
        yield error(subject, f"{folder} can't be written ({failure.strerror}): check its owner and permissions.")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        yield warning(subject, f"other users may look into {folder}, where questions are kept: chmod 700 {folder}")
    else:
        yield ok(subject, f"{folder} can be written, and nobody else looks in")
    yield _free_space(folder)
    for name in (JOURNAL, INDEX):
        if (folder / name).exists():
            yield _database(folder / name)
    yield _running(folder)
    newest = max((file.stat().st_mtime for file in folder.iterdir() if file.is_file()), default=0.0)
    if newest > time.time() + 60:
        yield warning(
            "clock", "it was set back: files of the data folder are from the future. Set it by the network (NTP)."
        )
    else:
        yield ok("clock", "nothing in the data folder is from the future")


def _free_space(folder: Path) -> Diagnosis:
    free = shutil.disk_usage(folder).free
    free_text = f"{free // 2**20} MB are free"
    if free < _NO_SPACE:
        return error("disk", f"{free_text}: no question can be accepted on a full disk; free some space.")
    return warning("disk", f"{free_text}: free some space.") if free < _LITTLE_SPACE else ok("disk", free_text)


def _database(file: Path) -> Diagnosis:
    try:
        found = damage(file)
    except BotError as failure:
        return error("database", str(failure))
    if found is None:
        return ok("database", f"{file.name} is whole ({file.stat().st_size / 2**20:.1f} MB)")
    return error(
        "database",
        f"{file.name} is damaged ({found}): restore a backup (knowledge-bot restore), or start with --set-damaged-aside.",
    )


def _running(folder: Path) -> Diagnosis:
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            return ok("bot", "no bot is running with this data folder")
    except Timeout:
        return ok("bot", "a bot is running with this data folder")


async def _source(fetcher: Fetcher) -> Diagnosis:
    subject, status = f"source {fetcher.source.name}", await fetcher.status()
    described = describe_status(status, time.time())
    if status.problem or not status.fetched:
        again = f"knowledge-bot sources fetch {fetcher.source.name}"
        return warning(subject, f"{described}. A bot that runs tries again by itself; now: {again}")
    return ok(subject, described)


def _description(application: Application) -> dict[str, object]:
    encoder = application.inference.encoder.description
    return {
        "encoder": encoder["model"],
        "from": encoder["source"],
        "as": encoder["dtype"],
        "threads": encoder["threads"],
    }


async def _application(application: Application, progress: _Progress) -> AsyncIterator[Diagnosis]:
    cores, threads = os.cpu_count() or 1, application.settings.models.threads
    if threads > cores:
        yield warning("models", f"models.threads is {threads}, but there are {cores} cores: more threads are slower.")
    fresh = True
    async for found in _index(application):
        fresh = fresh and found.level is Severity.OK
        yield found
    pending = await application.stores.journal.questions.pending()
    old = sum(time.time() - one.question.received_at.timestamp() > _LONG_AGO for one in pending)
    in_doubt = await application.stores.journal.parts.in_doubt()
    waiting = counted(len(pending), "question waits for its answer", "questions wait for their answer")
    counts = f"{waiting}, {counted(in_doubt, 'part of an answer is in doubt', 'parts of answers are in doubt')}"
    yield (
        warning("journal", f"{counts}; {old} wait for over an hour: start the bot, or look into its log.")
        if old
        else ok("journal", counts)
    )
    if application.answering.phraser is not None:
        await application.answering.generator_loaded.wait()
        yield _generator(application, application.answering.phraser)
    if (await application.stores.knowledge.summary()).encoder == application.inference.encoder.identity:
        yield await _threshold(application, progress)


async def _index(application: Application) -> AsyncIterator[Diagnosis]:
    summary = await application.stores.knowledge.summary()
    if summary.encoder is None:
        yield warning("index", "there is none yet; it is made at the first start, or by: knowledge-bot index")
        return
    if summary.encoder != application.inference.encoder.identity:
        yield warning("index", "it was made by another encoder, and is made anew at the next start.")
        return
    try:
        behind = await application.indexer.behind(application.settings.knowledge.folder)
    except BotError as failure:
        yield error("documents", str(failure))
        return
    size = f"{counted(summary.documents, 'document')}, {counted(summary.passages, 'passage')}"
    if behind:
        changed = counted(behind, "file was", "files were")
        yield warning("index", f"{size}; {changed} changed since: start the bot, or: knowledge-bot index")
    elif not summary.passages:
        yield warning("index", "there is nothing to answer from: put documents into the knowledge folder.")
    else:
        yield ok("index", f"{size}, in step with the folder")
    bad = [report for _, report in await application.stores.knowledge.files() if report.problem]
    if bad:
        yield warning("documents", f"{len(bad)} can't be read, {bad[0].path} for one: knowledge-bot index says why.")


def _generator(application: Application, phraser: Phraser) -> Diagnosis:
    if phraser.generator is None:
        return warning("generator", application.health.report("generator").detail)
    return ok("generator", ", ".join(f"{name} {value}" for name, value in phraser.generator.description.items()))


async def _threshold(application: Application, progress: _Progress) -> Diagnosis:
    own = own_questions(await application.stores.knowledge.stored(), _OWN_QUESTIONS)
    phraser, settings = application.answering.phraser, application.settings
    texts, by_model = await reworded(own, phraser.generator if phraser else None, settings.generator.deadline_seconds)
    fit = await fit_threshold(application.answering.engine, own, texts, settings.answer, progress)
    if not fit.enough:
        return ok("threshold", "there are too few headings and stored questions to try it")
    by = f"{by_model} by the generator" if by_model else "by rules"
    tried = (
        f"at {fit.threshold:g}, of {len(own)} questions made from the documents and reworded, {by}, {_outcomes(fit)}"
    )
    return ok("threshold", tried) if fit.fits else warning("threshold", f"{tried}: {_threshold_advice(fit)}")


def _outcomes(fit: ThresholdFit) -> str:
    answered, suggested = Outcome.ANSWERED, Outcome.SUGGESTED
    return (
        f"{fit.share(answered, right=True):.0%} are answered right, {fit.share(answered, right=False):.0%} from another "
        f"section, {fit.share(suggested, right=True):.0%} get the right section suggested, "
        f"{fit.share(suggested, right=False):.0%} another one, and {fit.declined:.0%} are declined; of {len(fit.unrelated)} "
        f"unrelated ones {fit.unrelated_answered:.0%} are answered"
    )


def _threshold_advice(fit: ThresholdFit) -> str:
    if fit.is_improved:
        return f"try answer.threshold = {fit.suggested:g}, and `knowledge-bot explain` on questions."
    return "no other threshold is clearly better; `knowledge-bot explain` shows for a question why it is answered so."
