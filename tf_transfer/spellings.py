"""Labels that look alike, or that look like no label: named before they teach a wrong model without a word."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from tf_transfer.characters import normalise
from tf_transfer.class_types import typed_class
from tf_transfer.errors import DataError, LabelWarning, setting, shown
from tf_transfer.indicators import Indicators, checked_indicators
from tf_transfer.label_columns import Kind, labels_in, number_of, present_rows, relabel, spelling

NO_LABEL = frozenset(
    {"na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nil", "none", "null", "-", "--", "---", "–", "—", ".", "?", "-100"}
)
"""How people and programs write that there is no label; -100 is what loss functions of PyTorch leave out."""
MOST_SHOWN = 10
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?")


def check_spellings(task: str, column: str, counts: Mapping[object, int], decided: Collection[str] = ()) -> None:
    """Warns of classes that differ only by case, blanks, Unicode form or way of writing a number, and of no labels.

    Args:
        task, column: for the message.
        counts: rows of each label as it is written.
        decided: spellings that the user has named, and that need no warning.
    """
    classes = class_counts({label: rows for label, rows in counts.items() if spelling(label) not in decided})
    groups = list(_look_alikes(classes))
    empty = [name for name in classes if spelling(name).casefold() in NO_LABEL]
    padded = [label for label in counts if isinstance(label, str) and label != label.strip()]
    lines = [counted(group, classes) + " look alike: each is a class of its own" for group in groups]
    lines += [counted([name], classes) + " may mean that there is no label: it is a class" for name in empty]
    lines += [counted(padded[:5], counts) + ": blanks around a label do not count"] if padded else []
    if not lines:
        return
    more = f"\n  and {len(lines) - MOST_SHOWN} more" if len(lines) > MOST_SHOWN else ""
    example = {spelling(group[1]): group[0] for group in groups[:1]} | {spelling(name): None for name in empty[:1]}
    remedy = (
        f"\nSay what is meant in the task, for instance {setting('labels', example, _ELSEWHERE)}." if example else ""
    )
    warnings.warn(
        f"Labels of task {task!r} in column {column!r}:\n  " + "\n  ".join(lines[:MOST_SHOWN]) + more + remedy,
        LabelWarning,
        stacklevel=3,
    )


def class_counts(counts: Mapping[object, int]) -> Counter:
    """Rows of each class, from those of each label as it is written."""
    classes = Counter()
    for label, rows in counts.items():
        classes[typed_class(label)] += rows
    return classes


def label_counts(task, column: pd.Series, kind: Kind) -> tuple[Counter, Indicators | None]:
    """Rows of each label in a column as it is written, and the 0 and 1 for each class that it may hold instead.

    Args:
        task: a `Task`; its kind and classes may be open.
        column: its labels, after `relabel`.
        kind: no regression.
    """
    cells = column.to_numpy(object)[present_rows(column)]
    indicators = checked_indicators(task, cells, "the training table") if kind == "multilabel" else None
    if indicators is None:
        return Counter(label for _, labels in labels_in(column, kind, task.name) for label in labels), None
    names = indicators.classes if indicators.named else task.classes or indicators.classes
    return Counter(dict(zip(names, indicators.on.sum(0).tolist()))), indicators


_ELSEWHERE = "with labels of Task in Python, or of the task in an experiment file"


def check_numbers(task: str, column: pd.Series, kind: Kind) -> None:
    """Whether the inferred ``kind`` of the texts in ``column`` (the present rows) is sure.

    Raises:
        DataError: they may be numbers with a decimal comma; or a regression would take two of them
            for one number.
    """
    texts = {cell.strip() for cell in column if isinstance(cell, str)}
    if kind == "classification" and any("," in text for text in texts) and all(map(_DECIMAL_COMMA.fullmatch, texts)):
        example = next(text for text in sorted(texts) if "," in text)
        raise DataError(
            f"Labels of task {task!r} must be numbers with a decimal point, names, or lists with '|'.\n"
            f"Received {example!r} in column {column.name!r}.\n"
            f"If numbers are meant, read the table with {setting('decimal', ',')}; if names, "
            f"{setting('kind', 'classification', f'--label {column.name}:classification')}."
        )
    ways = defaultdict(set)
    for text in texts if kind == "regression" else ():
        ways[number_of(text)].add(text)
    several = next((sorted(way) for _, way in sorted(ways.items()) if len(way) > 1), None)
    if several:
        raise DataError(
            f"Labels of task {task!r} must be numbers or names.\n"
            f"Received {' and '.join(map(repr, several[:3]))} in column {column.name!r}: one number, or two names.\n"
            f"Say which: {setting('kind', 'regression', f'--label {column.name}:regression')}, or 'classification'."
        )


def describe(task, table: pd.DataFrame, most: int = 20) -> str:
    """One line on what a resolved `Task` learns from ``table``: its classes with their numbers of rows."""
    column = relabel(table[task.label], task.labels)
    present = present_rows(column)
    missing = f"; {_rows((~present).sum())} without a label" if not present.all() else ""
    if task.kind == "regression":
        return f"{task.name} (regression): {_rows(present.sum())} with a number{missing}"
    counts = class_counts(label_counts(task, column, task.kind)[0])
    more = f" and {len(task.classes) - most} more" if len(task.classes) > most else ""
    classes = counted(task.classes[:most], counts)
    return f"{task.name} ({task.kind}): {len(task.classes)} classes with rows: {classes}{more}{missing}"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _look_alikes(classes: Counter) -> Iterator[list]:
    """Groups of classes that differ only in their spelling, the most frequent of each first."""
    groups = defaultdict(list)
    for name, _ in classes.most_common():
        groups[_key(name)].append(name)
    return (group for group in groups.values() if len(group) > 1)


def _key(label):
    """What stays of a label without case, blanks and Unicode form; numbers by what they are worth."""
    if not isinstance(label, str):
        return label
    folded = normalise(normalise(label, "NFKC").casefold(), "NFKC")
    kept = "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
    number = number_of(kept)
    return kept if number is None else number


def counted(labels: Collection, counts: Mapping[object, int]) -> str:
    """The labels, each with its number of rows."""
    return ", ".join(f"{shown(label)} ({counts.get(label, 0)})" for label in labels)
