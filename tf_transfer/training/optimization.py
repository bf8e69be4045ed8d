"""The optimizer that `compile("auto")` stands for: AdamW, warm-up and decay, clipping."""

from __future__ import annotations

from collections.abc import Sequence

from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.distribution import is_tpu
from tf_transfer.devices.private import (
    build_legacy,
    is_built_for,
    loss_scale_variables,
    rebuild,
    schedule_of,
    whole_variable,
)
from tf_transfer.encoders.kernels import compiled


class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW with decay, clipping to a global norm and the update in one kernel a variable.

    The formula is that of `keras.optimizers.AdamW` (Loshchilov & Hutter 2019, Algorithm 2), and the
    results agree to rounding; about fifteen passes over each variable become five. A sparse
    gradient (embeddings) is added to the moments at its rows alone; as the formula asks, the other
    rows still decay and still move with their momentum. Clipping sees the gradients of a row that
    occurs several times as one, where Keras' own counts each. On a TPU, which compiles the whole
    step, the update is Keras' own.

    Attributes:
        gradient_norm: of the step that is being traced, before clipping; None unless it clips to a
            global norm.
    """

    gradient_norm = None

    def _compute_current_learning_rate(self):
        """A rate that a callback has set since the last step takes the place of a `WarmupDecay`'s
        plan.
        """
        plan = self._learning_rate
        if isinstance(plan, WarmupDecay):
            plan.hold_if_set(self.learning_rate)
        super()._compute_current_learning_rate()
        if isinstance(plan, WarmupDecay):
            plan.given.assign(self.learning_rate)

    @property
    def _fused(self) -> bool:
        return not is_tpu(self._distribution_strategy)

    def _use_weight_decay(self, variable):
        # A replica's copy has a name of its own, in which a pattern would not find its ending.
        if not isinstance(variable, tf.distribute.DistributedValues):
            variable = whole_variable(variable)
        return super()._use_weight_decay(variable)

    def _clip_gradients(self, grads):
        self._scale, self.gradient_norm = 1.0, None
        grads = with_whole_rows(grads)
        if not self.global_clipnorm or self.clipnorm or not self._fused:
            return super()._clip_gradients(grads)
        norm = self.gradient_norm = tf.linalg.global_norm(grads)
        # A norm that is not finite makes every gradient NaN, as `tf.clip_by_global_norm` does.
        self._scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm) + 0 * norm
        return grads

    def _deduplicate_sparse_grad(self, grads):
        """Nothing: done before clipping."""
        return grads

    def _apply_weight_decay(self, variables):
        if not self._fused and self.weight_decay:  # else `update_step` decays
            super()._apply_weight_decay(variables)

    def update_step(self, gradient, variable):
        if not self._fused:
            super().update_step(gradient, variable)
            return
        key = self._index_dict[self._var_key(variable)]
        m, v = self._momentums[key], self._velocities[key]
        cast = lambda number: tf.cast(tf.convert_to_tensor(number), variable.dtype)  # noqa: E731
        beta_1, beta_2, scale = cast(self.beta_1), cast(self.beta_2), cast(self._scale)
        step, rate = cast(self.iterations + 1), cast(self.learning_rate)
        decayed = 1 - rate * (self.weight_decay if self._use_weight_decay(variable) else 0)
        rate *= tf.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        if not (self.beta_1 and self.beta_2):
            gradient = tf.convert_to_tensor(gradient)
        if isinstance(gradient, tf.IndexedSlices):
            values, rows = gradient.values * scale, gradient.indices
            # The kernel then multiplies the moments by beta.
            m.scatter_add(tf.IndexedSlices(values * (1 / beta_1 - 1), rows))
            v.scatter_add(tf.IndexedSlices(values * values * (1 / beta_2 - 1), rows))
            gradient = None
        places = variable.handle, m.handle, v.handle
        _adamw(*places, gradient, scale, decayed, rate, beta_1, beta_2, cast(self.epsilon))

    def reset(self) -> None:
        """Back to the state before the first step, without making new variables or graphs."""
        for variable in self.variables:
            if variable is not self._learning_rate:
                variable.assign(tf.zeros_like(variable))


def with_whole_rows(gradients) -> list:
    """Gradients in which each row of a sparse one (embeddings) occurs once, with the sum of its
    parts.

    The norm of the parts is not that of the row, and the replicas that share a batch have other
    parts.
    """
    return [_whole(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]


def _whole(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


@compiled
def _adamw(variable, m, v, gradient, scale, decayed, rate, beta_1, beta_2, epsilon):
    # Handles, not variables: a traced function would outlive its variables and refuse later ones.
    old, new_m, new_v = (
        tf.raw_ops.ReadVariableOp(resource=h, dtype=rate.dtype) for h in (variable, m, v)
    )
    new_m, new_v = new_m * beta_1, new_v * beta_2
    if gradient is not None:
        gradient = gradient * scale
        new_m += (1 - beta_1) * gradient
        new_v += (1 - beta_2) * gradient * gradient
    tf.raw_ops.AssignVariableOp(
        resource=variable, value=old * decayed - rate * new_m / (tf.sqrt(new_v) + epsilon)
    )
    tf.raw_ops.AssignVariableOp(resource=m, value=new_m)
    tf.raw_ops.AssignVariableOp(resource=v, value=new_v)


NOT_SET = -1.0
"""Stands for no rate."""


def _number(value: float, name: str) -> tf.Variable:
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, trainable=False, dtype=tf.float32, name=name, aggregation=first)


class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to ``peak`` over the first tenth of the steps, then a linear fall to zero.

    The numbers of steps are variables, so that one traced training step serves runs of any length.
    With `AdamW`, a rate that a callback sets (`LearningRateScheduler`, `ReduceLROnPlateau`) holds
    from then on, until the next plan.

    Args:
        peak: the highest learning rate.
        warmup: share of the steps spent rising.
    """

    def __init__(self, peak: float, warmup: float = 0.1):
        self.warmup = warmup
        self._peak, self._start = _number(peak, "peak"), _number(0.0, "start")
        self._steps, self._held = _number(0.0, "steps"), _number(NOT_SET, "held")
        self.given = _number(NOT_SET, "given")

    @property
    def variables(self) -> list[tf.Variable]:
        """All that the rate depends on beside the step."""
        return [self._peak, self._start, self._steps, self._held, self.given]

    def plan(self, start: int, steps: int, peak: float | None = None) -> None:
        """Sets the span of one run: from step ``start``, ``steps`` steps."""
        self._start.assign(start)
        self._steps.assign(steps)
        self._held.assign(NOT_SET)
        if peak is not None:
            self._peak.assign(peak)

    def shift(self, steps) -> None:
        """Moves the plan by so many steps of the optimizer."""
        self._start.assign_add(tf.cast(steps, tf.float32))

    def hold_if_set(self, current: tf.Variable) -> None:
        """Keeps to ``current`` from now on if it is not the rate that was given last."""
        changed = tf.logical_and(
            tf.not_equal(self.given, NOT_SET), tf.not_equal(current, self.given)
        )
        self._held.assign(tf.where(changed, tf.cast(current, tf.float32), self._held))

    def __call__(self, step):
        done = tf.cast(step, tf.float32) - self._start
        rising = tf.maximum(tf.round(self._steps * self.warmup), 1.0)
        falling = tf.maximum(self._steps - rising, 1.0)
        factor = tf.minimum((done + 1.0) / rising, (self._steps - done) / falling)
        # Without a plan (a hand-written loop), the rate stays at its peak.
        planned = self._peak * tf.where(self._steps > 0, tf.clip_by_value(factor, 0.0, 1.0), 1.0)
        return tf.where(tf.equal(self._held, NOT_SET), planned, self._held)

    def get_config(self) -> dict:
        return {"peak": float(self._peak.numpy()), "warmup": self.warmup}


