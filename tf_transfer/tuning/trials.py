"""How a trial is run: measured, measurement by measurement, until it is done or cannot become the
best.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, TransferError
from tf_transfer.kinds import METRICS
from tf_transfer.tuning.bench import Bench
from tf_transfer.tuning.plan import Plan
from tf_transfer.tuning.records import Outcome, Records, best_of
from tf_transfer.tuning.scores import cannot_reach, expected_score, score_interval
from tf_transfer.tuning.space import STRATEGY, Candidate, SearchSpace

UNTUNED, WITHOUT_SOURCE = "untuned", "without the source"
"""What a winner is shown beside."""

MOST_FAILURES = 10
"""Trials that may fail before one succeeds."""


@dataclasses.dataclass
class Trials:
    """Runs trials and keeps what they measured.

    Args:
        space: turns a trial's values into a candidate.
        plan: the measurements.
        bench: makes them.
        records: keeps them.
        early_stop: end a trial that cannot become the best.
        say: called with what goes on.
    """

    space: SearchSpace
    plan: Plan
    bench: Bench
    records: Records
    early_stop: bool
    say: Callable[[str], None]

    def run(self, trial_id: str, values: Mapping) -> Outcome:
        """Measures a trial, or takes from the records what it has measured already, and keeps its
        outcome.

        Raises:
            DataError: no trial has succeeded, and many have failed.
        """
        epochs = values.get("tuner/epochs")
        outcome = self._run(int(trial_id), values, epochs)
        self.records.write_outcome(dataclasses.replace(outcome, epochs=epochs), trial_id)
        if outcome.status == "failed":
            self.check(MOST_FAILURES)
        return outcome

    def check(self, most: int = 1) -> None:
        """Raises:
        DataError: ``most`` or more trials have ended, and none has a score.
        """
        outcomes = self.records.outcomes()
        if len(outcomes) >= most and all(o.status == "failed" for o in outcomes):
            reasons = list(
                dict.fromkeys(f"{o.label}: {o.message.splitlines()[0]}" for o in outcomes)
            )
            raise DataError(
                f"The search space must hold a valid trial.\nReceived {len(outcomes)} trials, "
                "which all failed:\n  "
                + "\n  ".join(reasons[:5])
                + "\nChange tune.strategies, tune.settings or the objective."
            )

    def _run(self, number: int, values: Mapping, epochs: int | None) -> Outcome:
        try:
            candidate = self.space.decode(values)
        except TransferError as error:
            return Outcome(number, "failed", values[STRATEGY], {}, {}, [], message=str(error))
        others = [o for o in self.records.outcomes() if o.trial != number and o.epochs == epochs]
        best = best_of(others, self.plan.sign) if self.early_stop else None
        return self._try(number, candidate, best, f"trial {number}")

    def stand_beside(self, best: Outcome) -> None:
        """Measures the winner's strategy untuned, and the winner without the source, and keeps
        their outcomes.

        They are measured as the winner was. One that is the winner itself is left out, and so is
        the other where the strategy has no source.
        """
        winner = dataclasses.replace(self.space.strategies[best.label], **best.arguments)
        beside = {UNTUNED: Candidate(best.label, self.space.untuned[best.label], {})}
        if alone := winner.without_source():
            beside[WITHOUT_SOURCE] = Candidate(alone.name, alone, best.settings)
        same = Candidate(best.label, winner, best.settings).key
        outcomes = {
            name: self._try(best.trial, candidate, None, f"beside trial {best.trial}")
            for name, candidate in beside.items()
            if candidate.key != same
        }
        self.records.write_beside(outcomes)

    def _try(self, number: int, candidate: Candidate, best: Outcome | None, name: str) -> Outcome:
        """Measures a candidate until it is done, or cannot reach ``best``; ``name`` is said with
        each measurement.
        """
        blank = Outcome(
            number,
            "failed",
            candidate.label,
            candidate.strategy.arguments(),
            dict(candidate.settings),
            [],
        )
        known, seconds = self.records.measured(candidate.key), 0.0
        for measurement in self.plan.measurements:
            if measurement.name not in known:
                self.say(f"{name}: {candidate.label}, {measurement.name}")
                try:
                    known[measurement.name] = self._measure(candidate, measurement)
                except (TransferError, MemoryError, tf.errors.ResourceExhaustedError) as error:
                    return dataclasses.replace(
                        blank,
                        seconds=seconds,
                        message=f"{measurement.name}: {error or 'out of memory'}",
                    )
                self.records.write_measured(candidate.key, known)
            seconds += known[measurement.name]["seconds"]
            value = (
                known[measurement.name]["scores"].get(self.plan.task.name, {}).get(self.plan.metric)
            )
            if value is None:
                message = (
                    f"{measurement.name}: {self.plan.objective} is undefined for what it predicts"
                )
                return dataclasses.replace(blank, seconds=seconds, message=message)
            blank.measured.append(value)
            if best is not None and cannot_reach(blank.measured, best.measured, self.plan.sign):
                break
        return self._scored(blank, best, seconds)

    def _measure(self, candidate: Candidate, measurement) -> dict:
        return self.bench.measure(candidate, measurement)

    def _scored(self, outcome: Outcome, best: Outcome | None, seconds: float) -> Outcome:
        score, *ends = score_interval(outcome.measured, self.plan.overlap)
        least, most = METRICS[self.plan.metric].range
        low, high = (None if end != end else min(max(end, least), most) for end in ends)
        estimate = {"score": score, "low": low, "high": high}
        if len(outcome.measured) == len(self.plan.measurements):
            return dataclasses.replace(
                outcome, status="completed", reported=score, seconds=seconds, **estimate
            )
        expected = expected_score(outcome.measured, best.measured)
        message = (
            f"cannot reach trial {best.trial} on the same measurements; expected {expected:.4f}"
        )
        return dataclasses.replace(
            outcome,
            status="stopped",
            reported=expected,
            seconds=seconds,
            message=message,
            **estimate,
        )
