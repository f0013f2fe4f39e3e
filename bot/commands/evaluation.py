"""`knowledge-bot evaluate`: sets of questions, asked and measured in an index of their own."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    progress_bar,
    say,
    settings_of,
    with_application,
)
from bot.core.settings import Settings

if TYPE_CHECKING:
    from bot.evaluation.questions import EvaluationQuestion, QuestionSet
    from bot.evaluation.run import EvaluationResult
    from bot.runtime.application import Application


def evaluate(
    questions: Annotated[
        Path | None, typer.Option(help="The questions, JSON lines.", exists=True, dir_okay=False)
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="The documents to answer from, JSON lines.", exists=True, dir_okay=False)
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="A folder of documents to answer from instead.", exists=True, file_okay=False)
    ] = None,
    sets: Annotated[
        list[Path] | None,
        typer.Option(
            "--set", help="A folder with documents.jsonl and questions.jsonl; may be repeated.", file_okay=False
        ),
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="More questions to ask of each set.", exists=True, dir_okay=False)
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Fit the confidence to the results and write it to this file.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write every answer to this file, JSON lines.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report with plots into this folder.")] = None,
    parallel: Annotated[
        int, typer.Option(min=1, help="Questions asked at once. More than one is faster, but spoils the latency.")
    ] = 1,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask sets of questions and measure the answers. The index of the bot itself is left alone."""
    from bot.evaluation.calibration import fit
    from bot.evaluation.metrics import measure
    from bot.evaluation.plots import require_matplotlib
    from bot.evaluation.questions import QuestionSet, load_questions
    from bot.evaluation.report import write_report
    from bot.evaluation.run import prediction
    from bot.evaluation.table import render_calibration, render_table

    chosen = QuestionSet.of_folders(sets or ())
    if questions is not None and (documents is None) != (knowledge is None):
        chosen.append(QuestionSet(str(questions), questions, documents, knowledge))
    elif questions is not None or documents is not None or knowledge is not None or not chosen:
        raise typer.BadParameter("give --questions with either --documents or --knowledge, or one --set or more")
    if len(chosen) > 1 and (predictions is not None or report is not None):
        raise typer.BadParameter("--predictions and --report are for one set at a time")
    if report is not None:
        require_matplotlib()
    settings = settings_of(config)
    further = load_questions(beside) if beside else []
    results: dict[str, list[EvaluationResult]] = {}
    for one in chosen:
        results[one.name] = answers = _ask(settings, one, further, parallel)
        figures = measure(answers)
        title = f"{one.questions} against {one.documents or one.knowledge}"
        if as_json:
            print_json({"set": one.name} | figures.to_json())
        else:
            console().print(render_table(figures, title), "")
        if predictions is not None:
            lines = (json.dumps(prediction(result), ensure_ascii=False) for result in answers)
            predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if report is not None:
            page = write_report(report, figures, answers, bounds=settings.answer, title=title)
            say(f"Report: {page}", aside=True)
    if calibrate is not None:
        fitted = fit(results)
        fitted.calibration.save(calibrate)
        if as_json:
            print_json(asdict(fitted))
        else:
            console().print(render_calibration(fitted))
        say(f"Calibration: {calibrate}", aside=True)


def _ask(
    settings: Settings, chosen: "QuestionSet", further: "Sequence[EvaluationQuestion]", parallel: int
) -> "list[EvaluationResult]":
    """Return the answers to the questions of a set and to further ones, from an index that is made for them."""
    from bot.evaluation.questions import load_documents, load_questions
    from bot.evaluation.run import ask_all

    asked = [*load_questions(chosen.questions), *further]
    results: list[EvaluationResult] = []

    async def ask(application: "Application") -> None:
        with progress_bar("Indexing passages") as show:
            if chosen.documents is not None:
                loaded = load_documents(chosen.documents)
                await application.indexer.index_documents(loaded, lambda step: show(step.done, step.total))
            elif chosen.knowledge is not None:
                await application.indexer.index_folder(chosen.knowledge, lambda step: show(step.done, step.total))
        await application.answering.generator_loaded.wait()
        with progress_bar("Asking questions") as show:
            results.extend(
                await ask_all(
                    application.answering.engine,
                    application.stores.journal.conversations,
                    asked,
                    parallel=parallel,
                    progress=show,
                )
            )

    with TemporaryDirectory(prefix="knowledge-bot-") as folder:
        storage = settings.storage.model_copy(update={"folder": Path(folder)})
        with_application(settings.model_copy(update={"storage": storage}), ask, fresh=False, golden=False)
    return results
