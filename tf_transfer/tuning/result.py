"""What a search has found: the table and plot of its trials, and the best strategy."""

from __future__ import annotations

import html
from functools import cached_property
from pathlib import Path

import pandas as pd
import yaml

from tf_transfer.data.tables import save_table
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.files.storage import write_text
from tf_transfer.strategies import Strategy
from tf_transfer.tuning.plan import Plan
from tf_transfer.tuning.records import Outcome, Records, best_of
from tf_transfer.tuning.settings import plain_settings, with_settings
from tf_transfer.tuning.space import SearchSpace

TUNED = "tuned"
"""The label of the best strategy in `TuneResult.best_experiment`."""

_FOUND = ["trial", "status", "strategy", "score", "low", "high", "expected", "measured", "planned"]


class TuneResult:
    """The trials of a search.

    Args:
        folder: of the search.
        experiment: with the ``tune`` that was searched by.
        plan: of the search.
    """

    def __init__(self, folder: Path, experiment: Experiment, plan: Plan):
        self.folder, self.experiment = folder, experiment
        self.target, self.budget, self.objective, self.sign = (
            plan.target,
            plan.budget,
            plan.objective,
            plan.sign,
        )
        self.planned = len(plan.measurements)
        self.outcomes: list[Outcome] = Records(folder).outcomes()
        self._space = SearchSpace.of(experiment)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row a trial: what was tried, its score with the 95 % interval, and what became of it.

        ``status`` is completed, stopped (``score`` is the mean of the ``measured`` of ``planned``
        measurements that were made, ``expected`` what all would have given; see
        `scores.expected_score`) or failed (see ``message``); ``seconds`` are those of its
        measurements. An argument is empty where the trial's strategy was not searched for it.
        """
        labels = [o.label for o in self.outcomes] or self._space.strategies
        fields = list(dict.fromkeys(f for label in labels for f in self.arguments(label)))
        records = []
        for o in self.outcomes:
            values = [
                o.trial,
                o.status,
                o.label,
                o.score,
                o.low,
                o.high,
                o.reported,
                len(o.measured),
                self.planned,
            ]
            tried = {f: (o.arguments | o.settings).get(f) for f in self.arguments(o.label)}
            records.append(
                dict(zip(_FOUND, values)) | tried | {"seconds": o.seconds, "message": o.message}
            )
        table = pd.DataFrame(records, columns=[*_FOUND, *fields, "seconds", "message"])
        return table.astype(dict.fromkeys(["score", "low", "high", "expected"], float))

    @property
    def best_trial(self) -> Outcome:
        """The completed trial of the best score.

        Raises:
            DataError: there is none yet.
        """
        best = best_of(self.outcomes, self.sign)
        if best is None:
            raise DataError(
                f"The search in {self.folder} must have a completed trial.\nReceived none yet."
            )
        return best

    @property
    def beside(self) -> dict[str, Outcome]:
        """What the best trial is shown beside, in the same measurements.

        ``"untuned"`` is its strategy as the experiment has it, or with its defaults. ``"without the
        source"`` is the winner without it. Neither was chosen by its own score. One that is the
        winner itself is left out; before the search has ended there is none.
        """
        return {
            name: o
            for name, o in Records(self.folder).beside().items()
            if o.trial == self.best_trial.trial
        }

    @property
    def best(self) -> Strategy:
        """The strategy of the best trial, with its arguments."""
        kind = type(self._space.strategies[self.best_trial.label])
        return kind(**self.best_trial.arguments)

    @property
    def best_experiment(self) -> Experiment:
        """The experiment with the best strategy as ``tuned`` among its strategies, ready for
        `compare`.

        Where settings were searched, encoder and tasks have those of the best trial, for all
        strategies.
        """
        strategies = self.experiment.strategies | {TUNED: self.best}
        experiment = with_settings(self.experiment, self.best_trial.settings)
        return experiment.model_copy(update={"strategies": strategies})

    def to_yaml(self) -> str:
        """The best strategy, to paste into an experiment file."""
        best = self.best
        arguments = {k: v for k, v in best.arguments().items() if v != getattr(type(best), k)}
        content = {"strategies": {TUNED: {"strategy": best.name} | arguments}}
        content |= plain_settings(self.experiment, self.best_trial.settings)
        return yaml.safe_dump(content, sort_keys=False)

    def plot(self):
        """A matplotlib Figure: every trial's score with its interval, and the best so far."""
        from tf_transfer.tuning.plots import plot_trials

        return plot_trials(self)

    def plot_arguments(self, strategy: str | None = None):
        """A matplotlib Figure: the scores against each argument of a strategy; None: the best
        trial's.
        """
        from tf_transfer.tuning.plots import plot_arguments

        return plot_arguments(self, strategy or self.best_trial.label)

    def save(self) -> TuneResult:
        """Writes trials.csv and best.yaml into the folder of the search, as far as it has got."""
        if self.outcomes:
            save_table(self.trials, self.folder / "trials.csv")
        if best_of(self.outcomes, self.sign) is not None:
            write_text(self.folder / "best.yaml", self.to_yaml())
        return self

    def arguments(self, label: str) -> list[str]:
        """What varied between the trials of a strategy: its arguments and the settings."""
        strategy, fields = self._space.strategies[label], list(self._space.spaces[label])
        effort = [strategy.effort] if self._space.max_epochs and strategy.effort else []
        return [*effort, *fields, *self._space.settings]

    def __str__(self) -> str:
        return "\n".join([*self._sentences(), self.to_yaml()])

    def _sentences(self) -> list[str]:
        best, direction = self.best_trial, "highest" if self.sign > 0 else "lowest"
        counts = pd.Series([o.status for o in self.outcomes]).value_counts()
        states = ", ".join(f"{count} {status}" for status, count in counts.items())
        return [
            f"{len(self.outcomes)} trials on {self.target}, {self.budget} labels: {states}.",
            f"The {direction} {self.objective}: {_score(best)}, trial {best.trial}.",
            *(
                f"In the same measurements, {name} ({o.label}): {_score(o)}."
                for name, o in self.beside.items()
            ),
        ]

    def _repr_html_(self) -> str:
        columns = [c for c in self.trials if c not in ("planned", "message", "seconds")]
        # By status first: the score of a stopped trial is that of a few folds.
        places = self.trials["status"].map({"completed": 0, "stopped": 1, "failed": 2})
        order = pd.DataFrame({"place": places, "score": -self.sign * self.trials["expected"]})
        shown = self.trials.loc[order.sort_values(["place", "score"]).index, columns]
        table = shown.to_html(
            index=False, escape=True, border=0, float_format=lambda v: f"{v:.4g}", na_rep=""
        )
        if best_of(self.outcomes, self.sign) is None:
            return table
        return f"<p>{'<br>'.join(map(html.escape, self._sentences()))}</p>\n{table}"


def _score(outcome: Outcome) -> str:
    if outcome.score is None:
        return f"failed, {outcome.message.splitlines()[0]}"
    interval = "" if outcome.low is None else f" [{outcome.low:.4f}, {outcome.high:.4f}]"
    return f"{outcome.score:.4f}{interval}"
