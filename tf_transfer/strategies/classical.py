"""Baselines without an encoder: word counts with a linear model, and the most frequent answer."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from tf_transfer.data.tables import join_tables
from tf_transfer.errors import DataError, check_columns
from tf_transfer.evaluation import scores as evaluation
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies.base import CONTROL, WORDS, Strategy, refuse_tokens, source_tables

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


def joined(texts: Sequence[str], pairs: Sequence[str]) -> list[str]:
    """Both texts of a row as one."""
    return [f"{text} {pair}" if pair else text for text, pair in zip(texts, pairs, strict=True)]


def first_alone(texts: Sequence[str], pairs: Sequence[str]) -> list[str]:
    """The first text of a row, which labels count the characters of."""
    return list(texts)


class TextModel:
    """A scikit-learn estimator a task, behind the same ``predict`` and ``evaluate`` as a model's.

    Args:
        tasks: resolved tasks.
        text, text_pair: columns.
        source: rows that every training starts with, or None.
        read: what an estimator is given, from the texts and the second texts of the rows; a row
            without a second one has an empty one.
    """

    def __init__(
        self,
        tasks: list[Task],
        text: str,
        text_pair: str | None,
        source: pd.DataFrame | None,
        read: Callable[[Sequence[str], Sequence[str]], list] = joined,
    ):
        self.tasks, self.text, self.text_pair, self.source = tasks, text, text_pair, source
        self.read, self.estimators = read, {}

    @threadpool_limits.wrap(limits=1)  # sums must not depend on the number of cores
    def learn(self, support: pd.DataFrame, make_estimator, make_words=None) -> TextModel:
        """A new model trained on the source's and the target's rows.

        Args:
            make_estimator: from a task and its labels (rows, …), scikit-learn's estimator of them.
            make_words: makes what turns texts into the estimator's input; None: it reads no text.
        """
        learned = TextModel(self.tasks, self.text, self.text_pair, self.source, self.read)
        table = support if self.source is None else join_tables([self.source, support])
        texts = np.fromiter(self._read(table), object, len(table))
        learned.tasks = []
        # tasks with labels on the same rows share the words, whose counting takes most of the time
        vectorised = {}
        for task in [task.resolve(table) for task in self.tasks]:
            y, present = task.encode(table)
            y = kind_of(task).for_estimator(y)
            if present.any():
                learned.tasks.append(task)
                rows = present.tobytes()
                if rows not in vectorised:
                    words = make_words() if make_words else "passthrough"
                    vectorised[rows] = (
                        words,
                        words.fit_transform(texts[present]) if make_words else texts[present],
                    )
                words, inputs = vectorised[rows]
                # with few labels, classes in all or none of the rows are no news
                with warnings.catch_warnings():
                    warnings.filterwarnings(
                        "ignore", message="Label .* is present in all training examples"
                    )
                    estimator = make_estimator(task, y[present]).fit(inputs, y[present])
                learned.estimators[task.name] = make_pipeline(words, estimator)
        return learned

    def predict(self, table: pd.DataFrame, verbose="auto") -> Predictions:
        """As a `TransferModel`'s; a task without a label in training is left out."""
        texts = self._read(table)
        answers = {
            t.name: kind_of(t).answers_of(t, self.estimators[t.name], texts) for t in self.tasks
        }
        return Predictions({t.name: Prediction(t, answers[t.name]) for t in self.tasks})

    def evaluate(self, splits) -> evaluation.Evaluation:
        """The full metric suite; see `evaluation.evaluate`."""
        return evaluation.evaluate(self, splits)

    def _read(self, table: pd.DataFrame) -> list:
        check_columns(table, [self.text] if self.text_pair is None else [self.text, self.text_pair])
        texts = list(table[self.text].astype(str))
        if self.text_pair is None:
            return self.read(texts, [""] * len(texts))
        return self.read(texts, list(table[self.text_pair].fillna("").astype(str)))


@dataclasses.dataclass(frozen=True)
class TfIdf(Strategy):
    """Words and word pairs weighted by tf-idf, with ridge or logistic regression on top.

    Class weights count for classifications, not for multi-label tasks.

    Args:
        uses_source: train on the source's rows together with the target's.
        stop_words: leave out scikit-learn's English stop words.
        penalty: of the linear model: `Ridge(alpha)`, `LogisticRegression(C=1/penalty)`.

    Example:
        >>> from tf_transfer import Task, TransferModel, tiny_encoder
        >>> texts, moods = ["warm light", "cold rain"], ["glad", "sad"]
        >>> table = pd.DataFrame({"text": texts * 4, "mood": moods * 4})
        >>> model, words = TransferModel(tiny_encoder(), Task("mood")), TfIdf(uses_source=False)
        >>> adapted = words.adapt(words.fit(model), table)
        >>> adapted.evaluate(table)["test", "mood", "accuracy"]
        1.0
    """

    name: ClassVar[str] = "tfidf"
    family: ClassVar[str] = WORDS
    uses_encoder: ClassVar[bool] = False
    lacks_labels: ClassVar[str] = "words are learned from the target's labels alone"
    lacks_classes: ClassVar[str] = "their words are learned from the target's labels alone"
    search_space: ClassVar[Mapping[str, object]] = {
        "uses_source": [True, False],
        "stop_words": [False, True],
        "penalty": {"min": 0.01, "max": 100.0, "sampling": "log"},
    }

    uses_source: bool = True
    stop_words: bool = False
    penalty: float = 1.0

    def check_kinds(self, tasks):
        refuse_tokens(self, tasks)

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        return untrained(model, source_tables(source) if self.uses_source else {})

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        return Fitted.of(model).model.learn(support, self._estimator, self._words)

    def _words(self) -> TfidfVectorizer:
        return TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            stop_words="english" if self.stop_words else None,
            token_pattern=r"(?u)\b\w+\b|[^\w\s]+",
        )

    def _estimator(self, task: Task, y: np.ndarray):
        return _known(self, task, kind_of(task).linear_model(task, y, self.penalty))


@dataclasses.dataclass(frozen=True)
class Majority(Strategy):
    """The class shares, or the mean, of the target's labels, whatever the text says."""

    name: ClassVar[str] = "majority"
    family: ClassVar[str] = CONTROL
    uses_encoder: ClassVar[bool] = False
    uses_source: ClassVar[bool] = False

    def check_kinds(self, tasks):
        refuse_tokens(self, tasks)

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        return untrained(model, {})

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        return Fitted.of(model).model.learn(support, self._estimator)

    def _estimator(self, task: Task, y: np.ndarray):
        return _known(self, task, kind_of(task).constant_model())


def untrained(
    model: TransferModel, sources: Mapping[str, pd.DataFrame], read: Callable = joined
) -> Fitted:
    """A `TextModel` of the tasks of ``model`` whose trainings start with the rows of ``sources``.

    Args:
        read: see `TextModel`.
    """
    table = join_tables(list(sources.values())) if sources else None
    if table is not None:
        model.resolve(table)
    columns = {name: model.options[name] for name in ("text", "text_pair")}
    return Fitted(TextModel(model.tasks, **columns, source=table, read=read))


def _known(strategy: Strategy, task: Task, estimator):
    """The estimator of scikit-learn for a task.

    Raises:
        DataError: the task's kind has none.
    """
    if estimator is None:
        raise DataError(
            f"{strategy.name} has no model for tasks of kind {task.kind}.\nReceived task "
            f"{task.name!r}.\n"
            "Leave the strategy out of the experiment."
        )
    return estimator
