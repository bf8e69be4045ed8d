"""Where candidates are trained and scored: one model for all trials of equal settings, and its
traced steps.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Mapping

import numpy as np

from tf_transfer.evaluation import metrics
from tf_transfer.evaluation.fitted import Fitted, Predictor
from tf_transfer.evaluation.scores import encode_split, score_split
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.runner import Runner
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.tuning.plan import Plan
from tf_transfer.tuning.settings import SETTINGS, with_settings
from tf_transfer.tuning.space import Candidate
from tf_transfer.tuning.validation import Measurement

MOST_MODELS = 4
"""With their traced steps, in memory; a search over numbers, such as rates of dropout, asks for
ever new ones.
"""


class Bench:
    """Trains as `compare` does, from the same pretrained weights for every measurement.

    Args:
        experiment: with the encoder that candidates without settings have.
        plan: of the search.
    """

    def __init__(self, experiment: Experiment, plan: Plan):
        self.experiment, self.plan = experiment, plan
        self._runners: dict[tuple, Runner] = {}
        self._adapted: dict[tuple, Predictor] = {}
        self._fitted: tuple[str, Fitted | None] = ("", None)
        self._tried = ""

    @property
    def encoder_hash(self) -> str:
        """Of the encoder's weights, configuration and tokenizer."""
        return self._runner({})[1].encoder_hash

    def auto(self, strategy, field: str) -> float:
        """What ``"auto"`` stands for in a learning rate of a strategy, with all labels of the
        budget.
        """
        return strategy.auto_rate(field, self._runner({})[1].model, self.plan.budget)

    def measure(self, candidate: Candidate, measurement: Measurement) -> dict:
        """One training of a candidate.

        Returns:
            ``{"seconds": float, "scores": {task: {metric: value}}}`` of the validation rows, for
            the tasks that the support has labels of; an undefined metric is None.

        Raises:
            TransferError: the candidate cannot learn from these tables, or diverges.
        """
        start = time.perf_counter()
        place, runner = self._runner(candidate.settings)
        self._fit(candidate, measurement, runner)
        strategy, fitted = candidate.strategy, self._fitted[1]
        out = self._adapted.get(place) if strategy.uses_encoder else None
        if out is not None:
            out.options["max_length"] = runner.model.options["max_length"]
        adapted = strategy.adapt(fitted, measurement.support, seed=measurement.seed, out=out)
        if strategy.uses_encoder:
            self._adapted[place] = adapted
        predictions = adapted.predict(measurement.validation, verbose=0)
        truths = encode_split(self.plan.tasks, measurement.validation, measurement.name)
        taught = [
            t
            for t in self.plan.tasks
            if t.name in predictions and t.encode(measurement.support)[1].any()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", metrics.UndefinedMetricWarning)
            suites = score_split(taught, predictions, truths, measurement.name)
        scores = {
            task.name: _scalars(suites[task.name], task) for task in taught if task.name in suites
        }
        return {"seconds": time.perf_counter() - start, "scores": scores}

    def _fit(self, candidate: Candidate, measurement: Measurement, runner: Runner) -> None:
        """Source training, unless the last measurement's is the one."""
        stage = f"{candidate.key} {measurement.stage}"
        if self._fitted[0] == stage:
            return
        if self._tried != candidate.key:
            for model in (runner.model, *self._adapted.values()):
                # traced for the arguments of the last candidate
                model.traced.clear()
            self._tried = candidate.key
        self._fitted = ("", None)
        runner.reset(measurement.seed)
        runner.model.options["max_length"] = candidate.settings.get(
            "max_length", self.experiment.encoder.max_length
        )
        sources = {name: self.plan.sources[name] for name in measurement.sources}
        self._fitted = (stage, candidate.strategy.fit(runner.model, sources, seed=measurement.seed))

    def _runner(self, settings: Mapping) -> tuple[tuple, Runner]:
        """The model of some settings, all but the length of texts, made when first asked for."""
        experiment = with_settings(self.experiment, settings)
        weights = tuple(t.loss_weight for t in experiment.tasks)
        place = *(getattr(experiment.encoder, k) for k in SETTINGS if k != "max_length"), *weights
        if place not in self._runners:
            if len(self._runners) == MOST_MODELS:
                oldest = next(iter(self._runners))
                self._runners.pop(oldest)
                self._adapted.pop(oldest, None)
                self._fitted = ("", None)  # which may hold it
            tasks = [
                dataclasses.replace(t, loss_weight=w) for t, w in zip(self.plan.tasks, weights)
            ]
            self._runners[place] = Runner(experiment, tasks)
        return place, self._runners[place]


def _scalars(suite: Mapping, task: Task) -> dict[str, float | None]:
    """The metrics that are one number, None for NaN."""
    values = {name: float(suite[name]) for name in kind_of(task).metric_names}
    return {name: None if np.isnan(value) else value for name, value in values.items()}
