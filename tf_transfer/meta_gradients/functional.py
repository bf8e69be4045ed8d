"""Running a Keras model on weights that are tensors, and differentiating through training on
them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.private import layers_of, unchanged_inputs
from tf_transfer.errors import DataError, TrainingError, listed

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

Loss = Callable[[Sequence["tf.Tensor"]], "tf.Tensor"]
"""A scalar from a list of weights."""

PartLoss = Callable[[Sequence["tf.Tensor"], "int | tf.Tensor"], "tf.Tensor"]
"""A scalar from a list of weights and the number of a part of the rows; the loss is the sum over
parts.
"""


@contextlib.contextmanager
def fast_weights(
    model: keras.Model, variables: Sequence[tf.Variable], tensors: Sequence[tf.Tensor]
) -> Iterator[None]:
    """Within it, ``model`` computes with ``tensors`` in the place of ``variables``.

    A variable is found by identity, in every attribute of every layer that holds it, so shared
    weights are replaced everywhere and no name is parsed. The model is as before when the context
    ends, also by an exception. Under mixed precision a tensor is cast as its variable would be.

    Args:
        model: a built Keras model or layer.
        variables: some of its variables.
        tensors: one for each, of its shape.

    Raises:
        DataError: a variable that no layer of the model holds as an attribute, one twice, or
            another number of tensors or shape.
        TrainingError: a variable was assigned to inside; see `assignments_refused`.

    Example:
        >>> from tf_transfer.devices.backend import keras
        >>> layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> layer.build((None, 2))
        >>> with fast_weights(layer, layer.trainable_variables, [tf.constant([[2.0], [3.0]])]):
        ...     print(float(layer(tf.ones((1, 2)))[0, 0]))
        5.0
        >>> float(layer(tf.ones((1, 2)))[0, 0])
        2.0
    """
    if len(variables) != len(tensors) or len({id(v) for v in variables}) < len(variables):
        raise DataError(
            "There must be one tensor for each variable, and no variable twice.\nReceived "
            f"{len(tensors)} tensors for {len(variables)} variables, "
            f"{len({id(v) for v in variables})} of them different.\n"
            "Give the tensors in the order of the variables."
        )
    slots = _find_slots(model, variables)
    for variable, tensor in zip(variables, tensors):
        if not variable.shape.is_compatible_with(tensor.shape):
            raise DataError(
                f"A fast weight must have its variable's shape.\nReceived {tensor.shape} for "
                f"{variable.name!r} of shape {variable.shape}.\nGive the tensors in the order of "
                "the variables."
            )
    with assignments_refused(variables):
        try:
            for places, tensor in zip(slots, tensors):
                for layer, attribute, variable in places:
                    layer.__dict__[attribute] = _cast_like(variable, layer, tensor)
            yield
        finally:
            for places in slots:
                for layer, attribute, variable in places:
                    layer.__dict__[attribute] = variable


def _find_slots(model: TransferModel, variables) -> list[list[tuple]]:
    """For each variable the places ``(layer, attribute, variable)`` that hold it."""
    numbers = {id(v): number for number, v in enumerate(variables)}
    slots: list[list[tuple]] = [[] for _ in variables]
    for layer in layers_of(model):
        for attribute, value in vars(layer).items():
            if id(value) in numbers:
                slots[numbers[id(value)]].append((layer, attribute, value))
    missing = [v.name for v, places in zip(variables, slots) if not places]
    if missing:
        raise DataError(
            "Weights are replaced where a layer holds them as an attribute.\nReceived "
            f"{listed(missing)}, which no layer of {model.name!r} does.\nGive variables of this "
            "model, and keep them in attributes, not in lists."
        )
    return slots


def _cast_like(variable, layer, tensor):
    autocast = hasattr(variable, "true_dtype")  # a variable of Keras' mixed precision
    return tf.cast(tensor, layer.compute_dtype) if autocast and tensor.dtype.is_floating else tensor


_WRITES = (
    "Assign",
    "ResourceApply",
    "ResourceSparseApply",
    "ResourceScatter",
    "ResourceStridedSliceAssign",
)


@contextlib.contextmanager
def assignments_refused(variables: Sequence[tf.Variable]) -> Iterator[None]:
    """Raises when the code inside changes one of ``variables``, by `assign` or an optimizer's step.

    A gradient does not flow through an assignment: an inner loop that assigns gives first-order
    meta-gradients without a warning. In a graph, branches, loops and called functions are looked
    into; eagerly, the values before and after are compared.

    Raises:
        TrainingError: the code inside has changed a variable, or would when its graph is run.
    """
    if tf.executing_eagerly():
        before = [v.read_value() for v in variables]
        yield
        changed = [
            v.name for v, old in zip(variables, before) if not _same_bits(old, v.read_value())
        ]
        operation = "an assignment"
    else:
        graph = tf.compat.v1.get_default_graph()
        known = len(graph.get_operations())
        yield
        names = {id(part.handle): v.name for v in variables for part in _parts(v)}
        names |= {
            id(place): names[id(outer)] for outer, place in graph.captures if id(outer) in names
        }
        touching = [
            op for op in graph.get_operations()[known:] if any(id(i) in names for i in op.inputs)
        ]
        hits = [(op.type, names[id(i)]) for op in touching for i in _written(op) if id(i) in names]
        changed, operation = [name for _, name in hits], hits[0][0] if hits else ""
    if changed:
        raise TrainingError(
            "Weights must not be assigned to where a meta-gradient is taken: no gradient flows "
            "through an assignment, and the result would silently be of first order.\n"
            f"Received {operation} on {listed(changed)}.\n"
            "Compute new weights as tensors, w - rate * gradient, and run the model in "
            "fast_weights()."
        )


def _same_bits(a: tf.Tensor, b: tf.Tensor) -> bool:
    return a.numpy().tobytes() == b.numpy().tobytes()


def _parts(variable) -> Sequence[tf.Variable]:
    """A variable's copies on the devices of `tf.distribute`, or itself where there are none."""
    return variable.values if isinstance(variable, tf.distribute.DistributedValues) else [variable]