def plan_rate(optimizer, start: int, steps: int, peak: float | None = None) -> None:
    """Plans an optimizer's `WarmupDecay`; see `WarmupDecay.plan`."""
    schedule = schedule_of(optimizer)
    schedule.plan(start, steps, peak)
    # A rate that a callback set at the end of the last run is not for this one.
    current = optimizer.learning_rate
    current.assign(schedule(optimizer.iterations))
    schedule.given.assign(current)


def current_rate(optimizer) -> tf.Tensor:
    """() float32: the learning rate of the last step."""
    rate = optimizer.learning_rate
    # Keras' legacy optimizers
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(optimizer.iterations)
    return tf.identity(tf.cast(rate, tf.float32))  # the number, no variable that goes on changing


def prepare(optimizer, trained: Sequence[tf.Variable]) -> bool:
    """Makes an optimizer ready to train variables.

    Its variables are made, which would else come into being in the first step: TensorFlow then
    traces that step twice. Keras' refuses a variable that was not there when it was built. One that
    meets such a variable starts anew, as after a new `compile`: its moments are 0 and its steps
    count from 0. A `WarmupDecay` keeps to its plan.

    Returns:
        Whether it starts anew, in other variables than before.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    ready = is_built_for(inner, trained)
    if ready is None:
        _build(optimizer, trained)
    if ready is not False:
        return False
    schedule = schedule_of(inner)
    if isinstance(schedule, WarmupDecay):
        schedule.shift(-inner.iterations)
    inner.iterations.assign(0)
    rebuild(inner, trained)
    return True


def optimizer_state(optimizer, trained: list[tf.Variable]) -> list[tf.Variable]:
    """All variables of an optimizer for the variables that it trains."""
    _build(optimizer, trained)
    variables = [*optimizer.variables(), *loss_scale_variables(optimizer)]
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = schedule_of(inner)
    if isinstance(schedule, WarmupDecay):
        variables += schedule.variables
    if schedule is not None:  # a callback may have set the rate
        variables.append(inner.learning_rate)
    return variables


def _build(optimizer, trained: Sequence[tf.Variable]) -> None:
    if isinstance(optimizer, keras.optimizers.legacy.Optimizer):
        build_legacy(optimizer, trained)
    else:
        optimizer.build(list(trained))  # nothing where it is built already


def auto_learning_rate(width: int) -> float:
    """5e-5 at BERT-base's width of 768, and larger for narrower encoders: 5e-5 * 768 / width."""
    return 5e-5 * 768 / width


def auto_optimizer(learning_rate: float) -> AdamW:
    """AdamW with decay .01 on matrices only, gradients clipped to norm 1, and `WarmupDecay`."""
    optimizer = AdamW(
        WarmupDecay(learning_rate), weight_decay=0.01, global_clipnorm=1.0, epsilon=1e-8
    )
    optimizer.exclude_from_weight_decay(var_names=[r"(bias|beta|gamma)(:0)?$", "layer_norm"])
    return optimizer
