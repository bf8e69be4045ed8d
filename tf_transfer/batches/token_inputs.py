"""Token ids that `fit`, `predict` and `evaluate` may be given, made into `tf.data` of batches ``(x,
y, w)``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tf_transfer.batches.input_labels import check_weights, with_labels
from tf_transfer.batches.inputs import IDS, MASK, TYPES
from tf_transfer.batches.model import Model
from tf_transfer.batches.rows import untuned
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, listed
from tf_transfer.kinds.labels import given_class_factors


def batches_of(
    model: Model,
    x,
    y=None,
    weights=None,
    *,
    batch_size: int = 32,
    training: bool = False,
    shuffle: bool = False,
    class_weight=None,
):
    """``tf.data`` of ``(x, y, w)``, or of ``x`` without labels, from token ids; what is none is
    handed back as it is.

    Left out, ``w`` is 1, ``token_type_ids`` are 0, and a single task's labels need no dict.

    Args:
        model: `TransferModel`, for its tasks and its encoder's fields.
        x: ``{"input_ids": (rows, length), "attention_mask": …}``, as tokenizers return, or
            `tf.data` of such batches, with labels as numbers of classes. Tasks on tokens are
            trained on batches ``(x, y, w)`` alone, see `TransferModel.dataset`.
        y, weights: as for `rows_of`.
        training: the labels train the heads, which take note of them; see `Head.note_labels`.
        shuffle, class_weight: as in Keras, for token ids by field.

    Raises:
        DataError: a field is missing, or labels do not fit.
    """
    if not (training and _has_all(model, x)):
        _check_no_characters(model)
    if isinstance(x, Mapping):
        x = _slices(model, x, y, weights, training, class_weight)
        rows = int(x.cardinality())
        x = untuned(
            (x.shuffle(rows, seed=model.options["seed"]) if shuffle else x).batch(batch_size)
        )
    elif y is not None or weights is not None or class_weight is not None:
        raise DataError(
            "Batches hold their own labels and weights: (x, y, w).\nReceived y, sample_weight or "
            "class_weight too.\n"
            "Put them into the batches, or give token ids as a dict of arrays."
        )
    elif not isinstance(x, tf.data.Dataset):
        return x
    spec = x.element_spec if isinstance(x.element_spec, tuple) else (x.element_spec,)
    fields = _fields(model)
    _check_fields(spec[0])
    if _complete(spec, fields):
        return x
    model._require_heads()
    names = [t.name for t in model.tasks]
    for part, what in zip(spec[1:], ("y", "weights")):
        if not isinstance(part, Mapping) and len(names) > 1 and what == "y":
            raise DataError(
                f"y must be a dict with the tasks {listed(names)}.\nReceived a "
                f"{type(part).__name__}."
            )

    def fill(x, y=None, w=None):
        x = {f: tf.cast(x.get(f, tf.zeros_like(x[IDS])), tf.int32) for f in fields}
        if y is None:
            return x
        y = y if isinstance(y, Mapping) else {names[0]: y}
        w = tf.ones(tf.shape(next(iter(y.values())))[:1]) if w is None else w
        w = w if isinstance(w, Mapping) else dict.fromkeys(names, w)
        return x, dict(y), {n: tf.cast(v, tf.float32) for n, v in w.items()}

    return x.map(fill)


def _has_all(model: Model, x) -> bool:
    """Whether ``x`` is `tf.data` of all that a training step takes, as `TransferModel.dataset`
    gives.
    """
    if not isinstance(x, tf.data.Dataset) or not isinstance(x.element_spec, tuple):
        return False
    return len(x.element_spec) == 3 and _complete(x.element_spec, _fields(model))


def _fields(model: Model) -> list[str]:
    """What the encoder reads of token ids."""
    return [IDS, MASK, *(field for field in model.encoder.fields if field == TYPES)]


def _check_no_characters(model: Model) -> None:
    """Raises:
    DataError: a task is about characters, which token ids do not say.
    """
    if model.token_tasks:
        raise DataError(
            f"Texts are wanted here: {listed(model.token_tasks)} is about their characters.\n"
            "Received token ids or tf.data.\n"
            "Give the texts, or a table that holds them; fit takes model.dataset(table), too."
        )


def _complete(spec: tuple, fields: list[str]) -> bool:
    """Whether batches are what a training step takes, or inputs alone."""
    if not all(isinstance(part, Mapping) for part in spec) or len(spec) == 2:
        return False
    return all(f in spec[0] and spec[0][f].dtype == tf.int32 for f in fields)


def _slices(model: Model, x: Mapping, y, weights, training: bool, class_weight) -> tf.data.Dataset:
    """Single rows of token ids by field, with labels and weights where there are labels."""
    _check_fields(x)
    fields = {f: np.asarray(v).astype(np.int32) for f, v in x.items() if f in (IDS, MASK, TYPES)}
    rows = len(fields[IDS])
    if y is None:
        return tf.data.Dataset.from_tensor_slices(fields)
    labels = with_labels(pd.DataFrame(index=range(rows)), y, model.tasks)
    model.resolve(labels)
    y, w = model.encode_labels(labels, note_labels=training)
    given = [check_weights(weights, rows, model.tasks)]
    if class_weight is not None:
        given.append(given_class_factors(model.tasks, class_weight, labels))
    for factors in filter(None, given):
        w = {name: values * factors[name] for name, values in w.items()}
    return tf.data.Dataset.from_tensor_slices((fields, y, w))


def _check_fields(x) -> None:
    missing = [f for f in (IDS, MASK) if not isinstance(x, Mapping) or f not in x]
    if missing:
        received = listed(list(x)) if isinstance(x, Mapping) else f"a {type(x).__name__}"
        raise DataError(
            f"Token ids are given as {{{IDS!r}: (batch, length), {MASK!r}: …}}.\nReceived "
            f"{received}.\n"
            "A tokenizer returns them: tokenizer(texts, padding=True, return_tensors='tf')."
        )