def _written(op: tf.Operation) -> list[tf.Tensor]:
    """The variables among an operation's inputs that it changes, itself or in what it calls."""
    if op.type.startswith(_WRITES):
        return list(op.inputs)
    unchanged = unchanged_inputs(op)
    if unchanged is None:
        return []
    return [t for i, t in enumerate(op.inputs) if t.dtype == tf.resource and i not in unchanged]


def value_and_gradient(loss: Loss, at: Sequence[tf.Tensor], wanted: Sequence[int] | None = None):
    """``loss(at)`` and its gradient, dense and 0 where the loss does not depend on a tensor.

    Args:
        at: tensors.
        wanted: which of them to differentiate by; None for all.
    """
    at = list(at)
    chosen = at if wanted is None else [at[i] for i in wanted]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(chosen)
        value = loss(at)
    gradient = tape.gradient(value, chosen, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return value, [tf.convert_to_tensor(g) for g in gradient]


def with_pull_back(function: Callable[[list], Sequence], at: Sequence[tf.Tensor]):
    """``function(at)`` and what takes a gradient by it to one by ``at``; the intermediate values
    are held for that.

    Args:
        function: from a list of tensors to a list of tensors.
        at: tensors.

    Returns:
        The list; ``pull_back(upstream) -> gradient``: from tensors of its shapes to dense ones of
        those of ``at``.
    """
    at = list(at)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        values = list(function(at))

    def pull_back(upstream: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        zero = tf.UnconnectedGradients.ZERO
        gradient = tape.gradient(
            values, at, output_gradients=list(upstream), unconnected_gradients=zero
        )
        return [tf.convert_to_tensor(g) for g in gradient]

    return values, pull_back


def hessian_vector_product(loss: Loss, at: Sequence[tf.Tensor], vector: Sequence[tf.Tensor]):
    """The gradient g and the product H v of the Hessian of ``loss`` at ``at`` with ``vector``.

    Reverse-over-reverse: the gradient of g·v, at about three times the cost of g.
    Forward-over-reverse (Pearlmutter 1994, "Fast Exact Multiplication by the Hessian") gives the
    same and was a third slower here.

    Args:
        at: tensors.
        vector: tensors of the same shapes.

    Returns:
        ``(gradient, product)``: lists of tensors shaped as ``at``.
    """
    at, vector = list(at), list(vector)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        _, gradient = value_and_gradient(loss, at)
    product = tape.gradient(
        gradient, at, output_gradients=vector, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return gradient, [tf.convert_to_tensor(p) for p in product]


def summed(function: Callable[[int], list], parts: int):
    """``Σ function(part)`` over ``parts`` parts, one after the other, tensor by tensor; traced
    twice, however many.
    """
    total = function(0)
    if parts == 1:
        return total

    def body(part, total):
        return part + 1, tf.nest.map_structure(tf.add, total, function(part))

    return tf.while_loop(
        lambda part, _: part < parts, body, (tf.constant(1), total), parallel_iterations=1
    )[1]
