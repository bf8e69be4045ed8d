"""Every strategy on the same episodes: the metric suite with intervals, and paired differences."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from tf_transfer.devices.backend import keras
from tf_transfer.episodes.class_splits import check_new_classes
from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.fingerprint import check_rows
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError, TrainingError, check_choice, listed
from tf_transfer.evaluation import metrics
from tf_transfer.evaluation.fitted import Fitted, Predictor
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.class_types import class_text
from tf_transfer.kinds.tasks import Task

SHOWN = ("accuracy", "rmse")
"""What few-shot results are given in where a kind has it; else its primary metric."""


@dataclasses.dataclass(frozen=True, eq=False)
class EpisodeComparison:
    """What each strategy scored in each episode.

    Args:
        values: a row for each strategy and episode: ``strategy``, ``episode`` (its index),
            ``diverged``, ``seconds`` (adapting and predicting), and a column for each metric of the
            suite. A metric of a diverged episode is NaN.
        shown: the metric of `table` and `differences` where none is named.
    """

    values: pd.DataFrame
    shown: str = "accuracy"

    @property
    def strategies(self) -> list[str]:
        """The names of the strategies, in the order of evaluation."""
        return list(dict.fromkeys(self.values["strategy"]))

    def table(self, metric: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
        """Mean with its interval, median, number of episodes and how many diverged, by strategy.

        The interval is Student's t over episodes: it says how far another draw of as many episodes
        from the same classes could be off, not how far other classes could.

        Args:
            metric: of the suite; None: `shown`.
            confidence: in (0, 1).
        """
        metric = self._metric(metric)
        rows = []
        for name, episodes in self.values.groupby("strategy", sort=False):
            kept = episodes[metric].dropna().to_numpy()
            mean, half = _mean_and_half_width(kept, confidence)
            rows.append(
                {
                    "strategy": name,
                    "mean": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "median": np.median(kept) if len(kept) else np.nan,
                    "episodes": len(episodes),
                    "diverged": int(episodes["diverged"].sum()),
                    "seconds": episodes["seconds"].median(),
                }
            )
        return pd.DataFrame(rows).set_index("strategy")

    def differences(
        self, to: str, metric: str | None = None, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Each strategy's mean difference to one of them on the same episodes, with its interval.

        Args:
            to: a strategy's name.
            metric: of the suite; None: `shown`.

        Returns:
            A row for each other strategy: ``difference``, ``low``, ``high`` and ``episodes``: those
            in which neither diverged.
        """
        metric = self._metric(metric)
        check_choice("strategy", to, self.strategies)
        wide = self.values.pivot(index="episode", columns="strategy", values=metric)
        rows = []
        for name in self.strategies:
            if name == to:
                continue
            gaps = (wide[name] - wide[to]).dropna().to_numpy()
            mean, half = _mean_and_half_width(gaps, confidence)
            rows.append((name, mean, mean - half, mean + half, len(gaps)))
        columns = ["strategy", "difference", "low", "high", "episodes"]
        return pd.DataFrame(rows, columns=columns).set_index("strategy")

    def _metric(self, metric: str | None) -> str:
        others = ("strategy", "episode", "diverged", "seconds")
        known = [column for column in self.values.columns if column not in others]
        metric = self.shown if metric is None else metric
        check_choice("metric", metric, known)
        return metric

    def __str__(self) -> str:
        return self.table().round(3).to_string()

    def _repr_html_(self) -> str:
        return self.table().round(3).to_html(border=0)


def evaluate_episodes(
    candidates: Mapping[str, tuple[object, Fitted | Predictor]],
    sampler: EpisodeSampler,
    episodes: Sequence[Episode],
    *,
    seed: int = 0,
    verbose=0,
) -> EpisodeComparison:
    """Adapts every strategy to each episode's support and scores it on the query.

    Labels are the episode's own numbers 0 … way − 1, so a strategy's model needs one classification
    with these classes; what a strategy knows of a class comes from the support alone.

    Args:
        candidates: ``{name: (strategy, what its fit returned)}``; a strategy without source
            training is given a pretrained model. The models are not changed.
        sampler: whose table the episodes' rows are in.
        episodes: the same for every strategy, for instance those of `load_episodes`.
        seed: handed to `adapt`.
        verbose: 1 shows a progress bar.

    Raises:
        DataError: no candidates or episodes, an episode twice or of another table, a model without
            the task, or episodes of classes that a model was meta-trained on.
    """
    _check(candidates, episodes)
    check_rows(sampler, episodes)
    for _, fitted in candidates.values():
        check_new_classes(Fitted.of(fitted).classes, sampler)
    rows = []
    bar = keras.utils.Progbar(len(candidates) * len(episodes)) if verbose else None
    for name, (strategy, fitted) in candidates.items():
        spare = None
        for episode in episodes:
            values, spare = _score(strategy.for_episodes(), fitted, sampler, episode, seed, spare)
            rows.append({"strategy": name, "episode": episode.index} | values)
            if bar:
                bar.add(1)
    values = pd.DataFrame(rows)
    first = next((metric for metric in SHOWN if metric in values), None)
    return EpisodeComparison(values, first or kind_of(sampler.task).primary)


