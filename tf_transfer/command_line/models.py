"""Commands on models: fit, evaluate and predict, with tables as they are stored."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    task_of,
)
from tf_transfer.errors import DataError, TrainingError

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

MOST = 1_000_000
"""Of what is counted; more is a mistake."""
Text = Annotated[str, typer.Option(help="Column of the texts.")]
Pair = Annotated[str | None, typer.Option(help="Column of second texts.")]


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
    from tf_transfer.encoders.loading import load_encoder
    from tf_transfer.kinds.tasks import describe
    from tf_transfer.model.checkpoints import check_folder
    from tf_transfer.model.model import TransferModel

    check_folder(output)
    depth = int(freeze) if re.fullmatch("[0-9]{1,4}", freeze) else freeze
    tasks = [task_of(part, train.columns).resolve(train) for part in label]
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


def _load_model(folder: Path):
    from tf_transfer.model.model import load_model

    return load_model(folder)


def _columns(model: TransferModel) -> dict:
    return {name: model.options[name] for name in ("text", "text_pair")}


def _check_label(label: str, texts: dict) -> None:
    """Before long work: whether it is another column than those of the texts."""
    for option, column in texts.items():
        if column is not None and column in (label, label.rpartition(":")[0]):
            raise DataError(
                f"--label must name another column than --{option.replace('_', '-')}: a text "
                f"cannot be predicted from itself.\nReceived {label!r} for both.\nName the column "
                "that holds the labels."
            )


def _check_rate(rate: float | None) -> None:
    if rate is not None and not 0 < rate < math.inf:
        raise DataError(
            f"--learning-rate must be a number above 0.\nReceived {rate}.\nThe default suits the "
            "encoder."
        )
