"""scikit-learn's own estimator checks; ``python -m tests.scikit_learn_checks`` counts them.

The checks make up numbers in two dimensions, so scikit-learn runs next to none on an estimator of
texts. Here stand-ins write each row of numbers as words; all else is what users get. No check is
left out for the strategies without an encoder. With one, predictions depend on the other rows of a
batch, and on some processors on a row's place in it, by float32 rounding, a little beyond two
checks' 1e-7.
"""

import collections

import numpy as np

from tests import tiny
from tf_transfer.scikit_learn.estimators import TransferClassifier, TransferRegressor

EXPECTED_TO_FAIL = {
    "check_methods_subset_invariance": "float32: the shape of a batch changes the rounding",
    "check_methods_sample_order_invariance": "float32: on some processors a row's place changes "
    "the rounding",
}
"""For estimators with an encoder."""


class _OfNumbers:
    def _read(self, X):
        first = not hasattr(self, "model_")
        try:
            from sklearn.utils.validation import validate_data
        except ImportError:  # scikit-learn 1.5
            X = self._validate_data(X, reset=first)
        else:
            X = validate_data(self, X, reset=first)
        exponents = np.ceil(np.log2(np.abs(np.asarray(X, float)) + 1)).astype(int)
        return [
            " ".join(f"c{j}{'+' if v > 0 else '-'}{e}" for j, (v, e) in enumerate(zip(*row)))
            for row in zip(np.asarray(X, float), exponents)
        ]

    def fit(self, X, y):
        self.__dict__.pop("model_", None)
        return super().fit(X, y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags

    def _more_tags(self):
        return {"X_types": ["2darray"]}


class ClassifierOfNumbers(_OfNumbers, TransferClassifier):
    """Reads numbers as words."""


class RegressorOfNumbers(_OfNumbers, TransferRegressor):
    """Reads numbers as words."""


def estimators(strategy: str) -> list:
    encoder = "bert-tiny" if strategy in ("tfidf", "majority") else tiny.make_encoder()
    return [kind(encoder, strategy=strategy) for kind in (ClassifierOfNumbers, RegressorOfNumbers)]


def count(estimator, expected=None, **options) -> dict[str, list[str]]:
    """The names of checks by outcome."""
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(
        estimator, expected_failed_checks=expected or {}, on_fail=None, on_skip=None, **options
    )
    found = collections.defaultdict(list)
    for result in results:
        found[result["status"]].append(result["check_name"])
    return dict(found)


def main() -> None:
    for strategy in ("tfidf", "linear_probe"):
        for estimator in estimators(strategy):
            found = count(estimator, EXPECTED_TO_FAIL if strategy == "linear_probe" else None)
            counts = {status: len(names) for status, names in found.items()}
            rest = {status: names for status, names in found.items() if status != "passed"}
            print(type(estimator).__name__, strategy, counts, rest)


if __name__ == "__main__":
    from tests import scikit_learn_checks

    scikit_learn_checks.main()  # by its name: pickled classes are found there again
