"""The evaluation suite at the end of every epoch, in the logs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from tf_transfer.devices.backend import keras
from tf_transfer.errors import DataError, check_choice
from tf_transfer.evaluation import metrics
from tf_transfer.kinds import METRICS, kind_of


class EvaluateSuite(keras.callbacks.Callback):
    """Adds the suite's metrics on validation tables to the logs: ``val_<task>_<metric>``.

    All that reads logs reads them: `EarlyStopping` and `ReduceLROnPlateau`
    (``monitor="val_mood_f1_macro"``; which way is better is known), `ModelCheckpoint`, `CSVLogger`,
    `TensorBoard`, `History`. `fit` and the strategies run it before those, wherever it stands in
    the list. What is undefined is NaN, without a warning each epoch.

    Args:
        validation: a table, or ``{split: table}``, for names ``val_<split>_<task>_<metric>``.
        metrics: those wanted; None for all that are one number.
        batch_size: as in `TransferModel.predict`.

    Raises:
        DataError: a metric of another name, or no tables.
    """

    adds_to_logs = True

    def __init__(self, validation, metrics: Sequence[str] | None = None, batch_size: int = 32):
        super().__init__()
        self.splits = dict(validation) if isinstance(validation, Mapping) else {"": validation}
        self.metrics, self.batch_size = _chosen(metrics), batch_size
        if not self.splits:
            raise DataError("EvaluateSuite needs a validation table.\nReceived an empty mapping.")
        self._supports_tf_logs = True

    def names(self, tasks) -> dict[str, bool]:
        """``{name in the logs: whether higher is better}`` for resolved tasks."""
        return {
            self._name(split, task.name, metric): METRICS[metric].higher
            for split in self.splits
            for task in tasks
            for metric in self._of(task)
        }

    def on_epoch_end(self, epoch, logs=None):
        """Raises:
        DataError: a table does not fit the tasks.
        """
        tables = {split or "validation": table for split, table in self.splits.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", metrics.UndefinedMetricWarning)
            evaluation = self.model.evaluate(tables, batch_size=self.batch_size, verbose=0)
        for split in self.splits:
            for task in self.model.tasks:
                suite = evaluation[split or "validation"].get(task.name, {})
                logs.update(
                    {
                        self._name(split, task.name, metric): float(suite[metric])
                        for metric in self._of(task)
                        if metric in suite
                    }
                )

    def _of(self, task) -> list[str]:
        return [m for m in kind_of(task).metric_names if self.metrics is None or m in self.metrics]

    @staticmethod
    def _name(split: str, task: str, metric: str) -> str:
        return "_".join(["val", *([split] if split else []), task, metric])


def _chosen(names: Sequence[str] | None) -> list[str] | None:
    if names is None:
        return None
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        check_choice("metric", name, list(METRICS))
    return names
