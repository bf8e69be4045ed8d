"""Scoring a model on splits: the full suite for every split and task, over whole splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, check_choice, listed
from tf_transfer.evaluation import metrics
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.class_metrics import BY_CLASS
from tf_transfer.kinds.class_types import class_to_json
from tf_transfer.kinds.tasks import Task

Truth = tuple[np.ndarray, np.ndarray]
"""Labels of a task and whether each row has one, as `Task.encode` returns them."""


class Evaluation(Mapping):
    """Metrics by split, task and name: ``evaluation["test"]["sentiment"]["f1_macro"]``.

    A tuple works as well: ``evaluation["test", "sentiment", "f1_macro"]``. Prints as a table,
    renders in a notebook.

    Args:
        results: ``{split: {task: suite}}``, suites as `evaluation.metrics.suite` returns them.
        tasks: the resolved tasks.
        rows: ``{split: {task: number of labelled rows}}``.

    Example:
        >>> mood = Task("mood", kind="classification", classes=("glad", "sad"))
        >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> said = Predictions(mood=Prediction(mood, probabilities))
        >>> labels = np.array([0, 1, 1])
        >>> scores = score([mood], {"test": said}, {"test": {"mood": (labels, np.ones(3, bool))}})
        >>> round(float(scores["test", "mood", "accuracy"]), 3), scores.rows
        (0.667, {'test': {'mood': 3}})
        >>> scores.confusion("test", "mood").loc["sad", "glad"].item()  # taken for glad
        1
    """

    def __init__(self, results: Mapping, tasks: Iterable[Task], rows: Mapping):
        self._results = {split: dict(by_task) for split, by_task in results.items()}
        self.tasks = {task.name: task for task in tasks}
        self.rows = {split: dict(by_task) for split, by_task in rows.items()}

    def __getitem__(self, key):
        results = self._results
        for part in key if isinstance(key, tuple) else (key,):
            results = results[part]
        return results

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __eq__(self, other) -> bool:
        return isinstance(other, Evaluation) and self.to_dict() == other.to_dict()

    __hash__ = None

    def __str__(self) -> str:
        return self.table().to_string(line_width=110)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().to_html(border=0, escape=True)

    def table(self) -> pd.DataFrame:
        """The scalar metrics as text: metrics in rows, ``split/task`` in columns; blank: not of
        this kind.
        """
        columns = {}
        for split, task, suite in self._suites():
            scalars = kind_of(self.tasks[task]).metric_names
            cells = {"rows": f"{self.rows[split][task]:,}"}
            columns[f"{split}/{task}"] = cells | {m: _formatted(suite[m]) for m in scalars}
        order = dict.fromkeys(m for cells in columns.values() for m in cells)
        return pd.DataFrame(columns, index=list(order), dtype=object).fillna("")

    def per_class(self, split: str, task: str) -> pd.DataFrame:
        """Precision, recall, F1 and support (rows) of each class.

        Raises:
            DataError: an unknown split or task, or a regression.
        """
        suite = self._suite_with_classes(split, task)
        columns = {name: suite[name] for name in (*BY_CLASS, "support")}
        return pd.DataFrame(columns, index=pd.Index(self.tasks[task].classes, name=task))

    def confusion(self, split: str, task: str) -> pd.DataFrame:
        """Numbers of rows: true classes in rows, predicted classes in columns.

        Raises:
            DataError: an unknown split or task, or a task that is no classification.
        """
        suite = self._suite_with_classes(split, task)
        if "confusion_matrix" not in suite:
            raise DataError(
                f"Only a classification has a confusion matrix.\nReceived task {task!r}."
            )
        classes = self.tasks[task].classes
        index, columns = pd.Index(classes, name="true"), pd.Index(classes, name="predicted")
        return pd.DataFrame(suite["confusion_matrix"], index=index, columns=columns)

    def to_frame(self) -> pd.DataFrame:
        """One number a row: split, task, metric, class (None for the scalars), value.

        The confusion matrix is left to `confusion`.
        """
        records = []
        for split, task, suite in self._suites():
            records.append((split, task, "rows", None, self.rows[split][task]))
            for metric, value in suite.items():
                if np.ndim(value) == 0:
                    records.append((split, task, metric, None, value))
                elif np.ndim(value) == 1:
                    classes = self.tasks[task].classes
                    records += [(split, task, metric, c, v) for c, v in zip(classes, value)]
        split, task, metric, classes, value = zip(*records)
        classes = pd.Series(classes, dtype=object)
        columns = {"split": split, "task": task, "metric": metric, "class": classes, "value": value}
        return pd.DataFrame(columns).astype({"value": np.float64})

    def to_dict(self) -> dict:
        """For JSON: ``{split: {task: {"kind", "classes", "rows", "metrics"}}}``; NaN becomes
        None.
        """
        result: dict = {split: {} for split in self}
        for split, name, suite in self._suites():
            task = self.tasks[name]
            result[split][name] = {
                "kind": task.kind,
                "classes": [class_to_json(c) for c in task.classes],
                "rows": self.rows[split][name],
                "metrics": {metric: _plain(value) for metric, value in suite.items()},
            }
        return result

    def _suites(self) -> Iterator[tuple[str, str, dict]]:
        for split, by_task in self._results.items():
            for task, suite in by_task.items():
                yield split, task, suite

    def _suite_with_classes(self, split, task) -> dict:
        check_choice("split", split, list(self))
        check_choice(f"task of split {split!r}", task, list(self[split]))
        if not kind_of(self.tasks[task]).has_classes:
            raise DataError(f"A {self.tasks[task].kind} has no classes.\nReceived task {task!r}.")
        return self[split][task]


def evaluate(model, splits: Mapping[str, pd.DataFrame] | pd.DataFrame) -> Evaluation:
    """Score a model on tables.

    Args:
        model: anything with ``tasks``, a list of resolved `Task`, and ``predict(table) ->
            Predictions``.
        splits: ``{name: table}``, or one table, which is called ``"test"``. Rows without a label do
            not count for that task; a task without labels in a split is left out there.

    Raises:
        DataError: a split without rows or labels, or labels that `Task.encode` refuses. All splits
            are checked before the first prediction.
    """
    splits = _named(splits)
    truths = {name: encode_split(model.tasks, table, name) for name, table in splits.items()}
    predictions = {name: model.predict(table) for name, table in splits.items()}
    return score(model.tasks, predictions, truths)


def encode_split(tasks: Iterable[Task], table: pd.DataFrame, split: str) -> dict[str, Truth]:
    """The labels of every task that has any in ``table``.

    Raises:
        DataError: there is none, or `Task.encode` refuses one.
    """
    truths = {task.name: task.encode(table, f"split {split!r}") for task in tasks}
    truths = {name: truth for name, truth in truths.items() if truth[1].any()}
    if not truths:
        raise DataError(
            f"Split {split!r} must have labels for at least one task.\n"
            f"Received {len(table)} rows without a label in {listed([t.label for t in tasks])}; "
            f"its columns are {listed(list(table.columns), most=20)}.\n"
            "To have predictions without scores, call predict."
        )
    return truths


def score(
    tasks: Iterable[Task],
    predictions: Mapping[str, Predictions],
    truths: Mapping[str, Mapping[str, Truth]],
) -> Evaluation:
    """Score predictions that exist already.

    Args:
        tasks: resolved tasks.
        predictions: ``{split: {task: Prediction}}``.
        truths: ``{split: {task: (y, present)}}``, rows in the order of the predictions; tasks that
            are missing here are not scored.

    Raises:
        DataError: a split or task without predictions, or with another number of rows.
    """
    tasks = list(tasks)
    for split in truths:
        check_choice("split with labels", split, list(predictions))
    results = {
        split: score_split(tasks, predictions[split], truths[split], split) for split in truths
    }
    rows = {s: {t: int(truth[1].sum()) for t, truth in truths[s].items()} for s in truths}
    return Evaluation(results, tasks, rows)


def score_split(
    tasks: Iterable[Task],
    predictions: Mapping[str, Prediction],
    truths: Mapping[str, Truth],
    split: str = "",
) -> dict[str, dict]:
    """``{task: suite}`` of one split; arguments as for `score`.

    Raises:
        DataError: see `score`.
    """
    suites = {}
    for task in (task for task in tasks if task.name in truths):
        check_choice(f"task with predictions for split {split!r}", task.name, list(predictions))
        (y, present), scores = truths[task.name], predictions[task.name].scores
        if len(scores) != len(y):
            raise DataError(
                f"Predictions of task {task.name!r} for split {split!r} must have a row for each "
                "label.\n"
                f"Received {len(scores)} predictions and {len(y)} rows."
            )
        suites[task.name] = metrics.suite(task, y[present], scores[present], f"{split}/{task.name}")
    return suites


def _named(splits) -> dict[str, pd.DataFrame]:
    splits = {"test": splits} if isinstance(splits, pd.DataFrame) else splits
    if not isinstance(splits, Mapping) or not splits:
        raise DataError(
            "evaluate takes a table, or a mapping of names to tables.\nReceived "
            f"{type(splits).__name__}"
            f"{' without entries' if isinstance(splits, Mapping) else ''}."
        )
    for name, table in splits.items():
        if not isinstance(table, pd.DataFrame) or not len(table):
            what = "a table of 0 rows" if isinstance(table, pd.DataFrame) else type(table).__name__
            raise DataError(
                f"Split {name!r} must be a table with at least one row.\nReceived {what}."
            )
    return dict(splits)


def _formatted(value: float) -> str:
    return f"{value:.4f}" if not abs(value) >= 1000 else f"{value:,.1f}"


def _plain(value):
    """Numbers and nested lists of plain Python, None for NaN."""
    if np.ndim(value):
        return [_plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value
