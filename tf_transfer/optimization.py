"""The optimizer that `compile("auto")` stands for: AdamW, warm-up and decay, clipping."""

from __future__ import annotations

from tf_transfer.backend import keras, tf


class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW with its update in one kernel a variable.

    The formula is that of `keras.optimizers.AdamW` (Loshchilov & Hutter 2019, Algorithm 2), and
    the results agree to rounding; about ten passes over each variable become two. A sparse
    gradient (embeddings) is made dense first, as the formula asks: rows without a gradient
    still decay and still move with their momentum.
    """

    def update_step(self, gradient, variable):
        key = self._index_dict[self._var_key(variable)]
        beta_1, beta_2 = (tf.cast(b, variable.dtype) for b in (self.beta_1, self.beta_2))
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[key].handle, v=self._velocities[key].handle,
            beta1_power=beta_1**step, beta2_power=beta_2**step,
            lr=tf.cast(self.learning_rate, variable.dtype), beta1=beta_1, beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype), grad=tf.convert_to_tensor(gradient),
        )  # fmt: skip

    def reset(self) -> None:
        """Back to the state before the first step, without making new variables or graphs."""
        for variable in self.variables:
            if variable is not self._learning_rate:
                variable.assign(tf.zeros_like(variable))


class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to ``peak`` over the first tenth of the steps, then a linear fall to zero.

    The numbers of steps are variables, so that one traced training step serves runs of any length.

    Args:
        peak: the highest learning rate.
        warmup: share of the steps spent rising.
    """

    def __init__(self, peak: float, warmup: float = 0.1):
        self.warmup = warmup
        self._peak = tf.Variable(peak, trainable=False, dtype=tf.float32, name="peak")
        self._start = tf.Variable(0.0, trainable=False, dtype=tf.float32, name="start")
        self._steps = tf.Variable(0.0, trainable=False, dtype=tf.float32, name="steps")

    def plan(self, start: int, steps: int, peak: float | None = None) -> None:
        """Sets the span of one run: from step ``start``, ``steps`` steps."""
        self._start.assign(start)
        self._steps.assign(steps)
        if peak is not None:
            self._peak.assign(peak)

    def __call__(self, step):
        done = tf.cast(step, tf.float32) - self._start
        rising = tf.maximum(tf.round(self._steps * self.warmup), 1.0)
        falling = tf.maximum(self._steps - rising, 1.0)
        factor = tf.minimum((done + 1.0) / rising, (self._steps - done) / falling)
        # Without a plan (a hand-written loop), the rate stays at its peak.
        return self._peak * tf.where(self._steps > 0, tf.clip_by_value(factor, 0.0, 1.0), 1.0)

    def get_config(self) -> dict:
        return {"peak": float(self._peak.numpy()), "warmup": self.warmup}


def auto_learning_rate(width: int) -> float:
    """5e-5 at BERT-base's width of 768, and larger for narrower encoders: 5e-5 * 768 / width."""
    return 5e-5 * 768 / width


def auto_optimizer(learning_rate: float) -> AdamW:
    """AdamW with decay .01 on matrices only, gradients clipped to norm 1, and `WarmupDecay`."""
    optimizer = AdamW(WarmupDecay(learning_rate), weight_decay=0.01, global_clipnorm=1.0, epsilon=1e-8)
    optimizer.exclude_from_weight_decay(var_names=[r"(bias|beta|gamma)(:0)?$", "layer_norm"])
    return optimizer
