"""A commented experiment file from tables at hand, which runs as it is."""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tf_transfer.data import formats
from tf_transfer.data.cleaning import clean_text
from tf_transfer.data.splits import split_table
from tf_transfer.errors import DataError, LabelWarning, check_columns, listed, setting
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import Prepared
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task

BUDGETS = (16, 64, 256)
TEST_SIZE = 0.25
LENGTHS = (32, 64, 128, 256)
MOST_CLASSES = 50
"""A column of more names than this is taken for something else than a label."""
TOKENS_A_WORD = 1.5
SPLITS_TRIED = 10


@dataclasses.dataclass
class _Table:
    """A table and what its entry says: ``path`` and how it is read."""

    name: str
    rows: pd.DataFrame
    entry: dict


def draft(
    sources: Sequence[Path],
    target: Path,
    folder: Path,
    *,
    text: str | None = None,
    labels: Sequence[Task] = (),
    encoder: str = "bert-tiny",
    options: Mapping | None = None,
) -> str:
    """The text of an experiment file on these tables.

    Args:
        sources: tables of source data.
        target: the table that is split into training and test rows.
        folder: where the file will be; paths start from there.
        text: column of texts; None: called ``text``, or the one with the longest texts in each
            table.
        labels: what to predict; none: the target's columns that look like labels.
        encoder: its name or folder.
        options: how all tables are read, see `TableSpec`; a delimiter is guessed where none is
            given.

    Raises:
        DataError: a table cannot be read, has no texts, or nothing to predict is found.
    """
    options = dict(options or {})
    names = _names([*sources, target])
    tables = [_read(path, name, folder, options) for path, name in zip([*sources, target], names)]
    column = _rename_texts(tables, text)
    known, last = tables[:-1], tables[-1]
    tasks, left_out = _find_tasks(known, last, column, list(labels))
    content = {
        "encoder": {
            "name": encoder,
            "max_length": _length([table.rows[column] for table in tables]),
        },
        "text": column,
        "tasks": [_task_entry(task) for task in tasks],
        "sources": {table.name: table.entry for table in known},
        "targets": {
            last.name: last.entry | {"test_size": TEST_SIZE} | _stratified(last.rows, tasks)
        },
        "strategies": _strategies(known, last, tasks),
        "budgets": [1],
        "seeds": 3,
        "folder": folder,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LabelWarning)
        data = _prepared(content, content["targets"][last.name])
    rows = len(data.targets[last.name].train)
    content["budgets"] = [budget for budget in BUDGETS if budget <= rows] or [rows]
    told = dict.fromkeys(
        str(warning.message) for warning in caught if warning.category is LabelWarning
    )
    return _written(content, dict(zip([t.name for t in tasks], data.learned)), told, left_out, rows)


def _prepared(content: dict, target: dict) -> Prepared:
    """The tables as `compare` would use them; where a rare class fell into the test alone, of
    another split.
    """
    first = None
    for seed in range(SPLITS_TRIED):
        target |= {"split_seed": seed} if seed else {}
        try:
            return Prepared.load(load_experiment(content))
        except DataError as error:
            first = first or error
    raise first


def _task_entry(task: Task) -> dict:
    column = {"label": task.label} if task.label != task.name else {}
    return {"name": task.name, **column, "kind": task.kind, "metric": kind_of(task).primary}


