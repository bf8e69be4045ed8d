"""The rows that transfer broke and mended."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.analysis.rows import row_texts
from tf_transfer.errors import DataError
from tf_transfer.evaluation.predictions import Prediction
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_named, kind_of

COLUMNS = ["row", "text", "label", "baseline", "prediction", "before", "after", "change"]


def changed_rows(
    comparison: Results, target: str, task: str, strategy: str, budget: int, most: int = 20
) -> pd.DataFrame:
    """The rows on which a strategy differs most from what it is compared with, for better and for
    worse.

    Args:
        comparison: a `Comparison`.
        target, task, strategy, budget: of the cells.
        most: int >= 1, rows in each direction.

    Returns:
        Up to ``most`` mended and ``most`` broken rows, the largest change first. ``row`` counts the
        target's test rows from 0; ``text`` joins pairs by `` / ``. ``label``, ``baseline`` and
        ``prediction`` are decoded, the predictions from the scores averaged over seeds. ``before``
        and ``after`` are the error of ``baseline``, what it is compared with, and of the strategy:
        the share of seeds that are wrong (classification), the share of wrong labels over seeds
        (multilabel), the mean absolute error over seeds (regression), or the mean of 1 - F1 of the
        row's spans (tagging) or of the answer's words (span).
        ``change`` is before -
        after: above 0 where the row was mended, below where it was broken; other rows are left out.
        Ties go by the probability that the label was given.

    Raises:
        DataError: an unknown name, or no seed for which both cells can be used.
        CheckpointError: the table of test rows was changed.
    """
    y, _ = comparison.truth(target, task)
    other = comparison.against(strategy)
    theirs, ours = (comparison.scores(s, target, task, budget) for s in (other, strategy))
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        raise DataError(
            f"Changed rows need cells of {strategy} and {other} from a common seed.\n"
            f"Received none on {target} with {budget} labels; `unusable` says why."
        )
    kind = kind_named(comparison.kind(task))
    before, after = (
        np.stack([kind.row_error(y, s[seed]) for seed in seeds]).mean(0) for s in (theirs, ours)
    )
    means = [kind.mean_answers([s[seed] for seed in seeds]) for s in (theirs, ours)]
    fine = np.round(before - after, 12)
    order = np.lexsort(
        [-np.abs(kind.evidence(y, means[0]) - kind.evidence(y, means[1])), -np.abs(fine)]
    )
    better, worse = fine[order] > 0, fine[order] < 0
    chosen = order[(better & (np.cumsum(better) <= most)) | (worse & (np.cumsum(worse) <= most))]
    return _table(comparison, target, task, chosen, y, means, before, after)


def _table(comparison: Results, target, task, rows, y, means, before, after) -> pd.DataFrame:
    resolved = next(t for t in comparison.tasks if t.name == task)
    table, _ = comparison.test_rows(target, task)
    kind, texts = kind_of(resolved), row_texts(comparison, table)[rows]
    answers = (kind.sure(resolved, y), *means)
    labels, baseline, prediction = (
        kind.written(Prediction(resolved, each[rows]).labels, texts) for each in answers
    )
    columns = {
        "row": table.index.to_numpy()[rows],
        "text": texts,
        "label": labels,
        "baseline": baseline,
        "prediction": prediction,
        "before": before[rows],
        "after": after[rows],
        "change": (before - after)[rows],
    }
    return pd.DataFrame(columns, columns=COLUMNS)
