"""How often a strategy answered with a class that the target does not have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_of

COLUMNS = ["target", "task", "strategy", "budget", "share", "rows", "likeliest"]


def foreign_answers(comparison: Results) -> pd.DataFrame:
    """The share of test rows that were answered with a class of the sources that the target does
    not have.

    Args:
        comparison: a `Comparison`.

    Returns:
        A row for each target, classification, strategy and budget, where the task has classes that
        occur in none of the target's own labels. ``share`` is the mean over seeds, ``rows`` the
        number of test rows, and ``likeliest`` the class that was answered most among those, empty
        for none.
    """
    rows = []
    for target in comparison.targets:
        own = comparison.run.read_classes(target, comparison.tasks)
        for task in (t for t in comparison.tasks if kind_of(t).one_class and t.name in own):
            foreign = np.flatnonzero(~own[task.name])
            if len(foreign) and task.name in comparison.tasks_of(target):
                rows += _of_task(comparison, target, task, foreign)
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_task(comparison: Results, target: str, task, foreign: np.ndarray) -> list[list]:
    rows = []
    for strategy in comparison.strategies:
        for budget in comparison.budgets:
            answers = [
                s.argmax(1) for s in comparison.scores(strategy, target, task.name, budget).values()
            ]
            if answers:
                counts = np.bincount(np.concatenate(answers), minlength=task.outputs)[foreign]
                likeliest = task.classes[foreign[counts.argmax()]] if counts.any() else ""
                share = counts.sum() / sum(map(len, answers))
                rows.append(
                    [target, task.name, strategy, budget, share, len(answers[0]), likeliest]
                )
    return rows
