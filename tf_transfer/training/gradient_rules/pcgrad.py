"""PCGrad: a task gives up the part of its gradient that works against another task.

Yu et al. 2020, "Gradient Surgery for Multi-Task Learning", Algorithm 1. Every projected gradient
is a weighted sum of the task gradients. The projections are therefore computed on the inner
products of these.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.devices import distribution
from tf_transfer.devices.backend import tf
from tf_transfer.training.gradient_rules.base import GradientRule


@dataclasses.dataclass(frozen=True)
class PCGrad(GradientRule):
    """Projects each task's gradient off those that it conflicts with, then adds them up.

    A task's gradient is that of its share of the loss, so that without a conflict the result is the
    gradient of the summed loss. The weights that tasks share take part; a weight of one task alone,
    as of its head, has its plain gradient. Each task has one backward pass.

    Replicas sum the gradient of each task before they compare the tasks, so that a conflict is one
    of the whole batch. That is one more exchange of gradients for each task.
    """

    name: ClassVar[str] = "pcgrad"

    def gradients(self, losses, tape, variables, seed):
        of_tasks = [tape.gradient(share, variables) for share in losses.shares.values()]
        of_variables = list(zip(*of_tasks))
        stacks = {
            place: _stack(of_variable)
            for place, of_variable in enumerate(of_variables)
            if _is_shared(of_variable)
        }
        if not stacks:
            return [_plain(of_variable) for of_variable in of_variables]
        products = inner_products(distribution.global_sum(list(stacks.values())))
        orders = tf.argsort(tf.random.stateless_uniform(products.shape, seed, alg="philox"))
        factors = tf.reduce_sum(surgery(products, orders), axis=0)
        return [
            tf.tensordot(factors, stacks[place], 1) if place in stacks else _plain(of_variable)
            for place, of_variable in enumerate(of_variables)
        ]


def inner_products(stacks: list[tf.Tensor]) -> tf.Tensor:
    """(tasks, tasks): of the tasks' gradients, which are (tasks, …) for each variable."""
    flat = [tf.reshape(stack, (stack.shape[0], -1)) for stack in stacks]
    return tf.add_n([tf.matmul(rows, rows, transpose_b=True) for rows in flat])


def surgery(products: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
    """Algorithm 1 up to its last line, in which the projected gradients are added up.

    Args:
        products: (tasks, tasks), the inner products of the task gradients.
        orders: (tasks, tasks) int32; row i is the order in which task i meets the tasks. Its
            meeting with itself changes nothing.

    Returns:
        (tasks, tasks): projected gradient i is the sum of the task gradients times row i.
    """
    count, norms = products.shape[0], tf.linalg.diag_part(products)
    factors = own = tf.eye(count, dtype=products.dtype)
    for number in range(count):
        met = tf.one_hot(orders[:, number], count, dtype=products.dtype) * (1 - own)
        product = tf.reduce_sum(tf.matmul(factors, products) * met, axis=1)
        conflict = tf.minimum(product, 0)
        squared_norm = tf.linalg.matvec(met, norms)
        factors -= met * tf.math.divide_no_nan(conflict, squared_norm)[:, tf.newaxis]
    return factors


def _is_shared(gradients: tuple) -> bool:
    """Whether the losses of several tasks depend on a variable with these gradients."""
    return sum(gradient is not None for gradient in gradients) > 1


def _stack(gradients: tuple) -> tf.Tensor:
    """(tasks, …): a variable's gradients, dense, with 0 for a task that does not depend on it."""
    known = next(gradient for gradient in gradients if gradient is not None)
    none = tf.zeros_like(tf.convert_to_tensor(known))
    return tf.stack([none if g is None else tf.convert_to_tensor(g) for g in gradients])


def _plain(gradients: tuple):
    """The gradient of a variable of one task alone; None for one of no task."""
    return next((gradient for gradient in gradients if gradient is not None), None)
