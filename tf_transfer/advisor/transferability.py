"""How related source and target are, judged before training from frozen features and few labels.

NumPy and scikit-learn alone: the features (rows, width) are those of `TransferModel.encode`.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tf_transfer.errors import DataError

FOLDS = 5


def domain_distance(source: np.ndarray, target: np.ndarray, seed: int = 0) -> float:
    """The proxy A-distance 2 (1 - 2ε) between two domains, 0 (alike) to 2 (a linear classifier
    tells them apart).

    ε is the balanced cross-validated error of a logistic regression that tells source rows from
    target rows; a classifier worse than chance counts as chance.

    Args:
        source, target: (rows, width) frozen features, at least 5 rows each; labels play no part.
        seed: of the folds.

    Raises:
        DataError: fewer than 5 rows.

    Reference:
        Ben-David et al. 2007, "Analysis of Representations for Domain Adaptation", section 4; the
        proxy as in Blitzer et al. 2007, "Biographies, Bollywood, Boom-boxes and Blenders".
    """
    if min(len(source), len(target)) < FOLDS:
        raise DataError(
            f"A domain distance needs at least {FOLDS} rows of source and target.\n"
            f"Received {len(source)} and {len(target)}."
        )
    x = np.vstack([source, target]).astype(np.float64)
    is_target = np.repeat([0, 1], [len(source), len(target)])
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    predicted = cross_val_predict(classifier, x, is_target, cv=folds)
    error = np.mean([(predicted[is_target == side] != side).mean() for side in (0, 1)])
    return float(max(0.0, 2 * (1 - 2 * error)))


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The greatest log evidence of labels under a linear model of features, in nats a label.

    p(y | X) = ∫ N(y | b + Xw, β⁻¹) N(w | 0, α⁻¹) dw at the best α and β, with the intercept b
    integrated out
    too: so rows - 1 numbers are judged. Several columns of labels are averaged.

    Args:
        features: (rows, width).
        labels: (rows,) or (rows, outputs) numbers; classes as one column of 0 and 1 each. Columns
            that are constant are left out.

    Returns:
        The mean over columns; NaN when every column is constant.

    Reference:
        You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning".
        There α and β come from a fixed point; here β has a closed form, and α/β is searched for.
    """
    x = np.asarray(features, np.float64)
    y = np.asarray(labels, np.float64).reshape(len(x), -1)
    x, y = x - x.mean(0), y - y.mean(0)
    y = y[:, np.square(y).sum(0) > 1e-12]
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    squares = np.square(singular)
    kept = squares > 1e-10 * squares.max(initial=1e-30)
    evidences = [
        _evidence(squares[kept], np.square(left.T @ column)[kept], float(column @ column), len(x))
        for column in y.T
    ]
    return float(np.mean(evidences)) / len(x) if evidences else np.nan


def _evidence(squares: np.ndarray, power: np.ndarray, total: float, rows: int) -> float:
    """The greatest log evidence of one column, from squared singular values and squared coordinates
    in them.
    """
    degrees = rows - 1

    def at(log_ratio: float) -> float:
        shrunk = 1 / (1 + squares * np.exp(-log_ratio))
        misfit = max(total - float(power.sum()), 0.0) + float((power * shrunk).sum())
        return (
            degrees * (np.log(degrees / misfit) - 1 - np.log(2 * np.pi))
            + float(np.log(shrunk).sum())
        ) / 2

    if not len(squares):
        return at(0.0)
    scale = np.log(squares.mean())
    grid = scale + np.linspace(-20, 20, 41)
    best = grid[np.argmax([at(g) for g in grid])]
    return -minimize_scalar(lambda g: -at(g), bounds=(best - 1, best + 1), method="bounded").fun
