"""Whether test rows are known from training: exact and near duplicates between tables."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.checks import characters
from tf_transfer.checks.characters import mend_halves
from tf_transfer.data.leakage_report import KINDS, LeakageReport, Overlap
from tf_transfer.data.near_duplicates import find_similar
from tf_transfer.errors import DataError, check_columns, check_texts
from tf_transfer.kinds.answer_spans import can_be_answers, read_answers
from tf_transfer.kinds.label_columns import LISTS, SEPARATOR, labels_of, present_rows, spelling
from tf_transfer.kinds.spans import is_cell_of_spans, read_cell

_PAIR = "\x1f"


def audit_leakage(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    source: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
    text: str = "text",
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    near: float | None = 0.8,
) -> LeakageReport:
    """Find the test rows that are also in the training table or in a source table.

    A row of a pair task is known when both of its texts together are.

    Args:
        train, test: tables of the target.
        source: one source table, reported as ``"source"``, or several by name.
        text, text_pair: columns of all tables.
        label: column, or columns, whose values tell conflicting duplicates; a table may lack it.
            Of a column of spans, as dicts or JSON, the known ones are counted.
        near: least Jaccard similarity of near duplicates, in (0, 1]; None finds exact ones only.

    Returns:
        the report; ``report.drop(train)`` takes the leaked rows out of training.

    Raises:
        DataError: a column is missing, there are no test rows, ``near`` is out of range, or a
            source is called "train".

    Example:
        >>> train = pd.DataFrame({"text": ["It's fine!", "Too small"]})
        >>> test = pd.DataFrame({"text": ["it 's fine"]})
        >>> report = audit_leakage(train, test)
        >>> report.found, report.drop(train)["text"].tolist()
        (True, ['Too small'])
    """
    if near is not None and not 0 < near <= 1:
        raise DataError(f"near must be a similarity in (0, 1], or None.\nReceived {near!r}.")
    sources = {"source": source} if isinstance(source, pd.DataFrame) else dict(source or {})
    if "train" in sources:
        raise DataError("A source must not be called 'train': that is the target's training table.")
    columns = [text] if text_pair is None else [text, text_pair]
    labels = [label] if isinstance(label, str) else list(label or ())
    check_columns(test, columns, "the test table")
    check_texts(test, columns, "the test table")
    if not len(test):
        raise DataError("The test table must have rows.\nReceived none.")
    overlaps = {}
    for name, table in {"train": train, **sources}.items():
        check_columns(table, columns, f"table {name!r}")
        check_texts(table, columns, f"table {name!r}")
        overlaps[name] = _compare(table, test, columns, labels, near)
    return LeakageReport(overlaps, near)


def normalise(text: str) -> str:
    """The letters, digits and emoji of ``text``, without case; all of it where it has none."""
    folded = characters.normalise(text, "NFKC").casefold()
    return folded.translate(_KEPT) or "".join(folded.split())


class _KeptCharacters(dict):
    """Translation table that keeps letters, marks, numbers and symbols such as emoji."""

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        self[code] = code if category[0] in "LMN" or category == "So" else None
        return self[code]


_KEPT = _KeptCharacters()


def _compare(table, test, columns: list[str], labels: list[str], near: float | None) -> Overlap:
    rows = [*_texts(table, columns), *_texts(test, columns)]
    raw = pd.factorize(_strings(map(_PAIR.join, rows)))[0]
    codes, forms = pd.factorize(_strings(_PAIR.join(map(normalise, row)) for row in rows))
    n = len(table)
    pairs = _near_pairs(forms, np.unique(codes[n:]), np.unique(codes[:n]), near)
    tested = _match(raw[n:], codes[n:], raw[:n], codes[:n], pairs)
    leaked = _match(raw[:n], codes[:n], raw[n:], codes[n:], pairs[:, [1, 0, 2]])
    shared = [label for label in labels if label in table and label in test]
    tested["conflict"] = (
        np.any([_conflicts(table[c], test[c], codes) for c in shared], axis=0) if shared else False
    )
    tested = tested[tested["kind"] != ""].rename_axis("test_row").reset_index()
    tested["test_text"] = [" | ".join(rows[n + row]) for row in tested["test_row"]]
    tested["text"] = [" | ".join(rows[row]) for row in tested["row"]]
    leaked = leaked[leaked["kind"] != ""].drop(columns="row").rename_axis("row").reset_index()
    spans = [_known_spans(table, test, columns[0], label) for label in shared]
    counts = np.sum(spans, axis=0, dtype=int) if spans else (0, 0)
    return Overlap(n, len(test), tested, leaked[["row", "kind"]], *map(int, counts))


def _known_spans(table, test, text: str, label: str) -> tuple[int, int]:
    """How many labelled spans the test has, and how many of them are spans of the table, too."""
    known = set(_span_texts(table, text, label))
    tested = list(_span_texts(test, text, label))
    return len(tested), sum(span in known for span in tested)


def _span_texts(table: pd.DataFrame, text: str, label: str) -> Iterator[str]:
    """The text of each labelled span in lower case; a cell that cannot be read has none."""
    for content, cell in zip(table[text], table[label]):
        if not is_cell_of_spans(cell):
            continue
        with contextlib.suppress(DataError):
            spans = read_cell(cell, "")
            yield from [content[start:end].lower() for start, end, _ in spans]


def _texts(table: pd.DataFrame, columns: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(map(mend_halves, table[column].fillna("")) for column in columns))


def _strings(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), object)


def _near_pairs(forms, tested: np.ndarray, trained: np.ndarray, near: float | None) -> np.ndarray:
    """(pairs, 3): codes of a test form and of another training form, and their similarity."""
    if near is None or not len(trained):
        return np.empty((0, 3))
    masked = [re.sub(r"\d+", "0", form) for form in forms]
    i, j, similarity = find_similar([masked[c] for c in tested], [masked[c] for c in trained], near)
    pairs = np.column_stack([tested[i], trained[j], similarity])
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _match(raw, codes, other_raw, other_codes, pairs: np.ndarray) -> pd.DataFrame:
    """For each row its strongest ``kind`` ("" for none), best ``row``, ``similarity``,
    ``matches``.
    """
    size = len(codes) + len(other_codes)
    first_raw, first = _first_rows(other_raw, size), _first_rows(other_codes, size)
    copies = np.bincount(other_codes, minlength=size)
    best = np.zeros(size)
    near_row = np.full(size, -1)
    near_copies = np.zeros(size, int)
    code, other = pairs[:, 0].astype(int), pairs[:, 1].astype(int)
    np.add.at(near_copies, code, copies[other])
    ascending = np.argsort(pairs[:, 2], kind="stable")
    near_row[code[ascending]] = first[other[ascending]]
    best[code[ascending]] = pairs[ascending, 2]
    conditions = [first_raw[raw] >= 0, first[codes] >= 0, near_row[codes] >= 0]
    return pd.DataFrame(
        {
            "row": np.select(conditions, [first_raw[raw], first[codes], near_row[codes]], -1),
            "kind": np.select(conditions, KINDS, ""),
            "similarity": np.select(conditions, [1.0, 1.0, best[codes]], 0.0),
            "matches": copies[codes] + near_copies[codes],
        }
    )


def _first_rows(codes: np.ndarray, size: int) -> np.ndarray:
    """(size,) int, the first row that has each code, -1 for none."""
    first = np.full(size, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def _conflicts(labels: pd.Series, test_labels: pd.Series, codes: np.ndarray) -> np.ndarray:
    """(test rows,) bool: a training row of the same form has another label."""
    both = pd.concat([labels.astype(object), test_labels.astype(object)], ignore_index=True)
    names = [_label_key(cell) if there else None for cell, there in zip(both, present_rows(both))]
    keys = pd.factorize(pd.Series(names, dtype=object))[0]
    n = len(labels)
    labelled = keys[:n] >= 0
    trained = pd.DataFrame({"code": codes[:n], "key": keys[:n]})[labelled]
    kinds = trained.groupby("code")["key"].agg(["nunique", "first"]).reindex(codes[n:])
    other = (kinds["nunique"] > 1) | (kinds["first"] != keys[n:])
    return (other & kinds["nunique"].notna()).to_numpy(bool) & (keys[n:] >= 0)


def _label_key(cell):
    """What two cells with the same labels share, in whatever order and type."""
    if is_cell_of_spans(cell):
        return _span_key(cell)
    if can_be_answers(cell):
        return _answer_key(cell)
    several = isinstance(cell, LISTS) or (isinstance(cell, str) and SEPARATOR in cell)
    return tuple(sorted(set(map(spelling, labels_of(cell))))) if several else spelling(cell)


def _answer_key(cell):
    """The texts of answers. A cell that cannot be read is left to whoever needs its labels."""
    try:
        return tuple(sorted({text for _, text in read_answers(cell, "")}))
    except DataError:
        return str(cell)


def _span_key(cell):
    """Labels and lengths of spans in the order of the text: where they stand depends on its blanks.
    A cell that cannot be read is left to whoever needs its labels.
    """
    try:
        return tuple((end - start, str(label)) for start, end, label in read_cell(cell, ""))
    except DataError:
        return str(cell)
