"""Commands on experiments: init, advise, tune, compare, demo and report."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Annotated

import typer

from tf_transfer.command_line.table_options import (
    AsText,
    Decimal,
    Delimiter,
    Encoding,
    Quote,
    TableReader,
    check_table_output,
    task_of,
)
from tf_transfer.command_line.terminal import note, print_comparison, print_provisional
from tf_transfer.errors import DataError

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write to.")]
Margin = Annotated[
    float | None,
    typer.Option(
        help="The largest difference that does not matter, in the units of the primary metrics."
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        help="Processes that share the work: a number, or 'auto' for what cores and memory allow."
    ),
]


def init(
    tables: Annotated[
        list[Path], typer.Argument(metavar="SOURCES... TARGET", help="Tables, the target's last.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Experiment file to write.")
    ] = Path("experiment.yaml"),
    text: Annotated[
        str | None, typer.Option(help="Column of the texts; guessed by default.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Column to predict, or COLUMN:KIND; repeatable; guessed by default."),
    ] = None,
    encoder: Annotated[str, typer.Option(help="Asset, folder, or hub id.")] = "bert-tiny",
    as_text: AsText = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    decimal: Decimal = None,
):
    """Write a commented experiment file from tables; 'compare' runs it as it is."""
    from tf_transfer.experiments.draft import draft
    from tf_transfer.files.storage import check_writable, write_text

    if output.exists():
        raise DataError(f"{output} exists already.\nName another file, or remove it.")
    check_writable(output)
    reader = TableReader({}, as_text, delimiter, encoding, quote, decimal, drop_empty=False)
    *sources, target = tables
    tasks = [task_of(part, []) for part in label or ()]
    asked = {"text": text, "labels": tasks, "encoder": encoder, "options": reader.given}
    write_text(output, draft(sources, target, output.parent, **asked))
    print(f"Wrote {output}. Look it over, then run: tf-transfer compare {output}")


def advise(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the experiment's run: say how the advice fared in it."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Table for all ranks and facts.")
    ] = None,
):
    """Rank an experiment's strategies before training, each with a reason and a time."""
    from tf_transfer.advisor.advice import summarise
    from tf_transfer.comparison.comparison import Comparison
    from tf_transfer.data.tables import save_table
    from tf_transfer.experiments.experiment import load_experiment

    if output is not None:
        check_table_output(output)
    asked = load_experiment(experiment)
    comparison = None if run is None else Comparison(run)
    advice = None if comparison is None else comparison.advice
    if advice is not None:
        advice.check_strategies(asked)
        note(f"This is the advice that {run} was given before training.")
    advice = advice or _ask(experiment)
    print(advice)
    if comparison is not None:
        fared = advice.fared(comparison)
        print(f"\nHow it fared in {run}: {summarise(fared)}\n")
        print(fared.to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    if output is not None:
        save_table(advice.to_frame(), output)


def tune(
    experiment: Annotated[
        Path, typer.Argument(help="Experiment file (YAML); its 'tune:' says how to search.")
    ],
    output: Output = None,
    oracle: Annotated[str | None, typer.Option(help="'random', 'bayesian' or 'hyperband'.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="At most.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="TASK/METRIC: any metric of the suite.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Whose labelled rows trials learn from.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="How many of them.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the trials, the folds and the training.")
    ] = None,
):
    """Search for better arguments of an experiment's strategies; a stopped search goes on."""
    from tf_transfer.files.storage import whole_file
    from tf_transfer.tuning.tune import tune as search

    asked = {"oracle": oracle, "trials": trials, "objective": objective}
    asked |= {"target": target, "budget": budget, "seed": seed}
    folder = output or Path("runs") / f"{experiment.stem}-tune"
    with _resumable(folder):
        result = search(experiment, folder, **{k: v for k, v in asked.items() if v is not None})
    print(result)
    plot = folder / "trials.png"
    with whole_file(plot) as staging:
        result.plot().savefig(staging, format="png", dpi=150)
    print(f"Trials: {folder / 'trials.csv'}  Plot: {plot}  Best: {folder / 'best.yaml'}")


def compare(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    output: Output = None,
    margin: Margin = None,
    advise: Annotated[
        bool,
        typer.Option(
            "--advise", help="Rank the strategies first; the report says how the advice fared."
        ),
    ] = False,
    workers: Workers = None,
):
    """Run an experiment and say where transfer helped; a stopped run goes on."""
    from tf_transfer.statistics.intervals import check_margin

    check_margin(margin)
    folder = output or Path("runs") / experiment.stem
    if advise:
        _advise_first(experiment, folder)
    _run(experiment, folder, margin, workers)


def demo(output: Output = None, workers: Workers = "auto"):
    """Does rating film and shop reviews help to rate tweets and editorials? A real experiment."""
    experiment = Path(__file__).parent / "demo" / "experiment.yaml"
    _run(experiment, output or Path("runs/demo"), workers=workers)


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, old or new.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report; the run's.")
    ] = None,
    margin: Margin = None,
):
    """Write the report of a run again: report.html and report.md. Nothing is trained."""
    from tf_transfer.comparison.comparison import Comparison
    from tf_transfer.report import headline, render

    comparison = Comparison(run, margin)
    page = render(comparison, output or run)
    print(headline(comparison))
    for problem in comparison.unusable:
        note(f"Not used: {problem}")
    print(f"Report: {page}  Markdown: {page.with_suffix('.md')}")


def _run(
    experiment: Path, output: Path, margin: float | None = None, workers: str | None = None
) -> None:
    from tf_transfer.comparison.compare import compare as run
    from tf_transfer.experiments.experiment import load_experiment
    from tf_transfer.report import headline

    asked = load_experiment(experiment)
    if workers is not None:
        asked = asked.model_copy(update={"workers": _number_of_workers(workers)})
    with _resumable(output):
        comparison = run(asked, output, note=note, provisional=print_provisional)
    comparison.margin = margin
    print_comparison(comparison)
    folder = comparison.save()
    print(
        f"\nReport: {folder / 'report.html'}  Results: {folder / 'results.csv'}  Verdicts: "
        f"{folder / 'verdicts.json'}"
    )
    print(f"\n{headline(comparison)}")


def _ask(experiment: Path):
    from tf_transfer.advisor.advise import advise

    return advise(experiment, say=note)


def _advise_first(experiment: Path, folder: Path) -> None:
    """Keeps advice in the folder of a run that has not begun; a run that goes on keeps what it was
    given.
    """
    from tf_transfer.experiments.runs import Run

    kept = Run(folder).advice_path
    if not (folder / "run.json").exists():
        advice = _ask(experiment)
        advice.save(kept)
        print(f"{advice}\n")
    elif not kept.exists():
        raise DataError(
            f"Advice is asked for before training.\nReceived the folder {folder}, whose run has "
            "begun without.\n"
            f"Leave --advise away, and ask 'tf-transfer advise {experiment} --run {folder}' "
            "afterwards."
        )


@contextlib.contextmanager
def _resumable(folder: Path):
    """Says after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        note(
            f"\ntf-transfer: stopped. The results so far are in {folder}: the same command goes on "
            "from there."
        )
        raise typer.Exit(130) from None


def _number_of_workers(text: str) -> int | str:
    if text != "auto" and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise DataError(
            f"--workers must be a number from 1 on, or auto.\nReceived {text!r}.\nauto suits this "
            "machine."
        )
    return text if text == "auto" else int(text)
