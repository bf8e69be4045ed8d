"""Baselines without an encoder: word counts with a linear model, and the most frequent answer."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from tf_transfer import evaluation
from tf_transfer.model import join_tables
from tf_transfer.predictions import Prediction, Predictions
from tf_transfer.strategies.base import Strategy, source_tables
from tf_transfer.tasks import Task


class TextModel:
    """A scikit-learn estimator a task, behind the same ``predict`` and ``evaluate`` as a model's.

    Args:
        tasks: resolved tasks.
        text, text_pair: columns; a pair is read as one text.
        source: rows that every training starts with, or None.
    """

    def __init__(self, tasks: list[Task], text: str, text_pair: str | None, source: pd.DataFrame | None):
        self.tasks, self.text, self.text_pair, self.source = tasks, text, text_pair, source
        self.estimators = {}

    def learn(self, support: pd.DataFrame, make_estimator) -> TextModel:
        """A new model trained on the source's and the target's rows."""
        learned = TextModel(self.tasks, self.text, self.text_pair, self.source)
        table = support if self.source is None else join_tables([self.source, support])
        texts = np.asarray(self._read(table), object)
        for task in self.tasks:
            y, present = task.encode(table)
            if present.any():
                learned.estimators[task.name] = make_estimator(task, y[present]).fit(texts[present], y[present])
        return learned

    def predict(self, table: pd.DataFrame, verbose="auto") -> Predictions:
        texts = self._read(table)
        return Predictions(
            {t.name: Prediction(t, self._scores(t, texts)) for t in self.tasks if t.name in self.estimators}
        )

    def evaluate(self, splits) -> evaluation.Evaluation:
        return evaluation.evaluate(self, splits)

    def _scores(self, task: Task, texts) -> np.ndarray:
        estimator = self.estimators[task.name]
        if task.kind == "regression":
            return np.asarray(estimator.predict(texts), np.float64)
        found = estimator.predict_proba(texts)
        if isinstance(found, list):  # scikit-learn gives a list of (rows, 2) for several outputs
            found = np.stack([f[:, -1] if f.shape[1] > 1 else np.full(len(f), float(c[0]))
                              for f, c in zip(found, estimator[-1].classes_)], axis=1)  # fmt: skip
        if task.kind == "multilabel":
            return found
        scores = np.zeros((len(found), task.outputs))
        scores[:, estimator.classes_] = found  # a class without a row in training has probability 0
        return scores

    def _read(self, table: pd.DataFrame) -> list[str]:
        texts = table[self.text].astype(str)
        return list(texts if self.text_pair is None else texts + " " + table[self.text_pair].fillna("").astype(str))


@dataclasses.dataclass(frozen=True)
class TfIdf(Strategy):
    """Words and word pairs weighted by tf-idf, with ridge or logistic regression on top.

    Args:
        uses_source: train on the source's rows together with the target's.
        stop_words: leave out scikit-learn's English stop words.
        penalty: of the linear model: `Ridge(alpha)`, `LogisticRegression(C=1/penalty)`.
    """

    name: ClassVar[str] = "tfidf"
    uses_encoder: ClassVar[bool] = False

    uses_source: bool = True
    stop_words: bool = False
    penalty: float = 1.0

    def fit(self, model, source=None, *, seed=0, verbose=0):
        table = join_tables(list(source_tables(source).values())) if self.uses_source else None
        if table is not None:
            model.resolve(table)
        return TextModel(model.tasks, model.options["text"], model.options["text_pair"], table)

    def adapt(self, model, support, *, seed=0, out=None, verbose=0):
        return model.learn(support, self._estimator)

    def _estimator(self, task: Task, y: np.ndarray):
        words = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, stop_words="english" if self.stop_words else None,
            token_pattern=r"(?u)\b\w+\b|[^\w\s]+",
        )  # fmt: skip
        if task.kind == "regression":
            return make_pipeline(words, Ridge(alpha=self.penalty))
        if task.kind == "classification" and len(np.unique(y)) < 2:
            return DummyClassifier(strategy="prior")
        weight = None if task.class_weight is None else dict(enumerate(task.class_weights(y)))
        logistic = LogisticRegression(C=1 / self.penalty, max_iter=1000, class_weight=weight)
        return make_pipeline(words, OneVsRestClassifier(logistic) if task.kind == "multilabel" else logistic)


@dataclasses.dataclass(frozen=True)
class Majority(Strategy):
    """The class shares, or the mean, of the target's labels, whatever the text says."""

    name: ClassVar[str] = "majority"
    uses_encoder: ClassVar[bool] = False
    uses_source: ClassVar[bool] = False

    def fit(self, model, source=None, *, seed=0, verbose=0):
        return TextModel(model.tasks, model.options["text"], model.options["text_pair"], None)

    def adapt(self, model, support, *, seed=0, out=None, verbose=0):
        return model.learn(support, self._estimator)

    def _estimator(self, task: Task, y: np.ndarray):
        return make_pipeline(DummyRegressor() if task.kind == "regression" else DummyClassifier(strategy="prior"))
