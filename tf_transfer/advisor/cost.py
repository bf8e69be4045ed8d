"""What training will cost, from a few steps of it that are run and timed on this machine, now."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from tf_transfer.data.tables import join_tables
from tf_transfer.devices.backend import tf
from tf_transfer.evaluation.fitted import Fitted, Predictor
from tf_transfer.strategies import FineTune, LinearProbe, Strategy
from tf_transfer.strategies.meta import MetaStrategy
from tf_transfer.strategies.target_training import TargetTraining
from tf_transfer.training.gradient_rules import GradientRule

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

ENOUGH = 1.0
"""Seconds of steps after which a step's time is known well enough."""

MOST_STEPS = 100
"""The most steps that are run to time one."""

LOOKED_AT = 500
"""The most batches that are looked at to know the lengths of all."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds of one strategy on one target and budget; predicting the test rows is not among them.

    Args:
        source: one source training, which all targets and budgets of a seed share.
        target: one target training.
        once: what only the first training of a run pays: tracing and compiling the step, and frozen
            features.
    """

    source: float
    target: float
    once: float

    @property
    def total(self) -> float:
        """Source and target training of one model."""
        return self.source + self.target


@dataclasses.dataclass(frozen=True)
class StepTime:
    """``steps`` steps of training take ``start + steps * step`` seconds, the first time ``once``
    more.
    """

    start: float
    step: float
    once: float

    def seconds(self, steps: int) -> float:
        return self.start + steps * self.step