def _check(candidates, episodes) -> None:
    if not hasattr(episodes, "__len__") or not all(isinstance(e, Episode) for e in episodes):
        raise DataError(
            f"episodes must be a list of Episode.\nReceived {episodes!r:.80}.\nDraw them with "
            "sampler.sample(600)."
        )
    if not candidates or not len(episodes):
        raise DataError(
            f"evaluate_episodes needs strategies and episodes.\nReceived {len(candidates)} "
            f"strategies and {len(episodes)} episodes.\nDraw episodes with sampler.sample(600)."
        )
    for name, candidate in candidates.items():
        if not isinstance(candidate, tuple | list) or len(candidate) != 2:
            raise DataError(
                "A candidate must be (strategy, what its fit returned).\nReceived "
                f"{candidate!r:.80} for {name!r}.\n"
                "Give for instance {'proto_net': (strategy, strategy.fit(model, episodes))}."
            )
    counts = collections.Counter(episode.index for episode in episodes)
    twice = [index for index, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"Every episode must have an index of its own, by which strategies are paired.\n"
            f"Received {listed(twice)} more than once.\nDraw the episodes from one sampler, each "
            "once."
        )


def _score(strategy, fitted, sampler: EpisodeSampler, episode: Episode, seed: int, spare):
    """The suite of one episode, and the adapted model to overwrite in the next."""
    task, support, query = episode_tables(sampler, episode)
    start = time.perf_counter()
    try:
        adapted = strategy.adapt(fitted, support, seed=seed, out=spare)
        name = _same_task(adapted.tasks, task).name
        scores = _of_classes(task, adapted.predict(query, verbose=0)[name].scores)
        # answers that are spans are none where an output is no finite number
        diverged = isinstance(scores, np.ndarray) and not np.isfinite(scores).all()
    except TrainingError:
        adapted, diverged = spare, True
    values = {"diverged": diverged, "seconds": time.perf_counter() - start}
    if not diverged:
        y, present = task.encode(query)
        once = np.ones((1, int(present.sum())), int)
        suite = metrics.resampled_suite(task.kind, y[present], [scores[present]], once)
        values |= {metric: float(value[0, 0]) for metric, value in suite.items()}
    return values, None if isinstance(sampler.way, list | tuple) else adapted


def _same_task(tasks: Sequence[Task], task: Task) -> Task:
    """The one that reads the labels of ``task``, whatever it is called."""
    for candidate in tasks:
        if candidate.label == task.label:
            return candidate
    raise DataError(
        "A strategy's model must have the task of the episodes, with its labels in column "
        f"{task.label!r}.\n"
        f"Received a model of {listed([f'{t.name}: {t.label}' for t in tasks])}.\nGive the model "
        f"Task({task.label!r})."
    )


def _of_classes(task: Task, scores: np.ndarray) -> np.ndarray:
    """Scores without the outputs of a larger head, which an episode of fewer classes leaves
    empty.
    """
    if not kind_of(task).one_class or scores.shape[1] == task.outputs:
        return scores
    scores = scores[:, : task.outputs]
    return scores / scores.sum(1, keepdims=True)


def episode_tables(
    sampler: EpisodeSampler, episode: Episode
) -> tuple[Task, pd.DataFrame, pd.DataFrame]:
    """The episode's task with its own numbers as classes, its support and its query as tables.

    Raises:
        DataError: the sampler draws rows of any labels.
    """
    if sampler.task is None:
        raise DataError(
            "Episodes are scored on one task.\nReceived a sampler with task=None.\nGive "
            "EpisodeSampler a task."
        )
    tables = [
        sampler.table.iloc[rows].reset_index(drop=True) for rows in (episode.support, episode.query)
    ]
    task = sampler.task
    if kind_of(task).draws_classes:
        for table in tables:
            table[task.label] = _in_episode(task, episode, table[task.label])
        task = dataclasses.replace(task, classes=tuple(range(episode.way)), class_weight=None)
    return task, *tables


def _in_episode(task: Task, episode: Episode, labels: pd.Series):
    """A column of labels in the episode's own numbers."""
    if kind_of(task).episodes == "types":
        numbers = {class_text(name): number for number, name in enumerate(episode.classes)}
        return kind_of(task).renumbered(labels, numbers)
    return episode.encode(labels)


def _mean_and_half_width(values: np.ndarray, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise DataError(f"confidence must be in (0, 1).\nReceived {confidence!r}.")
    if len(values) < 2:
        return (float(values[0]) if len(values) else np.nan), np.nan
    half = (
        stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
        * values.std(ddof=1)
        / np.sqrt(len(values))
    )
    return float(values.mean()), float(half)
