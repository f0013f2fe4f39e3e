"""`knowledge-bot finetune`: data from the documents, training, comparison with the base, activation."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.commands.common import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    console,
    print_json,
    progress_bar,
    say,
    settings_of,
    with_application,
)
from bot.core.text import counted
from bot.inference.tuned import Method

if TYPE_CHECKING:
    from bot.runtime.application import Application
    from bot.training.gate import Comparison
    from bot.training.pairs import Prepared

_DATA = Path("finetuning-data")
app = typer.Typer(
    no_args_is_help=True, help="Fine-tune the language model on your own documents; it goes live only if it is better."
)


@app.command()
def prepare(
    output: Annotated[Path, typer.Option(help="The folder to make.")] = _DATA,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make questions with answers from the documents, some to learn from, some held out."""
    from bot.training.pairs import prepare as make

    settings = settings_of(config)
    quoting = settings.generator.model_copy(update={"provider": "none"})

    async def work(application: "Application") -> None:
        with progress_bar("Asking questions") as show:
            prepared = await make(application, output, show)
        if as_json:
            print_json(asdict(prepared) | {"folder": str(output)})
        else:
            _print_prepared(prepared, output)

    with_application(settings.model_copy(update={"generator": quoting}), work)


@app.command()
def run(
    output: Annotated[Path, typer.Option(help="Where the tuned model and its checkpoints go.")],
    base: Annotated[str, typer.Option(help="The model to tune: an id or a folder. Default: generator.model.")] = "",
    revision: Annotated[str, typer.Option(help="A commit or tag of the model's repository.")] = "",
    method: Annotated[
        Method, typer.Option(help="lora: small matrices beside the weights. full: all weights.")
    ] = "lora",
    data: Annotated[Path, typer.Option(help="The folder that `prepare` has made.")] = _DATA,
    epochs: Annotated[float, typer.Option(min=0.1, help="How often each example is learnt, at most.")] = 4,
    rate: Annotated[float, typer.Option(min=0, help="The learning rate. 0: 0.0005 for lora, 0.00005 for full.")] = 0,
    rank: Annotated[int, typer.Option(min=1, help="The rank of the matrices of lora.")] = 16,
    batch: Annotated[int, typer.Option(min=1, help="How many examples each step learns from.")] = 8,
    accumulate: Annotated[
        int, typer.Option(min=1, help="In how many parts a step is computed: more take less memory.")
    ] = 4,
    max_tokens: Annotated[int, typer.Option(min=0, help="Leave out examples of more tokens. 0: none.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="What chance starts from.")] = 20,
    config: ConfigOption = None,
) -> None:
    """Tune a model. The same command goes on after an interruption."""
    from bot.training.generator import Plan, tune

    settings = settings_of(config)
    plan = Plan(
        base=base or settings.generator.model,
        revision=revision or ("" if base else settings.generator.revision),
        method=method,
        epochs=epochs,
        rate=rate,
        rank=rank,
        batch=batch,
        accumulate=min(accumulate, batch),
        max_tokens=max_tokens,
        seed=seed,
    )
    with progress_bar("Learning, steps") as show:
        record = tune(data, output, plan, settings.generator, settings.models, tell=say, progress=show)
    left_out = record["examples"]["too_long"]
    say(
        f"{output}: tuned in {counted(record['steps'], 'step')}; loss on validation {record['validation_loss']:.3f}, at step "
        f"{record['best_step']}."
        + (f" {counted(left_out, 'example was', 'examples were')} too long and left out." if left_out else "")
    )
    say(f"Next: knowledge-bot finetune compare --tuned {output}")


@app.command()
def compare(
    tuned: Annotated[Path, typer.Option(help="The folder that `run` has made.", exists=True, file_okay=False)],
    data: Annotated[Path | None, typer.Option(help="The prepared folder. Default: where it was in training.")] = None,
    questions: Annotated[int, typer.Option(min=10, help="How many held-out questions are asked, at most.")] = 200,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots into this folder.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare a tuned model with its base on the held-out questions, through the whole engine."""
    from bot.evaluation.plots import require_matplotlib
    from bot.training import gate

    if report is not None:
        require_matplotlib()
    settings = settings_of(config)
    with progress_bar("Asking questions") as show:
        comparison = gate.compare(settings, tuned, data, most=questions, progress=show)
    if as_json:
        print_json(asdict(comparison) | {"better": comparison.better})
    else:
        _print_comparison(comparison)
    if report is not None:
        page = gate.write_report(report, comparison, f"{tuned.resolve().name} against its base")
        say(f"Report: {page}", aside=True)


@app.command()
def activate(
    folder: Annotated[Path, typer.Argument(help="The folder that `run` has made.", exists=True, file_okay=False)],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where it is not better than its base; the record will say so.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a tuned model the one that phrases answers, if the comparison says that it is better."""
    from bot.inference.tuned import activate as put_in
    from bot.inference.tuned import chosen
    from bot.training.gate import objection, training_of

    settings = settings_of(config)
    if why := objection(folder):
        complain(f"{folder} is not better than its base: {why}.")
        if not anyway:
            complain("It was not activated. To activate it all the same: --anyway")
            raise typer.Exit(ExitCode.FAILURE)
    active = put_in(settings.storage.folder, folder, training_of(folder), why)
    say(f"Active: {active.name}. Start the bot again; `knowledge-bot finetune revert` goes back.")
    if warning := chosen(settings).warning:
        complain(warning)


@app.command()
def revert(config: ConfigOption = None) -> None:
    """Go back to the tuned model that was active before, or to the base."""
    from bot.inference.tuned import revert as put_back

    record = put_back(settings_of(config).storage.folder)
    now = record.active.name if record.active else "no tuned model, the base writes"
    say(f"Active: {now}. Start the bot again.")


# --- printing ---------------------------------------------------------------------------------------------------------


def _print_prepared(prepared: "Prepared", output: Path) -> None:
    from rich.table import Table

    from bot.training.pairs import SPLITS, Origin

    table = Table("", "documents", *Origin, "all", box=None, pad_edge=False, header_style="bold")
    for split in SPLITS:
        counts = prepared.counts[split]
        cells = [prepared.documents[split], *(counts[kind] for kind in Origin), counts.total()]
        table.add_row(split.replace("_", " "), *map(str, cells))
    console().print(table)
    if prepared.repeated:
        repeated = counted(
            prepared.repeated, "question stood there twice and was", "questions stood there twice and were"
        )
        say(f"{repeated} left out.")
    say(f"{output}: read the examples there, and mend them where they are wrong, before you train.")


def _print_comparison(comparison: "Comparison") -> None:
    from rich.table import Table

    from bot.training.gate import ROWS

    table = Table(
        counted(comparison.questions, "question"), "base", "tuned", "", box=None, pad_edge=False, header_style="bold"
    )
    for name, of, meaning in ROWS:
        table.add_row(name, f"{of(comparison.base):.1%}", f"{of(comparison.tuned):.1%}", meaning)
    seconds: list[Any] = [f"{figures.seconds:.2f} s" for figures in (comparison.base, comparison.tuned)]
    table.add_row("time", *seconds, "median of an answer that was drafted")
    screen = console()
    screen.print(table)
    low, high = (100 * bound for bound in comparison.interval)
    screen.print(
        f"Gain in F1: {100 * comparison.gain:+.1f} points, between {low:+.1f} and {high:+.1f} with 95 % certainty."
    )
    screen.print(f"The tuned model is {comparison.summary}.")
