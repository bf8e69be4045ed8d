"""What training on the sources did to the encoder, apart from what it did to the heads."""

from __future__ import annotations

import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.statistics.intervals import suite_draws

COLUMNS = [
    *("target", "task", "metric", "strategy", "budget", "before", "after"),
    *("difference", "low", "high", "verdict", "note"),
]
_WORDS = {"helped": "improved", "hurt": "harmed"}


def encoder_effect(comparison: Results) -> pd.DataFrame:
    """The primary metric of heads that are solved on frozen features, before and after source
    training.

    The heads are solved on the labels of the budget and nothing else, so that a difference is the
    encoder's. Where a strategy was hurt and its encoder was not harmed, it was something else:
    heads, steps or rates.

    Args:
        comparison: a `Comparison`.

    Returns:
        A row for each target, task, budget and strategy whose source training changed the encoder.
        ``before`` is the mean over seeds with the pretrained encoder, ``after`` with that of the
        strategy; ``difference`` is positive when the encoder got better, with its 95 % interval
        over rows and seeds. ``verdict`` is *improved*, *harmed* or *undecided*.
    """
    rows = []
    for target in comparison.targets:
        for task in comparison.tasks_of(target):
            for strategy in comparison.source_strategies:
                for budget in comparison.budgets:
                    row = _effect(comparison, target, task, strategy, budget)
                    rows += [row] if row else []
    return pd.DataFrame(rows, columns=COLUMNS)


def _effect(comparison: Results, target: str, task: str, strategy: str, budget: int) -> dict | None:
    place = target, task, budget
    after = comparison.frozen_scores(strategy, *place)
    before = comparison.frozen_scores(comparison.against(strategy), *place)
    seeds = [seed for seed in after if seed in before]
    if not seeds:
        return None
    y, groups = comparison.truth(target, task)
    metric, scores = (
        comparison.metrics[task],
        [kept[seed] for kept in (after, before) for seed in seeds],
    )
    draws = suite_draws(comparison.kind(task), y, scores, groups=groups, names=[metric])
    effect = draws.difference(metric, range(len(seeds)), range(len(seeds), 2 * len(seeds)))
    means = draws.values[metric].reshape(2, -1).mean(1)
    return {
        "target": target,
        "task": task,
        "metric": metric,
        "strategy": strategy,
        "budget": budget,
        "before": means[1],
        "after": means[0],
        "difference": effect.value,
        "low": effect.low,
        "high": effect.high,
        "verdict": _WORDS.get(effect.verdict, "undecided"),
        "note": effect.note,
    }
