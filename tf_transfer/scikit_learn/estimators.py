"""scikit-learn estimators: texts in, labels out, a strategy inside.

They follow scikit-learn's conventions, so that `Pipeline`, `cross_val_score`, `GridSearchCV`,
`clone` and pickling work. Each `fit` starts from the encoder as it was given.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from tf_transfer.batches.inputs import rows_of
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import DataError, check_choice, check_whole, listed
from tf_transfer.evaluation.predictions import Prediction
from tf_transfer.kinds.spans import Spans, hits
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.scikit_learn.sources import (
    LABEL,
    TEXT,
    Labelled,
    as_array,
    as_spans,
    check_as_many,
    read_sources,
)
from tf_transfer.strategies import STRATEGIES, Strategy
from tf_transfer.strategies.target_training import TargetTraining


class _TransferEstimator(BaseEstimator):
    """What the estimators share: reading texts and sources, making the strategy, training."""

    def __init__(
        self,
        encoder="bert-tiny",
        *,
        strategy="auto",
        sources=None,
        epochs=None,
        batch_size=None,
        learning_rate=None,
        max_length=128,
        freeze=None,
        dropout=0.1,
        random_state=0,
        verbose=0,
    ):
        self.encoder = encoder
        self.strategy = strategy
        self.sources = sources
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_length = max_length
        self.freeze = freeze
        self.dropout = dropout
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags

    def _more_tags(self):  # scikit-learn 1.5
        return {"X_types": ["string"]}

    def _read(self, X) -> list[str]:
        """The texts of ``X``, checked.

        Raises:
            DataError: no 1-d texts, nor a frame or array of one column of them.
        """
        if isinstance(X, pd.DataFrame):
            if X.shape[1] != 1:
                raise DataError(
                    f"X must hold one column of texts.\nReceived a frame of {X.shape[1]}: "
                    f"{listed(list(X.columns))}.\n"
                    "Choose one, for instance X['text']."
                )
            X = X.iloc[:, 0]
        rows = rows_of(X, tasks=(), text=TEXT)
        if rows is None:
            raise DataError(
                "X must be a list, array or Series of texts.\nReceived token ids.\nGive their "
                "texts."
            )
        return rows.table[TEXT].tolist()

    def _fit(self, X, y, task: Task, encode, sources: dict[str, Labelled]) -> None:
        """Trains ``model_``.

        Args:
            encode: turns labels (rows,) into what the task's column holds.
            sources: of `read_sources`.
        """
        table = pd.DataFrame({TEXT: X, LABEL: encode(y)})
        tables = {
            n: pd.DataFrame({TEXT: s.texts, LABEL: encode(s.labels)}) for n, s in sources.items()
        }
        strategy = self._make_strategy(len(table))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = self._make_model(task, seed) if strategy.uses_encoder else _Columns([task])
        options = {"seed": seed, "verbose": self.verbose}
        if tables or not strategy.uses_encoder:
            model = strategy.fit(model, tables, **options)
        elif not strategy.uses_source:
            model = strategy.fit(model, None, **options)
        self.model_ = strategy.adapt(model, table, **options)

    def _make_model(self, task: Task, seed: int) -> TransferModel:
        given = isinstance(self.encoder, Encoder)
        encoder = copy.deepcopy(self.encoder) if given else load_encoder(self.encoder)
        return TransferModel(
            encoder,
            task,
            text=TEXT,
            max_length=self.max_length,
            freeze=self.freeze,
            dropout=self.dropout,
            seed=seed,
        )

    def _make_strategy(self, rows: int) -> Strategy:
        strategy = self.strategy
        if strategy == "auto":
            strategy = "target_only" if self.sources is None else "fine_tune"
        if isinstance(strategy, str):
            check_choice("strategy", strategy, ["auto", *STRATEGIES])
            strategy = STRATEGIES[strategy]()
        if not isinstance(strategy, Strategy):
            raise DataError(
                "strategy must be a Strategy or the name of one: "
                f"{listed(['auto', *STRATEGIES], most=20)}.\n"
                f"Received {strategy!r}."
            )
        if self.sources is None and strategy.uses_source:
            if "uses_source" not in {f.name for f in dataclasses.fields(strategy)}:
                raise DataError(
                    f"The strategy {strategy.name!r} learns from source data.\nReceived "
                    "sources=None.\n"
                    "Give sources=(texts, labels), or use target_only, linear_probe or tfidf."
                )
            strategy = dataclasses.replace(strategy, uses_source=False)
        return self._with_training(strategy, rows)

    def _with_training(self, strategy: Strategy, rows: int) -> Strategy:
        """The strategy with the estimator's own epochs, batch size and learning rate."""
        given = {n: getattr(self, n) for n in ("epochs", "batch_size", "learning_rate")}
        given = {n: v for n, v in given.items() if v is not None}
        if not given:
            return strategy
        if not isinstance(strategy, TargetTraining):
            raise DataError(
                f"{listed(list(given))} are for strategies that fine-tune.\nReceived them with "
                f"{strategy.name!r}.\n"
                f"Leave them None, and set the fields of the strategy itself: {strategy!r}."
            )
        for name in given.keys() - {"learning_rate"}:
            check_whole(name, given[name])
        fields = {f"adapt_{n}": v for n, v in given.items() if n != "epochs"}
        strategy = dataclasses.replace(strategy, **fields)
        if "epochs" in given:
            size = strategy.adapt_batch_size
            steps = max(min(math.ceil(rows / size), 256 // size), 1)
            strategy = dataclasses.replace(strategy, adapt_steps=given["epochs"] * steps)
        return strategy

    def _predicted(self, X) -> Prediction:
        check_is_fitted(self)
        table = pd.DataFrame({TEXT: self._read(X)})
        return self.model_.predict(table, verbose=self.verbose)[LABEL]

    def _scores(self, X) -> np.ndarray:
        return self._predicted(X).scores


class TransferClassifier(ClassifierMixin, _TransferEstimator):
    """A text classifier made of a pretrained encoder and a transfer strategy, for scikit-learn.

    ``X`` is a list, array or Series of texts, or a frame of one column. Rows' weights are not
    supported.

    Args:
        encoder: name or folder for `load_encoder`, or an `Encoder`, which stays as it is.
        strategy: a `Strategy`, its name, or ``"auto"``: ``fine_tune`` with sources, else
            ``target_only``.
        sources: source data: ``(texts, labels)``, a table with the columns ``text`` and ``label``,
            a list of these, or a dict of them by name. Their classes may go beyond those of `fit`.
        epochs: passes over the rows of `fit`, whatever the strategy's ``adapt_steps``; None: the
            strategy's.
        batch_size, learning_rate: on the rows of `fit`; None: the strategy's.
        max_length: the most tokens a text; longer ones are cut.
        freeze: see `encoders.freezing.freeze`.
        dropout: rate before the head.
        class_weight: ``{class: factor}`` or ``"balanced"``, as in scikit-learn.
        random_state: int, `RandomState` or None; the same int gives the same model.
        verbose: as in Keras.

    Attributes:
        classes_: (classes,) the sorted labels of `fit`.
        model_: the trained `TransferModel`, for `save` and `export` (of ``tfidf`` and ``majority``:
            its like). Its classes are the places in ``classes_``, then those of sources alone.

    Raises:
        DataError: (of `fit`) texts that are none, a single class, an unknown strategy, or sources
            where they are needed but missing.
    """

    def __init__(
        self,
        encoder="bert-tiny",
        *,
        strategy="auto",
        sources=None,
        epochs=None,
        batch_size=None,
        learning_rate=None,
        max_length=128,
        freeze=None,
        dropout=0.1,
        class_weight=None,
        random_state=0,
        verbose=0,
    ):
        super().__init__(
            encoder,
            strategy=strategy,
            sources=sources,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
            freeze=freeze,
            dropout=dropout,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X, y):
        """Trains on texts (rows,) and their classes (rows,)."""
        texts = self._read(X)
        y = _one_column(self, y)
        check_classification_targets(y)
        check_as_many(texts, y)
        sources = read_sources(self.sources, self._read)
        classes = np.unique(y)
        if len(classes) < 2:
            raise DataError(
                "A classifier needs rows of at least two classes.\nReceived one class only: "
                f"{classes[0]!r}."
            )
        beyond = {label for s in sources.values() for label in s.labels.tolist()} - set(
            classes.tolist()
        )
        places = {c: i for i, c in enumerate([*classes.tolist(), *sorted(beyond, key=str)])}
        weight = self.class_weight
        if isinstance(weight, Mapping):
            wrong = [c for c in weight if c not in places]
            if wrong:
                raise DataError(
                    f"class_weight must name the classes {listed(list(places))}.\nReceived "
                    f"{wrong[0]!r}."
                )
            weight = {places[c]: factor for c, factor in weight.items()}
        task = Task(
            LABEL, kind="classification", classes=tuple(places.values()), class_weight=weight
        )
        self._fit(texts, y, task, lambda labels: [places[c] for c in labels.tolist()], sources)
        self.classes_ = classes
        return self

    def predict_proba(self, X) -> np.ndarray:
        """(rows, classes): probabilities in the order of ``classes_``."""
        scores = self._scores(X)
        if scores.shape[1] > len(self.classes_):  # classes of sources alone
            scores = scores[:, : len(self.classes_)] + np.finfo(np.float64).tiny
            scores = scores / scores.sum(1, keepdims=True)
        return scores

    def predict(self, X) -> np.ndarray:
        """(rows,): the likeliest class."""
        likeliest = self.predict_proba(X).argmax(1)
        return self.classes_[likeliest]


class TransferRegressor(RegressorMixin, _TransferEstimator):
    """A text regressor made of a pretrained encoder and a transfer strategy, for scikit-learn.

    Args:
        encoder, strategy, sources, epochs, batch_size, learning_rate: as for `TransferClassifier`.
        max_length, freeze, dropout, random_state, verbose: as for `TransferClassifier`.

    Attributes:
        model_: the trained `TransferModel`, for `save` and `export`.

    Raises:
        DataError: (of `fit`) as for `TransferClassifier`.
    """

    def fit(self, X, y):
        """Trains on texts (rows,) and numbers (rows,)."""
        texts = self._read(X)
        y = _numbers(_one_column(self, y))
        check_as_many(texts, y)
        self._fit(
            texts,
            y,
            Task(LABEL, kind="regression"),
            _numbers,
            read_sources(self.sources, self._read),
        )
        return self

    def predict(self, X) -> np.ndarray:
        """(rows,): numbers in the unit of ``y``."""
        return self._scores(X)


class TransferTagger(_TransferEstimator):
    """A tagger of texts made of a pretrained encoder and a transfer strategy, for scikit-learn.

    It finds named entities, slots or parts of speech. A label is the list of a text's spans, each
    ``{"start": 0, "end": 5, "label": "person"}`` or ``(0, 5, "person")``, with the first character
    and the one behind the last; ``[]`` where a text has none.

    Args:
        encoder, strategy, sources, epochs, batch_size, learning_rate: as for `TransferClassifier`;
            the strategy knows tagging, as ``target_only``, ``linear_probe`` and ``fine_tune``.
        max_length, freeze, dropout, random_state, verbose: as for `TransferClassifier`.

    Attributes:
        classes_: (types,) the types of the spans of `fit`, sorted.
        model_: the trained `TransferModel`, for `save`.

    Raises:
        DataError: (of `fit`) as for `TransferClassifier`; spans that are none, or no span at all.
    """

    def fit(self, X, y):
        """Trains on texts (rows,) and their spans, a list for each."""
        texts, cells = self._read(X), as_spans(y)
        check_as_many(texts, cells)
        types = _types_in(cells)
        if not types:
            raise DataError("A tagger needs rows with spans.\nReceived none in y.")
        sources = read_sources(self.sources, self._read, as_spans)
        beyond = {t for source in sources.values() for t in _types_in(source.labels)}
        classes = (*types, *sorted(beyond - set(types), key=str))
        self._fit(texts, cells, Task(LABEL, kind="tagging", classes=classes), list, sources)
        self.classes_ = np.array(types, object)
        return self

    def predict(self, X) -> list[list[dict]]:
        """(rows,): the spans of each text, ``{"start", "end", "label"}`` each."""
        return self._predicted(X).labels.tolist()

    def score(self, X, y) -> float:
        """F1 of all spans: a span is right where its characters and its type are; NaN where there
        is none and none is answered.
        """
        true, said = as_spans(y), as_spans(self.predict(X), "the answers")
        check_as_many(said, true)
        numbers = {t: n for n, t in enumerate(dict.fromkeys(map(str, _types_in([*true, *said]))))}
        both = [
            [[(start, end, numbers[str(label)]) for start, end, label in cell] for cell in cells]
            for cells in (true, said)
        ]
        spans = [Spans.of_rows(cells, max(len(numbers), 1)) for cells in both]
        right, answered, there = (part.sum() for part in np.split(hits(*spans), 3, axis=1))
        return float(2 * right / (answered + there)) if answered + there else math.nan


def _types_in(cells) -> list:
    """The types of spans, sorted."""
    return sorted({label for cell in cells for *_, label in cell}, key=str)


@dataclasses.dataclass
class _Columns:
    """Stands in for a model where a strategy has no encoder: what its `fit` reads of one."""

    tasks: list[Task]
    options = {"text": TEXT, "text_pair": None}  # noqa: RUF012

    def resolve(self, table) -> None:
        """The task is resolved."""


def _one_column(estimator, y) -> np.ndarray:
    if y is None:
        raise DataError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None.\n"
            "Give the labels of the texts."
        )
    return column_or_1d(as_array(y), warn=True)


def _numbers(y) -> np.ndarray:
    return check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