# -- what the tables say ---------------------------------------------------------------------------


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each table that a file can have too, from its own."""
    names = []
    for path in paths:
        stem = re.sub(r"[^\w\- ]", "_", path.name.split(".")[0]).strip() or "table"
        name = f"{stem}_rows" if stem.casefold() == "train" else stem
        taken = {n.casefold() for n in names}
        numbered = (f"{name}_{n}" for n in range(2, len(paths) + 2))
        names.append(
            name
            if name.casefold() not in taken
            else next(n for n in numbered if n.casefold() not in taken)
        )
    return names


def _read(path: Path, name: str, folder: Path, options: dict) -> _Table:
    entry = {"path": os.path.relpath(path, folder), **options}
    if "delimiter" not in options and (
        likely := formats.likely_delimiter(path, options.get("encoding", "utf-8"))
    ):
        entry["delimiter"] = likely
    as_text = options.get("as_text", [])
    read = {
        key: entry[key] for key in ("encoding", "delimiter", "quote", "decimal") if key in entry
    }
    rows = formats.read(path, strings=as_text, **read)
    if as_text:
        entry["as_text"] = [column for column in as_text if column in rows]
    return _Table(name, rows, entry)


def _rename_texts(tables: list[_Table], text: str | None) -> str:
    """The column of texts, called so in all tables: entries say which have another one, or rows
    without.
    """
    check_columns(tables[-1].rows, [text] if text else [], f"table {tables[-1].name!r}")
    columns = [text if text in table.rows else _longest_texts(table) for table in tables]
    column = columns[-1]
    for table, own in zip(tables, columns):
        if own != column:
            check_columns(
                table.rows.rename(columns={own: column}), [column], f"table {table.name!r}"
            )
            table.rows = table.rows.rename(columns={own: column})
            table.entry["rename"] = {own: column}
        if any(not clean_text(cell) for cell in table.rows[column].fillna("").astype(str)):
            table.entry["drop_empty"] = True
    return column


def _longest_texts(table: _Table) -> str:
    if "text" in table.rows:
        return "text"
    lengths = {}
    for name, column in table.rows.items():
        texts = [cell for cell in column.dropna() if isinstance(cell, str)]
        if any(" " in cell.strip() for cell in texts):
            lengths[name] = sum(map(len, texts)) / len(texts)
    if not lengths:
        raise DataError(
            f"Table {table.name!r} must have a column of texts.\n"
            f"Received the columns {listed(list(table.rows), 20)}.\nName it: "
            f"{setting('text', 'COLUMN')}."
        )
    return max(lengths, key=lengths.get)


def _find_tasks(
    sources: list[_Table], target: _Table, text: str, asked: list[Task]
) -> tuple[list[Task], list[str]]:
    """What can be predicted, and a line on each column of the target that is not."""
    tasks, left_out = [], []
    candidates = asked or [
        Task(re.sub("/", "_", name), name) for name in map(str, target.rows) if name != text
    ]
    for task in candidates:
        check_columns(target.rows, [task.label], f"table {target.name!r}")
        columns = [
            table.rows[task.label] for table in (*sources, target) if task.label in table.rows
        ]
        joined = pd.concat([column.astype(object) for column in columns], ignore_index=True)
        reason = (
            "in no source" if sources and len(columns) == 1 else _no_label(target.rows[task.label])
        )
        if reason and not asked:
            left_out.append(f"{task.label}: {reason}")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LabelWarning)
                resolved = task.resolve(pd.DataFrame({task.label: joined}))
        except DataError as error:
            if asked:
                raise
            left_out.append(f"{task.label}: {str(error).splitlines()[0]}")
            continue
        if len(resolved.classes) > MOST_CLASSES and not asked:
            left_out.append(f"{task.label}: {len(resolved.classes)} different values")
        else:
            tasks.append(dataclasses.replace(task, kind=resolved.kind))
    if not tasks:
        raise DataError(
            f"Table {target.name!r} must have a column to predict that a source has too.\n"
            + "".join(f"Not used is {line}\n" for line in left_out)
            + f"Name it: {setting('label', 'COLUMN')}, and give columns that mean the same one "
            "name."
        )
    return tasks, left_out


def _no_label(column: pd.Series) -> str:
    """Why a column is no label; empty where it may be one."""
    values = column.dropna()
    whole = pd.api.types.is_integer_dtype(values)
    named = values.map(lambda cell: isinstance(cell, str)).all() and len(values)
    if (whole or named) and len(values) > 2 and values.map(str).is_unique:
        return "every row has its own value"
    return "" if len(values) else "no values"


def _stratified(table: pd.DataFrame, tasks: Sequence[Task]) -> dict:
    """Keeps the shares of the first task's classes in the test, where there are rows enough."""
    for task in tasks:
        if kind_of(task).one_class:
            try:
                split_table(table, TEST_SIZE, stratify=task.label)
                return {"stratify": task.label}
            except DataError:
                continue
    return {}


