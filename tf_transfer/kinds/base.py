"""What a kind of task must know: labels, answers, metrics, its part of a head, and its words.

A kind is one object. Everything that the toolkit does differently for classes and for numbers is a
method or an attribute here, and nothing outside this folder asks for a kind by its name.

A head sees one vector a text, or a vector for each of its tokens: ``reads`` says which. Labels and
answers are arrays whose first axis is the rows, or another object that has a length and of which
rows can be chosen by an index array or a mask, as `Ragged`. A kind with classes has `classes_in`,
`class_counts`, `has_class` and, in `details`, the precision, recall, F1 and support of each class;
a kind of one class a row has its confusion matrix there, too, and answers of which the greatest is
the class. Labels and answers of a kind with ``numbers`` are (rows,) numbers.

Arguments everywhere:
    task: a resolved `Task`, unless it says otherwise.
    y: encoded labels of some rows.
    answers: what a model says of the rows, an `Answers`: probabilities, numbers in the label's own
        unit, or whatever else the kind's metrics read.
    head: a `Head`; ``output`` is what its dense layer gives, see `shape_output`.
"""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, check_choice
from tf_transfer.kinds.answers import Answers
from tf_transfer.kinds.few_shot import FewShot
from tf_transfer.measures.metric import Metric


class Kind(FewShot, abc.ABC):
    """One kind of task; `FewShot` holds what its episodes are.

    Attributes:
        name: in experiment files and errors.
        primary: the metric that a verdict is given on unless another is asked for.
        row_metric: a mean over rows, so that the difference on all rows is the mean of those on
            parts of them.
        metrics: in the order of the tables.
        reads: what a head computes from: ``"text"``, a vector a text, or ``"tokens"``, a vector a
            token.
        numbers: whether labels and answers are (rows,) numbers.
        spans: whether labels and answers are `Spans` of the text.
        answers_questions: whether labels are answers in the text to the question of its pair.
        has_classes: whether labels are names of classes; see above for what this asks.
        one_class: whether a row has exactly one class, and ``y`` is its number.
        several: whether a row may have several classes, or none.
        link: how the outputs of a dense layer become answers. ``"softmax"``, ``"sigmoid"`` and
            ``"identity"`` can be solved on frozen features; None cannot. That of a kind that reads
            tokens is ``"softmax"`` of its `targets`.
        change_words: what a mended row and a broken row are, for the report.
        reliability_words: what is predicted and what is observed where predictions are held against
            labels; None where answers say neither a number nor how sure they are.
    """

    name: ClassVar[str]
    primary: ClassVar[str]
    row_metric: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    reads: ClassVar[Literal["text", "tokens"]] = "text"
    numbers: ClassVar[bool] = False
    spans: ClassVar[bool] = False
    answers_questions: ClassVar[bool] = False
    has_classes: ClassVar[bool] = True
    one_class: ClassVar[bool] = False
    several: ClassVar[bool] = False
    link: ClassVar[Literal["softmax", "sigmoid", "identity"] | None] = None
    change_words: ClassVar[tuple[str, str]] = ("a smaller error", "a larger error")
    reliability_words: ClassVar[tuple[str, str] | None] = (
        "probability given",
        "share that is right",
    )

    # -- metrics -----------------------------------------------------------------------------------

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """In the order of the tables."""
        return tuple(metric.name for metric in self.metrics)

    def metric(self, name: str) -> Metric:
        """Raises:
        DataError: the kind has no metric of this name.
        """
        check_choice(f"metric of a {self.name}", name, self.metric_names)
        return next(metric for metric in self.metrics if metric.name == name)

    def details(self, y, answers) -> dict[str, np.ndarray]:
        """What the suite holds beside the metrics that are one number."""
        return {}

    @abc.abstractmethod
    def checked(self, y, answers, of: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Labels and answers that fit together; where they are arrays, answers as float64.

        Args:
            of: what they are called in a message, beginning with a blank: ``" of test/sentiment"``.

        Raises:
            DataError: shapes that do not fit, no row, or values that cannot be.
        """

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column: pd.Series) -> bool:
        """Whether the present labels of a column, of which nobody said the kind, are of this kind.

        Kinds that were registered later are asked earlier; `Classification`, the last one, takes
        all.
        """
        return False

    def check_inferred(self, task: str, column: pd.Series) -> None:
        """Raises:
        DataError: labels that were inferred to be of this kind could mean something else.
        """
        return

    @abc.abstractmethod
    def check_task(self, task) -> None:
        """Raises:
        DataError: the fields of a `Task`, which need not be resolved, cannot go with this kind.
        """

    @abc.abstractmethod
    def is_resolved(self, task) -> bool:
        """Whether a head can be built for the `Task`."""

    @abc.abstractmethod
    def outputs(self, task) -> int:
        """Width of the head."""

    def classes_in(self, task, column: pd.Series, gaps: bool) -> tuple:
        """The classes that a column of labels names, in the order of the head's outputs.

        Args:
            task: its classes are open.
            gaps: whether missing labels have made whole numbers fractions.

        Raises:
            DataError: too few, or of several types.
        """
        return ()

    def label_counts(self, task, column: pd.Series) -> Counter:
        """Rows of each label in a column, as it is written."""
        return Counter()

    @abc.abstractmethod
    def blank(self, task, rows: int) -> Answers:
        """Labels of ``rows`` without any, of the type that `encode` gives."""

    @abc.abstractmethod
    def encode(self, task, column: pd.Series, present: np.ndarray, where: str) -> Answers:
        """``y`` of a column of labels; 0, or nothing, where ``present`` (rows,) bool is False.

        Raises:
            DataError: a label that the task does not have.
        """

    def targets(self, task, y, tokens) -> np.ndarray:
        """What a head is trained on, from ``y`` and the tokens of the same rows.

        Args:
            tokens: `batches.tokens.Tokens`; ``tokens.spans`` are the characters of each.

        Returns:
            (rows, …) of numbers, of a kind that reads texts; (tokens,) of one that reads tokens,
            which batches pad with `PADDED`.
        """
        return y

    def class_counts(self, task, y) -> np.ndarray:
        """(classes,): rows of each class."""
        raise NotImplementedError

    def balanced_factors(self, task, y) -> np.ndarray:
        """(classes,) float32: the factors that ``class_weight="balanced"`` stands for, labels /
        (classes * labels of the class), as in scikit-learn.
        """
        counts = self.class_counts(task, y)
        return (len(y) / np.maximum(len(task.classes) * counts, 1)).astype(np.float32)

    def row_factors(self, task, y, factors: np.ndarray) -> np.ndarray:
        """(rows,) float32: the factor of each row's loss.

        Args:
            factors: (classes,) float32, of each class.
        """
        return factors[y]

    def output_factors(self, task, y) -> np.ndarray:
        """(outputs,) float32: the factors of the tokens of each output, of a kind whose classes
        are those of tokens.
        """
        return np.ones(self.outputs(task), np.float32)

    @abc.abstractmethod
    def taught(self, task, y) -> np.ndarray:
        """(outputs,) bool: which outputs the labels are of."""

    def occurring(self, task, y) -> np.ndarray:
        """(classes,) bool: which classes occur among labels; of a kind without classes (1,),
        whether there is any label.
        """
        return self.class_counts(task, y) > 0 if self.has_classes else np.array([len(y) > 0])

    @abc.abstractmethod
    def sure(self, task, y) -> np.ndarray:
        """The answers of someone who knows the labels, float64."""

    def has_class(self, y, number: int) -> np.ndarray:
        """(rows,) bool: whether each row has a class."""
        raise NotImplementedError

    @abc.abstractmethod
    def known_share(self, y, known) -> float:
        """The share of the labels ``y`` that occur among the labels ``known``, of another table."""

    @abc.abstractmethod
    def is_possible(self, task, y) -> bool:
        """Whether stored labels, of the type of `blank`, can be any."""

    # -- answers -----------------------------------------------------------------------------------

    def answer_shape(self, task, rows: int) -> tuple[int, ...]:
        """Of the answers for ``rows``, where they are an array of numbers."""
        raise NotImplementedError

    def answer_fault(self, answers) -> str:
        """What stored answers, finite numbers of the right shape, should be and are not; empty when
        they can be.
        """
        return ""

    def answer_misfit(self, task, answers, rows: int) -> str:
        """What is wrong with stored answers for ``rows``, as the end of "The file must hold ...";
        empty when nothing is.
        """
        shape = self.answer_shape(task, rows)
        if answers.shape != shape or answers.dtype.kind != "f":
            return (
                f"scores of {task.name} of shape {shape} for the {rows} test rows.\n"
                f"Received {answers.dtype} of shape {answers.shape}.\n"
                "Delete the file and run the experiment again."
            )
        bad = np.flatnonzero(~np.isfinite(answers.reshape(rows, -1)).all(1)) if rows else ()
        if len(bad):
            return (
                f"finite scores of {task.name}.\nReceived {answers[bad[0]]} in row {bad[0]} "
                f"({len(bad)} such rows): the model has diverged.\n"
                "Delete the file, and run the experiment again with a lower learning rate."
            )
        fault = self.answer_fault(answers)
        if fault:
            return (
                f"{fault} of {task.name}.\n"
                f"Received scores from {answers.min():.4g} to {answers.max():.4g}.\n"
                "Delete the file and run the experiment again."
            )
        return ""

    def label_misfit(self, task, y, rows: int) -> str:
        """What is wrong with the type or the shape of stored labels for ``rows``; empty when
        nothing is.
        """
        expected = self.blank(task, rows).shape
        if y.shape != expected or y.dtype.kind not in "if":
            return f"of shape {expected}; received {y.dtype} of shape {y.shape}"
        return ""

    def mean_answers(self, answers: Sequence) -> Answers:
        """The answers of several models to the same rows as one, to be shown."""
        return np.mean(answers, axis=0, dtype=np.float64)

    def unpack(self, stored: np.ndarray | Mapping[str, np.ndarray]) -> Answers:
        """Labels or answers from a file, where they are an array, or arrays by name.

        Raises:
            ValueError: they are of another type than the kind has.
        """
        if not isinstance(stored, np.ndarray):
            raise ValueError(f"One array is needed, and not {sorted(stored)}.")
        return stored

    def probabilities(self, answers) -> np.ndarray | None:
        """(rows, classes), or None where the kind has none."""
        return None

    @abc.abstractmethod
    def labels_of(self, task, answers) -> np.ndarray:
        """(rows,): answers as labels, of the type that went in."""

    def written(self, labels: np.ndarray, texts: Sequence) -> np.ndarray:
        """(rows,): `labels_of` as they stand in a table; those of several classes as ``a|b``.

        Args:
            texts: of the same rows; None where it is not known.
        """
        joined = ["|".join(map(str, v)) if isinstance(v, tuple) else v for v in labels]
        return np.array(joined, object) if labels.dtype == object else labels

    @abc.abstractmethod
    def row_error(self, y, answers) -> np.ndarray:
        """(rows,): how wrong each answer is, a share or a distance."""

    def evidence(self, y, answers) -> np.ndarray:
        """(rows,): how much an answer speaks for the true label; it orders rows of equal
        `row_error`.
        """
        return np.zeros(len(y))

    def confidences(self, y, answers) -> tuple[np.ndarray, np.ndarray] | None:
        """How sure each answer is and whether it is right, (n,) each with n a multiple of the rows,
        row by row.

        None where answers do not say: those that are numbers are held against the labels
        themselves.
        """
        return None

    def longest_spans(self, answers, texts: Sequence) -> np.ndarray | None:
        """(rows,): the most words that a span of each row has, NaN in rows without one; None where
        the kind has no spans.

        Args:
            texts: of the same rows.
        """
        return None

    # -- the part of a head ------------------------------------------------------------------------

    def build(self, head) -> None:
        """Adds the weights that a dense layer does not have."""
        return

    def restart(self, head) -> None:
        """Sets the weights of `build` to their first values."""
        return

    def note_labels(self, head, y) -> None:
        """Learns what a head must know of labels before it is trained on them, as their scale."""
        return

    def shape_output(self, output):
        """What a head returns, from its dense layer's (batch, outputs) or (batch, length,
        outputs).
        """
        return output

    @abc.abstractmethod
    def losses(self, head, y, output):
        """(batch,) loss of each row, as a tensor.

        Args:
            y: a batch of `targets`. Those of tokens are (batch, length); the loss of a row is the
                mean over its tokens that are not `PADDED`, so that a long text weighs no more than
                a short one.
        """

    @abc.abstractmethod
    def scores(self, head, output):
        """(batch, outputs) answers, as a tensor, also of a regression, which has one output; of
        tokens (batch, length, outputs).
        """

    def served(self, head, output):
        """The answers of a serving signature, float32 unless the label's unit needs more."""
        from tf_transfer.devices.backend import tf

        return tf.cast(self.scores(head, output), tf.float32)

    def from_served(self, head, scores: np.ndarray, tokens=None) -> Answers:
        """Answers from what `served` gave.

        Args:
            head: whatever has the ``task``.
            scores: (rows, …), or of tokens (tokens, …), those of the first row first.
            tokens: as for `decode`.
        """
        return scores.astype(np.float64)

    @abc.abstractmethod
    def decode(self, head, output: np.ndarray, tokens=None) -> Answers:
        """Answers from outputs, in double precision.

        Args:
            output: (rows, …), or of tokens (tokens, …), those of the first row first.
            tokens: of the same rows; None where a kind reads texts.
        """

    def standardised(self, head, y) -> np.ndarray:
        """(rows,) float64: labels in the unit that the head's output has. Of the link
        ``"identity"``.
        """
        raise NotImplementedError

    # -- scikit-learn ------------------------------------------------------------------------------

    def linear_model(self, task, y, penalty: float):
        """A linear model of scikit-learn for the labels; None where the kind has none."""
        return None

    def constant_model(self):
        """A model of scikit-learn that says the same of every row; None where the kind has none."""
        return None

    def for_estimator(self, y) -> np.ndarray:
        """The labels as scikit-learn takes them."""
        return y

    def answers_of(self, task, estimator, inputs: Sequence) -> np.ndarray:
        """Answers of a model of scikit-learn, float64."""
        return np.asarray(estimator.predict(inputs), np.float64)


PADDED = -1
"""The target of a token that is none, or that has no label."""


def check_finite(answers: np.ndarray, of: str) -> None:
    """Raises:
    DataError: an answer is not finite.
    """
    rows = answers.reshape(len(answers), -1) if len(answers) else np.zeros((0, 1))
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise DataError(
            f"Scores{of} must be finite.\nReceived {answers[bad[0]]} in row {bad[0]} ({len(bad)} "
            "such rows).\n"
            "The model has diverged: train it with a lower learning rate."
        )
