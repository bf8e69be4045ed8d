"""The inner loop of meta-learning, and its exact derivative at a cost in graph that no step adds
to.

Descent is θ ← θ − α ∇L_support(θ), from θ₀ to θ_k. The meta-gradient is that of L_query(θ_k) by θ₀.
Unrolling the loop under one tape makes graph, compile time and memory grow with k. Here the points
θ₀ … θ_k are kept and the chain rule is run backwards through them, one traced step for all:

    v ← ∇L_query(θ_k);  v ← v − H_support(θᵢ) (α v)  for i = k−1 … 0

Where memory is plentiful, the tape runs over k calls of one traced step instead: the intermediate
values of every step are kept, and none is computed twice. Either way one step is traced, whatever
k; the memory of the recursion grows by one copy of the changed weights a step, that of the tape by
all intermediate values.

Finn et al. 2017, "Model-Agnostic Meta-Learning", Algorithm 1; the recursion is reverse-mode
differentiation of gradient descent, as in Maclaurin et al. 2015, "Gradient-based Hyperparameter
Optimization through Reversible Learning", Algorithm 2, with the points kept instead of recomputed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError
from tf_transfer.meta_gradients.functional import (
    PartLoss,
    hessian_vector_product,
    summed,
    value_and_gradient,
)


@dataclasses.dataclass(frozen=True)
class Descent:
    """Where gradient descent went.

    Args:
        end: the weights after the last step, those that the loop does not change included.
        losses: (steps,) the support loss before each step.
        points: a `tf.TensorArray` for each weight that the loop changes, of its values before each
            step.
    """

    end: list[tf.Tensor]
    losses: tf.Tensor
    points: list[tf.TensorArray]


class InnerLoop:
    """Gradient descent on a support loss as a function of its start, its rates and its fixed
    weights.

    Args:
        support_loss: ``(weights, part) -> scalar``, to be summed over the parts.
        steps: gradient steps, at least 0.
        parts: into which the support rows are split, to bound memory; see `functional.summed`.
        changed: the places in the list of weights that the loop changes; None for all. The others
            are constant in the loop, but the meta-gradient by them is exact too.
        compiled: run the gradient and the Hessian-vector product through XLA.
        keep: keep the intermediate values of every step for `meta_gradient` instead of computing
            them anew. It takes ``steps`` a Python number, one part, and a program that XLA does not
            compile: the tape hands shapes from one way to the other, which XLA must know.
    """

    def __init__(
        self,
        support_loss: PartLoss,
        steps: int,
        *,
        parts: int = 1,
        changed: Sequence[int] | None = None,
        compiled: bool = False,
        keep: bool = False,
    ):
        self.steps, self.parts, self.changed = steps, parts, changed
        self.keep = (
            keep and parts == 1 and not compiled and isinstance(steps, int) and not _in_xla()
        )
        wrap = (
            functools.partial(tf.function, jit_compile=True, autograph=False)
            if compiled
            else (lambda f: f)
        )
        self._gradient = wrap(
            lambda weights, part: value_and_gradient(
                lambda w: support_loss(w, part), weights, self._changed(weights)
            )
        )
        self._product = wrap(
            lambda weights, vector, part: hessian_vector_product(
                lambda w: support_loss(w, part), weights, vector
            )
        )

    def descend(
        self, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor], keep: bool = False
    ) -> Descent:
        """Runs the loop from ``start``.

        Args:
            start: list of all weights.
            rates: a rate for each changed weight: a scalar, or of the weight's shape.
            keep: keep the points, for `pull_back`.
        """
        changed = self._changed(start)
        moving = [start[i] for i in changed]
        if isinstance(self.steps, int) and self.steps == 0:
            return Descent(list(start), tf.zeros((0,)), [])
        points = [
            tf.TensorArray(
                m.dtype,
                size=self.steps if keep else 0,
                element_shape=m.shape,
                clear_after_read=False,
            )
            for m in moving
        ]
        losses = tf.zeros((self.steps,), moving[0].dtype) if moving else tf.zeros((self.steps,))

        def body(step, moving, points, losses):
            if keep:
                points = [p.write(step, m) for p, m in zip(points, moving)]
            loss, moved = self._step(_merged(start, changed, moving), rates)
            return step + 1, moved, points, tf.tensor_scatter_nd_update(losses, [[step]], [loss])

        _, moving, points, losses = tf.while_loop(
            lambda step, *_: step < self.steps,
            body,
            (tf.constant(0), moving, points, losses),
            parallel_iterations=1,
        )
        return Descent(_merged(start, changed, moving), losses, points)

    def unroll(self, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor]):
        """`descend` for a tape: the points before each step and at the end, and the losses.

        One traced function is called ``steps`` times.
        """
        step = _called(self._step)
        points, losses = [list(start)], []
        for _ in range(self.steps):
            loss, moved = step(points[-1], list(rates))
            losses.append(loss)
            points.append(_merged(start, self._changed(start), moved))
        return points, tf.stack(losses) if losses else tf.zeros((0,))

    def pull_back(
        self,
        start,
        rates,
        descent: Descent,
        cotangent: Sequence[tf.Tensor],
        *,
        first_order: bool = False,
        by_rates: bool = True,
        added=None,
    ):
        """The gradient by ``start`` and by ``rates``, from the gradient by the weights at the end.

        Args:
            start, rates: those of `descend`.
            descent: its result, with the points kept.
            cotangent: gradient of some loss by ``descent.end``; shaped as ``start``.
            first_order: take every Hessian for 0 (FOMAML, Finn et al. 2017, section 5.2).
            by_rates: whether the gradient by the rates is wanted; FOMAML needs no inner gradient
                but for it.
            added: ``(step, weights) -> (scalar, tensors)``: a loss that also looks at the weights
                before ``step``, and its gradient by them, shaped as ``start``; None for none.

        Returns:
            ``(gradient, rate_gradient, loss)``: shaped as ``start`` and as ``rates``, the second
            empty without ``by_rates``; and the sum of the losses that were added.
        """
        changed, rate_gradient = (
            self._changed(start),
            [tf.zeros_like(r) for r in rates] if by_rates else [],
        )
        total = tf.zeros((), cotangent[0].dtype)
        if (isinstance(self.steps, int) and self.steps == 0) or (
            first_order and not by_rates and added is None
        ):
            return list(cotangent), rate_gradient, total

        def body(step, cotangent, rate_gradient, total):
            step -= 1
            at = _merged(start, changed, [p.read(step) for p in descent.points])
            cotangent, more = self._back(at, rates, cotangent, first_order, by_rates)
            if added is not None:
                loss, gradient = added(step, at)
                cotangent, total = [a + b for a, b in zip(cotangent, gradient)], total + loss
            return step, cotangent, [a + b for a, b in zip(rate_gradient, more, strict=True)], total

        _, *states = tf.while_loop(
            lambda step, *_: step > 0,
            body,
            (tf.convert_to_tensor(self.steps), list(cotangent), rate_gradient, total),
            parallel_iterations=1,
        )
        return states

    def _changed(self, weights) -> list[int]:
        return list(range(len(weights))) if self.changed is None else list(self.changed)

    def _step(self, weights, rates):
        loss, gradient = summed(lambda part: self._gradient(weights, part), self.parts)
        return loss, [
            weights[i] - rate * g for i, rate, g in zip(self._changed(weights), rates, gradient)
        ]

    def _back(self, weights, rates, cotangent, first_order: bool, by_rates: bool):
        changed = self._changed(weights)
        moving = [cotangent[i] for i in changed]
        if not first_order:
            vector = [tf.zeros_like(w) for w in weights]
            for i, rate, v in zip(changed, rates, moving):
                vector[i] = rate * v
            gradient, product = summed(
                lambda part: self._product(weights, vector, part), self.parts
            )
            gradient = [gradient[i] for i in changed]
            cotangent = [v - p for v, p in zip(cotangent, product)]
        elif by_rates:
            _, gradient = summed(lambda part: self._gradient(weights, part), self.parts)
        if not by_rates:
            return cotangent, []
        return cotangent, [_summed_to(-v * g, rate) for v, g, rate in zip(moving, gradient, rates)]


def meta_gradient(
    loop: InnerLoop,
    query_loss: PartLoss,
    start: Sequence[tf.Tensor],
    rates: Sequence[tf.Tensor],
    *,
    query_parts: int = 1,
    first_order: bool = False,
    by_rates: bool = True,
    step_weights: Sequence[float] | None = None,
):
    """The query loss after the inner loop, and its gradient by the start and by the rates.

    Args:
        loop: of the support loss.
        query_loss: ``(weights, part) -> scalar``, to be summed over the parts.
        start: list of weights θ₀.
        rates: see `InnerLoop.descend`.
        query_parts: into which the query rows are split.
        first_order: FOMAML.
        by_rates: whether the gradient by the rates is wanted.
        step_weights: (steps,) weights of the query losses after each inner step (multi-step loss,
            Antoniou et al. 2019, "How to train your MAML", equation 4); None: the last alone
            counts.

    Returns:
        loss: scalar; the weighted one with ``step_weights``.
        gradient: shaped as ``start``.
        rate_gradient: shaped as ``rates``; empty without ``by_rates``.
        support_losses: (steps,) before each inner step.

    Reference:
        Finn et al. 2017, "Model-Agnostic Meta-Learning", Algorithm 1; the gradient by the rates:
        Li et al. 2017, "Meta-SGD", Algorithm 1.
    """
    start = [tf.convert_to_tensor(w) for w in start]
    if step_weights is not None:
        step_weights = tf.convert_to_tensor(step_weights)
        if isinstance(loop.steps, int) and step_weights.shape[0] != loop.steps:
            raise DataError(
                f"There must be a weight for each inner step.\nReceived {step_weights.shape[0]} "
                f"step_weights for {loop.steps} steps.\nGive as many."
            )
    if loop.keep and not first_order:
        return _unrolled(loop, query_loss, start, list(rates), query_parts, step_weights, by_rates)
    options = {"first_order": first_order, "by_rates": by_rates}
    descent = loop.descend(
        start, rates, keep=not first_order or by_rates or step_weights is not None
    )

    def query(weights):
        return summed(
            lambda part: value_and_gradient(lambda w: query_loss(w, part), weights), query_parts
        )

    loss, cotangent = query(descent.end)
    if step_weights is None:
        gradient, by_rate, _ = loop.pull_back(start, rates, descent, cotangent, **options)
        return loss, gradient, by_rate, descent.losses
    # Weight i is of the loss after step i + 1: the points before steps 1 … k − 1, then the end.
    weights = tf.cast(step_weights, loss.dtype)

    def added(step, at):
        def scaled():
            return tf.nest.map_structure(lambda t: weights[step - 1] * t, query(at))

        return tf.cond(
            step > 0, scaled, lambda: (tf.zeros_like(loss), [tf.zeros_like(w) for w in at])
        )

    cotangent = [weights[-1] * c for c in cotangent]
    gradient, by_rate, between = loop.pull_back(
        start, rates, descent, cotangent, added=added, **options
    )
    return between + weights[-1] * loss, gradient, by_rate, descent.losses


def _unrolled(
    loop: InnerLoop,
    query_loss: PartLoss,
    start,
    rates,
    query_parts: int,
    step_weights,
    by_rates: bool,
):
    watched = [start, rates] if by_rates else [start, []]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        points, losses = loop.unroll(start, rates)
        if step_weights is None:
            counted, shares = points[-1:], [1.0]
        else:
            counted, shares = (
                points[1:],
                tf.unstack(tf.cast(step_weights, losses.dtype), num=loop.steps),
            )
        loss_at = _called(lambda at: summed(lambda part: query_loss(at, part), query_parts))
        loss = tf.add_n([share * loss_at(at) for at, share in zip(counted, shares)])
    gradient, by_rate = tape.gradient(
        loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return (
        loss,
        [tf.convert_to_tensor(g) for g in gradient],
        [tf.convert_to_tensor(g) for g in by_rate],
        losses,
    )


def _called(function):
    """The function as a node that is called: however often, the graph holds its body once."""
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


def _in_xla() -> bool:
    """Whether what is traced now is compiled as a whole, as on a TPU."""
    return keras.src.utils.control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def _merged(weights, places, values) -> list[tf.Tensor]:
    merged = list(weights)
    for place, value in zip(places, values, strict=True):
        merged[place] = value
    return merged


def _summed_to(values: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    return values if rate.shape == values.shape else tf.reduce_sum(values)
