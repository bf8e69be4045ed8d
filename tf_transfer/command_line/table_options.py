"""Tables on the command line: the options that say how they are read, and where one may be
written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_transfer.errors import DataError, check_columns

if TYPE_CHECKING:
    from tf_transfer.kinds.tasks import Task

AsText = Annotated[
    list[str] | None,
    typer.Option(
        help="Column that is text although it looks like numbers, such as codes; repeatable."
    ),
]
Delimiter = Annotated[
    str | None, typer.Option(help="Between the cells of a text file, such as ';' or '\\t'.")
]
Encoding = Annotated[str, typer.Option(help="Of a text file, such as 'cp1252'.")]
Quote = Annotated[
    str, typer.Option(help="Around cells of a text file; '' where quotes are plain text.")
]
Decimal = Annotated[
    str | None, typer.Option(help="Mark of decimal numbers where it is not the point, such as ','.")
]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Leave out rows without text.")]


class TableReader:
    """Reads tables as the options say, and cleans their texts.

    Args:
        columns: ``{"text": column, "text_pair": column or None}``.
        as_text, delimiter, encoding, quote, decimal, drop_empty: of the command; see `load_table`.
    """

    def __init__(
        self, columns: dict, as_text, delimiter, encoding, quote, decimal, drop_empty: bool
    ):
        self.columns = columns
        self.drop_empty = drop_empty
        self.options = {
            "as_text": as_text or (),
            "encoding": encoding,
            "quote": quote or None,
            "decimal": decimal,
        }
        self.options["delimiter"] = "\t" if delimiter == "\\t" else delimiter

    @property
    def given(self) -> dict:
        """The options that differ from their defaults, as an experiment file names them."""
        defaults = {
            "as_text": (),
            "encoding": "utf-8",
            "quote": '"',
            "decimal": None,
            "delimiter": None,
        }
        return {name: value for name, value in self.options.items() if value != defaults[name]}

    def cleaned(self, path: Path):
        """The table."""
        return self.cleaned_beside(path, [])[0]

    def cleaned_beside(self, path: Path, kept: list[str]) -> tuple:
        """The table, and the columns ``kept`` of the same rows as they are in the file."""
        from tf_transfer.data.tables import clean_table, load_table

        table = load_table(path, **self.columns, **self.options, drop_empty=self.drop_empty)
        check_columns(table, kept, f"file {str(path)!r}")
        number = "row before cleaning"
        cleaned = clean_table(
            table.assign(**{number: range(len(table))}), **self.columns, drop_empty=self.drop_empty
        )
        rows = cleaned.pop(number)
        return cleaned, table.loc[rows, kept]


def beside(kept, predictions):
    """One table of both; a column of ``kept`` that is called as a prediction is gets another
    name.
    """
    import pandas as pd

    names = {column: f"{column} (table)" for column in kept if column in predictions}
    kept = kept.rename(columns=names).reset_index(drop=True)
    return pd.concat([kept, predictions.reset_index(drop=True)], axis=1)


def check_table_output(output: Path, table: Path | None = None) -> None:
    """Before long work: whether a table can be written there, which is not ``table`` itself.

    Raises:
        DataError: the extension is unknown, there is no such folder, or the file would be lost.
        CheckpointError: the folder takes no file, or what is there is none.
    """
    from tf_transfer.data.formats import extension
    from tf_transfer.files import storage

    extension(output)
    if not os.path.isdir(output.parent):
        raise DataError(
            f"{output} could not be written: there is no folder {output.parent}.\nMake it first."
        )
    if (
        table is not None
        and os.path.exists(output)
        and os.path.exists(table)
        and output.samefile(table)
    ):
        raise DataError(
            f"{output} is the table that is read.\nName another file, so that it is not lost."
        )
    storage.check_output(output)


def task_of(label: str, columns) -> Task:
    """The task that ``COLUMN`` or ``COLUMN:KIND`` asks for, of a table with these columns."""
    from tf_transfer.kinds.tasks import Task

    name, _, kind = label.rpartition(":")
    return Task(label) if label in columns or not name else Task(name, kind=kind)
