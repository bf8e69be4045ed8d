"""Labels that look alike, or that look like no label: named before they teach a wrong model without
a word.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from tf_transfer.checks.characters import normalise
from tf_transfer.errors import LabelWarning, setting, shown
from tf_transfer.kinds.class_types import typed_class
from tf_transfer.kinds.label_columns import number_of, spelling

NO_LABEL = frozenset(
    {
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "<na>",
        "nan",
        "nil",
        "none",
        "null",
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "?",
        "-100",
    }
)
"""How people and programs write that there is no label; -100 is what loss functions of PyTorch
leave out.
"""
MOST_SHOWN = 10


def check_spellings(
    task: str, column: str, counts: Mapping[object, int], decided: Collection[str] = ()
) -> None:
    """Warns of classes that differ only by case, blanks, Unicode form or way of writing a number,
    and of no labels.

    Args:
        task, column: for the message.
        counts: rows of each label as it is written.
        decided: spellings that the user has named, and that need no warning.
    """
    classes = class_counts(
        {label: rows for label, rows in counts.items() if spelling(label) not in decided}
    )
    groups = list(_look_alikes(classes))
    empty = [name for name in classes if spelling(name).casefold() in NO_LABEL]
    padded = [label for label in counts if isinstance(label, str) and label != label.strip()]
    lines = [
        counted(group, classes) + " look alike: each is a class of its own" for group in groups
    ]
    lines += [
        counted([name], classes) + " may mean that there is no label: it is a class"
        for name in empty
    ]
    lines += (
        [counted(padded[:5], counts) + ": blanks around a label do not count"] if padded else []
    )
    if not lines:
        return
    more = f"\n  and {len(lines) - MOST_SHOWN} more" if len(lines) > MOST_SHOWN else ""
    example = {spelling(group[1]): group[0] for group in groups[:1]} | {
        spelling(name): None for name in empty[:1]
    }
    remedy = (
        f"\nSay what is meant in the task, for instance {setting('labels', example, _ELSEWHERE)}."
        if example
        else ""
    )
    warnings.warn(
        f"Labels of task {task!r} in column {column!r}:\n  "
        + "\n  ".join(lines[:MOST_SHOWN])
        + more
        + remedy,
        LabelWarning,
        stacklevel=4,
    )


def class_counts(counts: Mapping[object, int]) -> Counter:
    """Rows of each class, from those of each label as it is written."""
    classes = Counter()
    for label, rows in counts.items():
        classes[typed_class(label)] += rows
    return classes


_ELSEWHERE = "with labels of Task in Python, or of the task in an experiment file"


def _look_alikes(classes: Counter) -> Iterator[list]:
    """Groups of classes that differ only in their spelling, the most frequent of each first."""
    groups = defaultdict(list)
    for name, _ in classes.most_common():
        groups[_key(name)].append(name)
    return (group for group in groups.values() if len(group) > 1)


def _key(label):
    """What stays of a label without case, blanks and Unicode form; numbers by what they are
    worth.
    """
    if not isinstance(label, str):
        return label
    folded = normalise(normalise(label, "NFKC").casefold(), "NFKC")
    kept = "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
    number = number_of(kept)
    return kept if number is None else number


def counted(labels: Collection, counts: Mapping[object, int]) -> str:
    """The labels, each with its number of rows."""
    return ", ".join(f"{shown(label)} ({counts.get(label, 0)})" for label in labels)
