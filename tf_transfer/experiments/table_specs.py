"""Where the rows of an experiment come from: tables, and targets with their splits, each checked by
itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tf_transfer.data.readers import READERS, read_dataset
from tf_transfer.data.splits import split_table
from tf_transfer.data.tables import clean_table, load_table
from tf_transfer.errors import DataError, check_columns, listed, nearest, speaking


class Spec(BaseModel):
    """A part of an experiment; an unknown key is an error that names the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def expand(cls, value):
        """The mapping that a short form such as a plain name stands for."""
        return value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value):
        value = cls.expand(value)
        for key in value if isinstance(value, Mapping) else ():
            if key not in cls.model_fields:
                known = list(cls.model_fields)
                raise ValueError(
                    f"unknown key {key!r}.{nearest(key, known)} Known are {listed(known, 20)}."
                )
        return value


FILE_OPTIONS = ("encoding", "delimiter", "quote", "decimal")
"""What `load_table` has to know of a text file."""


def as_names(value):
    """A list of names, from one or several."""
    return [value] if isinstance(value, str) else value


class TableSpec(Spec):
    """Where rows come from: a file, a data set that the toolkit knows, or a DataFrame.

    In a file, a plain string stands for ``{path: ...}``. Columns are renamed first: all other keys
    use the new names.
    """

    path: str | None = None
    dataset: str | None = None
    table: Any = None
    rename: dict[str, str] = Field(
        default_factory=dict, description="``{column of the table: its name here}``"
    )
    as_text: Annotated[list[str], BeforeValidator(as_names)] = Field(
        default_factory=list,
        description="columns that are text although they look like numbers, such as codes",
    )
    where: dict[str, Any] = Field(
        default_factory=dict, description="keep rows of these values, or of any in a list"
    )
    rows: int | None = Field(None, ge=1, description="keep this many rows, drawn at random")
    encoding: str = Field("utf-8", description="of a text file")
    delimiter: str | None = Field(
        None, description="between the cells of a text file; None: from its ending"
    )
    quote: str | None = Field(
        '"', description="around cells of a text file; null where quotes are plain text"
    )
    decimal: str | None = Field(
        None, description="mark of decimal numbers in a text file where it is not the point"
    )
    drop_empty: bool = Field(False, description="leave out rows without a text")

    @classmethod
    def expand(cls, value):
        if isinstance(value, str | os.PathLike):
            return {"path": os.fspath(value)}
        return {"table": value} if isinstance(value, pd.DataFrame) else value

    @pydantic.model_validator(mode="after")
    def _one_origin(self):
        given = [n for n in ("path", "dataset", "table") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of path, dataset and table; received {listed(given)}"
            )
        if self.dataset is not None and self.dataset not in READERS:
            known = f"known are {listed(READERS, 20)}.{nearest(self.dataset, READERS)}"
            raise ValueError(f"unknown dataset {self.dataset!r}; {known}")
        if self.table is not None and not isinstance(self.table, pd.DataFrame):
            raise ValueError(
                f"table must be a DataFrame; received {self.table!r}. A file goes under path."
            )
        unread = [n for n in FILE_OPTIONS if n in self.model_fields_set]
        if self.path is None and unread:
            raise ValueError(f"{listed(unread)} say how a file is read, and go with a path")
        if len(set(self.rename.values())) < len(self.rename):
            raise ValueError(f"rename must give names that differ; received {self.rename}")
        return self

    @pydantic.field_serializer("table")
    def _serialize_table(self, table: pd.DataFrame | None) -> str | None:
        return None if table is None else f"a DataFrame of {len(table)} rows"

    def load(self, folder: Path, text: str, text_pair: str | None) -> pd.DataFrame:
        """The rows, texts cleaned; a relative path starts from ``folder``."""
        if self.dataset is not None:
            source = read_dataset(self.dataset)
        else:
            source = self.table if self.table is not None else folder / self.path
        where = self.dataset or self.path or "the table"
        table = self._read(source, text, text_pair, where)
        for column, value in self.where.items():
            table = _keep_equal(table, column, value, where)
        if self.rows is not None and self.rows < len(table):
            table = table.sample(self.rows, random_state=0).sort_index()
        return clean_table(
            table.reset_index(drop=True), text=text, text_pair=text_pair, drop_empty=self.drop_empty
        )

    def _read(self, source, text: str, text_pair: str | None, where: str) -> pd.DataFrame:
        theirs = {ours: name for name, ours in self.rename.items()}
        table = load_table(
            source,
            text=theirs.get(text, text),
            text_pair=theirs.get(text_pair, text_pair),
            as_text=[theirs.get(name, name) for name in self.as_text],
            drop_empty=self.drop_empty,
            **{name: getattr(self, name) for name in FILE_OPTIONS},
        )
        check_columns(table, self.rename, where)
        table = table.rename(columns=self.rename)
        check_columns(table, self.rename.values(), where)
        return table


def _keep_equal(table: pd.DataFrame, column: str, value, where: str) -> pd.DataFrame:
    check_columns(table, [column], where)
    written = table[column].astype(str)
    kept = np.zeros(len(table), bool)
    for each in value if isinstance(value, list) else [value]:
        equal = (table[column] == each).fillna(False).to_numpy(bool)
        if not equal.any():
            # a column of text, where YAML reads a number
            equal = (written == str(each)).to_numpy(bool)
        if not equal.any():
            known = sorted({str(v) for v in table[column].dropna()})
            raise DataError(
                f"where: {column}: {each!r} must keep some rows of {where}.\n"
                f"Received none; the column has {listed(known)}.{nearest(each, known)}"
            )
        kept |= equal
    return table[kept]


class TargetSpec(Spec):
    """A target: rows to split, or a train and a test table.

    A table in place of all that, or its keys beside ``test_size`` and the others, stand for
    ``data``.
    """

    data: TableSpec | None = None
    train: TableSpec | None = None
    test: TableSpec | None = None
    test_size: float | int = 0.25
    group: str | None = Field(None, description="column whose groups stay on one side of the split")
    stratify: str | None = Field(
        None, description="column whose values keep their shares on both sides"
    )
    split_seed: int = Field(0, ge=0)

    @classmethod
    def expand(cls, value):
        if isinstance(value, str | os.PathLike | pd.DataFrame | TableSpec):
            return {"data": value}
        if not isinstance(value, Mapping):
            return value
        inner = [key for key in value if key in TableSpec.model_fields]
        outer = [key for key in ("data", "train", "test") if key in value]
        if inner and outer:
            raise ValueError(f"{listed(inner)} must stand within {listed(outer)}, not beside it")
        others = {key: v for key, v in value.items() if key not in inner}
        return {"data": {key: value[key] for key in inner}, **others} if inner else value

    @pydantic.model_validator(mode="after")
    def _split_or_tables(self):
        if (self.data is None) == (self.train is None) or (self.train is None) != (
            self.test is None
        ):
            raise ValueError("needs either data (to be split), or train and test")
        return self

    def load(
        self, folder: Path, text: str, text_pair: str | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Train and test rows, texts cleaned."""
        if self.data is None:
            train, test = (spec.load(folder, text, text_pair) for spec in (self.train, self.test))
            check_columns(test, [] if self.group is None else [self.group], "the test table")
            return train, test
        table = self.data.load(folder, text, text_pair)
        return split_table(
            table, self.test_size, seed=self.split_seed, group=self.group, stratify=self.stratify
        )


@contextlib.contextmanager
def named(what: str) -> Iterator[None]:
    """Puts the part of the experiment before the message of a `DataError`, which names keys of the
    file.
    """
    try:
        with speaking("yaml"):
            yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from error