class CostMeter:
    """Predicts training times from timed steps of the real training loop.

    Gradient steps are timed on the real rows, in the batches of the real training, so that lengths
    count. A strategy that solves or counts is run as it is, on the sampled rows of the sources, and
    its time taken to grow in proportion.

    Args:
        model: `TransferModel` with the pretrained encoder; it stays as it is but for its heads.
        sources: ``{name: table}``, whole.
        sampled: the rows of them that measurements of frozen features use.
    """

    def __init__(
        self,
        model: TransferModel,
        sources: dict[str, pd.DataFrame],
        sampled: dict[str, pd.DataFrame],
    ):
        self.model, self.sources, self.sampled = model, sources, sampled
        self._copy = model.copy()
        self._whole = sum(map(len, sources.values())) / sum(map(len, sampled.values()))
        self._steps: dict[tuple, StepTime] = {}
        self._fits: dict[Strategy, tuple[Fitted, float, float]] = {}
        self._adaptations: dict[tuple, float] = {}
        self._outs: dict[type, Predictor] = {}

    def cost(self, strategy: Strategy, target: str, support: pd.DataFrame) -> Cost:
        """What training on the sources and on ``support`` will take.

        Args:
            target: name of the target, for which steps are timed once a batch size.
            support: target rows of a budget, or others like them.
        """
        if strategy.timed_by == "steps":
            return self._gradient_cost(strategy, target, support)
        fitted, source, once = self._fit(strategy)
        seconds = self._adapt_seconds(strategy, fitted, target, support)
        return Cost(source, seconds, once)

    # -- gradient steps ----------------------------------------------------------------------------

    def _gradient_cost(self, strategy: TargetTraining, target: str, support: pd.DataFrame) -> Cost:
        source, once = self._source_cost(strategy) if strategy.uses_source else (0.0, 0.0)
        batch_size = min(strategy.adapt_batch_size, len(support))
        known = self._time_step(target, support, batch_size)
        seconds = known.seconds(
            strategy.adapt_passes(len(support)) * math.ceil(len(support) / batch_size)
        )
        if strategy.head_start:
            probe = LinearProbe(uses_source=False)
            seconds += self._adapt_seconds(probe, self.model, target, support)
        return Cost(source, seconds, once + known.once)

    def _source_cost(self, strategy: FineTune) -> tuple[float, float]:
        parts = strategy.parts_of({name: len(table) for name, table in self.sources.items()})
        table = join_tables(list(self.sources.values()))
        rule = getattr(strategy, "gradient_rule", "sum")
        known = self._time_step("sources", table, min(strategy.batch_size, len(table)), rule)
        steps = [strategy.epochs * math.ceil(n / min(strategy.batch_size, n)) for n in parts]
        return sum(map(known.seconds, steps)), known.once

    def _time_step(
        self, name: str, table: pd.DataFrame, batch_size: int, rule: str | GradientRule = "sum"
    ) -> StepTime:
        key = name, batch_size, rule
        if key not in self._steps:
            first, warmed = self._warm_up(table, batch_size, rule)
            few = self._time_steps(table, batch_size, 4, rule)
            # More steps until they take long enough to tell their time from the start's.
            many = min(MOST_STEPS, 4 + max(4, math.ceil(4 * ENOUGH / few)))
            long, few = (
                self._time_steps(table, batch_size, many, rule),
                min(few, self._time_steps(table, batch_size, 4, rule)),
            )
            step = max((long - few) / (many - 4), 0.1 * long / many)
            start = max(few - 4 * step, 0.0)
            self._steps[key] = StepTime(start, step, max(first - start - warmed * step, 0.0))
        return self._steps[key]

    def _warm_up(self, table: pd.DataFrame, batch_size: int, rule) -> tuple[float, int]:
        """One step of every length that batches have: each is compiled at its first. Seconds and
        steps.
        """
        dataset = self._dataset(table, batch_size, 1)
        lengths = [int(tf.shape(x["input_ids"])[1]) for x, _, _ in dataset.take(LOOKED_AT)]
        firsts = tf.constant([lengths.index(length) for length in sorted(set(lengths))], tf.int64)
        chosen = (
            dataset.enumerate()
            .filter(lambda i, _: tf.reduce_any(i == firsts))
            .map(lambda _, batch: batch)
        )
        _, seconds = timed(lambda: self._run_steps(chosen, len(firsts), rule))
        return seconds, len(firsts)

    def _time_steps(self, table: pd.DataFrame, batch_size: int, steps: int, rule) -> float:
        """Seconds of ``steps`` steps with all that comes before them, as `strategies.base.train`
        makes them.
        """
        _, seconds = timed(
            lambda: self._run_steps(self._dataset(table, batch_size, steps), steps, rule)
        )
        return seconds

    def _dataset(self, table: pd.DataFrame, batch_size: int, steps: int):
        epochs = math.ceil(steps * batch_size / len(table))
        options = {"shuffle": True, "batch_size": batch_size, "epochs": epochs, "keep_trunk": True}
        return self._copy.dataset(table, note_labels=True, **options)

    def _run_steps(self, dataset, steps: int, rule: str | GradientRule) -> None:
        self._copy.start_run("auto", 0, rule)
        self._copy.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0)

    # -- strategies that solve, count, or learn from episodes --------------------------------------

    def _fit(self, strategy: Strategy) -> tuple[Fitted, float, float]:
        """What ``fit`` gives, the seconds that it will take on all source rows, and those of the
        first time.
        """
        if strategy not in self._fits:
            if strategy.timed_by == "episodes":
                self._fits[strategy] = self._fit_episodes(strategy)
            else:
                _, first = timed(lambda: strategy.fit(self.model, self.sampled))
                fitted, again = timed(lambda: strategy.fit(self.model, self.sampled))
                self._fits[strategy] = (
                    fitted,
                    again * self._whole,
                    max(first - again, 0.0) * self._whole,
                )
        return self._fits[strategy]

    def _fit_episodes(self, strategy: MetaStrategy) -> tuple[Fitted, float, float]:
        model = self.model.copy(out=self._copy)
        _, first = timed(lambda: strategy.fit(model, self.sources, steps=1))
        _, one = timed(lambda: strategy.fit(model, self.sources, steps=1))
        fitted, three = timed(lambda: strategy.fit(model, self.sources, steps=3))
        step = max((three - one) / 2, 0.1 * three)
        return fitted, max(one - step, 0.0) + strategy.steps * step, max(first - one, 0.0)

    def _adapt_seconds(
        self, strategy: Strategy, fitted: Fitted | Predictor, target: str, support: pd.DataFrame
    ) -> float:
        key = strategy, target, len(support)
        if key not in self._adaptations:
            kind = type(strategy)
            if kind not in self._outs:  # the first adaptation builds a model and traces it
                self._outs[kind] = strategy.adapt(fitted, support.iloc[::-1].reset_index(drop=True))
            _, seconds = timed(lambda: strategy.adapt(fitted, support, out=self._outs[kind]))
            # the source's rows again with every target
            counts = strategy.uses_source and not strategy.uses_encoder
            self._adaptations[key] = seconds * (self._whole if counts else 1)
        return self._adaptations[key]


def timed(call: Callable):
    """What ``call`` returns, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start