def _length(columns: Sequence[pd.Series]) -> int:
    """The most tokens a text, enough for nearly all of them."""
    words = pd.concat(columns).fillna("").astype(str).str.split().str.len()
    tokens = TOKENS_A_WORD * words.quantile(0.95)
    return next((length for length in LENGTHS if length >= tokens), LENGTHS[-1])


def _strategies(sources: Sequence[_Table], target: _Table, tasks: Sequence[Task]) -> list:
    """Word counts are taken of the source, too, where it names most of the target's labels."""
    alone = {"uses_source": False}
    of_texts = all(kind_of(task).reads == "text" for task in tasks)
    of_spans = all(kind_of(task).spans for task in tasks)
    solvable = all(kind_of(task).link is not None for task in tasks)
    probe = ["linear_probe"] if solvable else []
    of_questions = all(kind_of(task).answers_questions for task in tasks)
    counts = ["tfidf"] if of_texts else ["lexicon", "word_windows"] if of_spans else []
    counts += ["word_overlap"] if of_questions else []
    constant = ["majority"] if of_texts else []
    if not sources:
        alone_too = [{name: alone} for name in (*probe, *counts)]
        return ["target_only", *alone_too, *constant]
    if of_spans and not all(_names_most(sources, target, task) for task in tasks):
        counts = [{name: alone} for name in counts]
    return ["target_only", "fine_tune", "multi_task", *probe, *counts, *constant]


def _names_most(sources: Sequence[_Table], target: _Table, task: Task) -> bool:
    """Whether sources have at least half of the target's labels of a task."""
    rows = [table.rows.reindex(columns=[task.label]) for table in (*sources, target)]
    joined = pd.concat(rows, ignore_index=True).astype(object)
    y, present = task.resolve(joined).encode(joined)
    of_target = np.arange(len(joined)) >= len(joined) - len(target.rows)
    known, wanted = y[np.flatnonzero(present & ~of_target)], y[np.flatnonzero(present & of_target)]
    return kind_of(task).known_share(wanted, known) >= 0.5


# -- the file --------------------------------------------------------------------------------------


def _written(
    content: dict, learned: dict, told: Iterable[str], left_out: list[str], rows: int
) -> str:
    names = list(content["targets"])
    question = "What works best on"
    if content["sources"]:
        question = "Does what the sources teach help on"
    lines = [
        f"# {question} the target, and by how much?",
        "# Run it with: tf-transfer compare FILE. Keys are explained in docs/guide/your_data.md.",
        f"encoder: {_flow(content['encoder'])}  # minilm is stronger, and takes longer",
        f"text: {_flow(content['text'])}  # the column of texts, in all tables",
        "",
        "# What is predicted. Empty cells are no labels.",
        "tasks:",
    ]
    for task in content["tasks"]:
        lines += [f"  # {learned[task['name']]}", f"  - {_flow(task)}"]
    lines += [f"  # {line}" for message in told for line in message.splitlines()]
    lines += [f"  # not used is {line}" for line in left_out]
    if content["sources"]:
        lines += [
            "",
            "# What there is plenty of. rename: {theirs: ours} gives a column the name it has "
            "here.",
        ]
        lines += ["sources:"]
        lines += [f"  {_flow(name)}: {_flow(entry)}" for name, entry in content["sources"].items()]
    lines += [
        "",
        "# What counts. A column such as group: customer keeps rows that belong together on one "
        "side.",
    ]
    lines += ["targets:"]
    lines += [f"  {_flow(name)}: {_flow(content['targets'][name])}" for name in names]
    lines += [
        "",
        "# Ways of transferring: each is compared with itself without the source.",
        "strategies:",
    ]
    lines += [f"  - {_flow(strategy)}" for strategy in content["strategies"]]
    lines += [
        "",
        f"# Labelled target rows that may be used; {rows} are there beside the test.",
        f"budgets: {_flow(content['budgets'])}",
        f"seeds: {content['seeds']}  # more seeds, surer verdicts",
    ]
    if len(content["sources"]) > 1:
        lines += [
            "# leave_one_out: [linear_probe]  # also without each source: which one carries the "
            "gain"
        ]
    return "\n".join(lines) + "\n"


def _flow(value) -> str:
    """The value as YAML on one line."""
    written = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return written.removesuffix("...\n").strip()
