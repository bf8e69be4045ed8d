"""Tables: files in every format with odd cells, headers, encodings and delimiters, and frames of
odd objects.
"""

from __future__ import annotations

import datetime
import decimal
import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from tests.experiments import make_table
from tests.hostile.palette import TEXTS, any_value, changed_bytes, choose, dumped
from tf_transfer.data.splits import split_table
from tf_transfer.data.tables import clean_table, load_table, save_table
from tf_transfer.kinds.tasks import Task

ENCODINGS = [
    "utf-8",
    "utf-16",
    "utf-16-le",
    "latin-1",
    "cp1252",
    "utf-7",
    "idna",
    "punycode",
    "rot13",
    "base64",
    "hex",
    "zip",
    "\0",
    "",
    "none",
    "mbcs",
    "unicode_escape",
    "utf-8-sig",
    "ascii",
]
NAMES = ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.jsonl.gz", "A.CSV", "a.ndjson"]
DELIMITERS = [None, ",", ";", "\t", "|", " ", ",,", "", "\n", "\r", '"', "\0", "é", "a", "\ud800"]
OBJECTS = [
    b"a",
    b"\xff",
    np.nan,
    None,
    pd.NA,
    pd.NaT,
    1 + 2j,
    decimal.Decimal("1.1"),
    datetime.date(2020, 1, 1),
    pd.Interval(0, 1),
    pd.Timestamp("2020-01-01"),
    (1,),
    {1},
    frozenset(),
    object(),
    type,
    np.array([1]),
    [],
    {"a": [1]},
    pd.Period("2020"),
    2**70,
    np.float16(1),
    range(3),
    make_table,
]
KINDS = ["auto", "classification", "multilabel", "regression"]


def prepare(base: Path) -> None:
    pass


def make(draws, base, folder):
    how = draws.random()
    if how < 0.2:
        return _frame(draws, folder)
    path = folder / choose(draws, NAMES)
    _write(draws, path)
    options = {}
    if draws.random() < 0.15:
        options["encoding"] = choose(draws, ENCODINGS)
    if draws.random() < 0.15:
        options["delimiter"] = choose(draws, DELIMITERS)
    if draws.random() < 0.1:
        options["quote"] = choose(draws, [None, "'", '"', "", "''", "\0", ","])
    options["drop_empty"] = bool(draws.random() < 0.7)
    return lambda: _use(draws, load_table(path, **options), folder)


def _use(draws, table: pd.DataFrame, folder: Path) -> None:
    table = clean_table(table, drop_empty=True)
    task = Task("y", kind=choose(draws, KINDS)).resolve(table)
    y, _ = task.encode(table)
    assert len(y) == len(table)
    split_table(table, test_size=choose(draws, [0.5, 1, 0.25]), seed=0)
    save_table(table, folder / "out" / choose(draws, ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet"]))


def _frame(draws, folder: Path):
    rows = int(draws.integers(0, 6))
    # no frame has that name
    odd = [3, None, ("a", 1), 2.5, *(text for text in TEXTS if "\ud800" not in text)]
    names = ["text", "y", *[choose(draws, odd) for _ in range(draws.integers(3))]]
    columns = {
        name: [choose(draws, [*OBJECTS, "a", "b", 1]) for _ in range(rows)] for name in names
    }
    columns["text"] = [choose(draws, ["a b", "c", *TEXTS, *OBJECTS[:3]]) for _ in range(rows)]
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    )
    if draws.random() < 0.2:
        frame = pd.concat([frame, frame[["y"]]], axis=1)
    return lambda: _use(draws, load_table(frame, drop_empty=True), folder)


def _write(draws, path: Path) -> None:
    names = ["text", "y", *[choose(draws, TEXTS) for _ in range(draws.integers(3))]]
    rows = [[_cell(draws) for _ in names] for _ in range(int(draws.integers(0, 7)))]
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        _parquet(draws, path, names, rows)
        return
    if kind in ("jsonl", "ndjson"):
        odd = [any_value(draws) if draws.random() < 0.3 else cell for row in rows for cell in row]
        cells = iter(odd)
        lines = [dumped({name: next(cells) for name in names}) for _ in rows]
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    else:
        delimiter = "\t" if kind == "tsv" else ","
        quote = draws.random() < 0.7
        lines = [delimiter.join(_quoted(cell, quote) for cell in row) for row in [names, *rows]]
        content = choose(draws, ["\n", "\r\n", "\r"]).join(lines).encode("utf-8", "surrogatepass")
    if draws.random() < 0.3:
        content = changed_bytes(draws, content)
    if path.suffix.lower() == ".gz":
        content = gzip.compress(content, mtime=0)
        content = changed_bytes(draws, content) if draws.random() < 0.3 else content
    path.write_bytes(content)


def _cell(draws) -> str:
    how = draws.random()
    if how < 0.4:
        return choose(draws, ["a b", "good", "bad", "c"])
    if how < 0.6:
        return choose(draws, ["1", "2.5", "3", "1.0", "01"])
    return choose(draws, TEXTS) * int(draws.integers(1, 4))


def _quoted(cell: str, quote: bool) -> str:
    return '"' + cell.replace('"', '""') + '"' if quote else cell


def _parquet(draws, path: Path, names, rows) -> None:
    columns = {}
    for place, name in enumerate(dict.fromkeys(names)):
        cells = [row[place].encode("utf-8", "replace").decode() for row in rows]
        how = draws.integers(5)
        odd = [
            cells,
            [c.encode() for c in cells],
            list(range(len(rows))),
            [[c] for c in cells],
            [{"a": c} for c in cells],
        ]
        columns[name.encode("utf-8", "replace").decode()] = (
            odd[how] if name != "text" or how == 1 else cells
        )
    pd.DataFrame(columns).to_parquet(path)
    if draws.random() < 0.4:
        path.write_bytes(changed_bytes(draws, path.read_bytes()))
