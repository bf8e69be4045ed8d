"""Whether a strategy's meta-gradient is right on a model: against central differences in double
precision.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import keras, tf
from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.fingerprint import check_rows
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors, only_few_shot
from tf_transfer.errors import DataError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.meta_gradients.meta_learner import MetaLearner
from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True, eq=False)
class GradientCheck:
    """How far a meta-gradient and central differences are apart.

    Args:
        relative_error: ‖analytic − numeric‖ / ‖numeric‖ over all variables' directional
            derivatives.
        table: a row for each variable: its ``name``, the ``analytic`` and the ``numeric``
            derivative along a random direction, and the ``error``: their difference as a share of
            the largest numeric one.
    """

    relative_error: float
    table: pd.DataFrame

    def parts(self, tolerance: float = 1e-6) -> pd.DataFrame:
        """The variables whose error is above ``tolerance``, the worst first."""
        return self.table[~(self.table["error"] <= tolerance)].sort_values("error", ascending=False)

    def __str__(self) -> str:
        worst = self.table.sort_values("error", ascending=False).head(5).to_string(index=False)
        return (
            f"relative error of the meta-gradient {self.relative_error:.2e}; furthest "
            f"apart:\n{worst}"
        )


def gradcheck(
    strategy,
    model: TransferModel | Fitted,
    episode: Episode,
    sampler: EpisodeSampler | None = None,
    *,
    step: float = 1e-5,
    seed: int = 0,
) -> GradientCheck:
    """Compares a strategy's meta-gradient with central differences, on a copy of the model in
    float64.

    For every variable, the derivative of the query loss after the inner loop along a random
    direction is computed from the meta-gradient and as (L(θ + h d) − L(θ − h d)) / 2h, extrapolated
    once (Richardson), so its own error is of order h⁴.

    Args:
        strategy: a meta-learning strategy with a meta-gradient: not `Reptile`. One of first order
            parts.
        model: with heads that fit the episode, or what the strategy's fit returned; it is not
            changed.
        episode: as a sampler draws it.
        sampler: whose table the episode's rows are in; None: the episode's own. One from a file
            needs it.
        step: h, in the weights' units for a direction of unit norm.
        seed: of the directions.

    Returns:
        `GradientCheck`.

    Raises:
        DataError: the strategy has no meta-gradient, the episode has more classes than the head
            outputs, or its sampler is not known or another than that which drew it.
    """
    if strategy.name == "reptile" or not hasattr(strategy, "episode_gradient"):
        raise DataError(
            f"gradcheck compares the gradient of a query loss.\nReceived {strategy.name}, which "
            "has none.\n"
            "Give maml, anil, meta_sgd, proto_net or proto_maml."
        )
    fitted = Fitted.of(model)
    model = fitted.model
    sampler = _sampler_of(model, episode, sampler)
    with double_precision():
        twin = model.copy()
        support, query = (
            tf.nest.map_structure(lambda t: t[0], part)
            for part in EpisodeTensors(twin, sampler)([episode])
        )
        learner = MetaLearner(twin, strategy.episode_gradient, strategy.extra_variables(twin))
        _set_rates(learner.extra, fitted.learned)
        both = tf.compat.v1.wrap_function(lambda: learner.episode_gradient(support, query)[:2], [])
        _, gradients = both()
        # The differences need the loss alone, which takes a fraction of the gradient's time.
        loss = both.prune([], both.structured_outputs[0])
        return _compare(loss, learner.parameters, gradients, step, seed)


def _sampler_of(
    model: TransferModel, episode: Episode, sampler: EpisodeSampler | None
) -> EpisodeSampler:
    """The sampler that the episode's rows belong to, when the episode fits the model."""
    if sampler is None:
        sampler = episode.sampler
    if sampler is None:
        raise DataError(
            "An episode holds the positions of rows in its sampler's table.\nReceived episode "
            f"{episode.index}, which no sampler drew, alone.\nGive the sampler too: "
            "gradcheck(strategy, model, episode, sampler)."
        )
    classes = len(only_few_shot(model).classes) if episode.classes else 0
    if episode.way > classes:
        raise DataError(
            "The head must have an output for each class of the episode.\nReceived a head of "
            f"{classes} classes, and an episode of {episode.way} classes.\nGive the model's task "
            f"that many classes, or draw episodes of way={classes}."
        )
    check_rows(sampler, [episode])
    return sampler


def _set_rates(variables: Sequence[tf.Variable], rates: Sequence) -> None:
    shapes = [tuple(v.shape) for v in variables]
    if len(rates) and [tuple(rate.shape) for rate in rates] != shapes:
        raise DataError(
            f"Rates must be those that the strategy learns.\nReceived {len(rates)} rates for "
            f"{len(shapes)} weights that its inner loop changes, or of other shapes.\nGive the "
            "strategy whose fit returned them."
        )
    for variable, rate in zip(variables, rates):
        variable.assign(tf.cast(rate, variable.dtype))


def _compare(
    loss, variables: Sequence[tf.Variable], gradients, step: float, seed: int
) -> GradientCheck:
    draws, rows = np.random.default_rng(seed), []
    for variable, gradient in zip(variables, gradients, strict=True):
        direction = draws.normal(size=variable.shape)
        direction = direction / np.linalg.norm(direction)
        analytic = float(np.sum(gradient.numpy() * direction))
        coarse, fine = (_difference(loss, variable, direction, h) for h in (2 * step, step))
        rows.append((variable.name, analytic, (4 * fine - coarse) / 3))
    table = pd.DataFrame(rows, columns=["name", "analytic", "numeric"])
    apart = table["analytic"] - table["numeric"]
    table["error"] = apart.abs() / table["numeric"].abs().max()
    return GradientCheck(float(np.linalg.norm(apart) / np.linalg.norm(table["numeric"])), table)


def _difference(loss, variable, direction, step: float) -> float:
    before = variable.numpy()
    losses = []
    for sign in (1, -1):
        variable.assign(before + sign * step * direction)
        losses.append(float(loss()))
    variable.assign(before)
    return (losses[0] - losses[1]) / (2 * step)


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Within it, Keras layers are made and graphs are traced in float64."""
    policy, floatx = keras.mixed_precision.global_policy(), keras.backend.floatx()
    modules = _model_modules()
    try:
        keras.backend.set_floatx("float64")
        keras.mixed_precision.set_global_policy("float64")
        for module in modules:
            module.tf = _Wide()
        yield
    finally:
        for module in modules:
            module.tf = tf
        keras.backend.set_floatx(floatx)
        keras.mixed_precision.set_global_policy(policy)


def _model_modules() -> list:
    """Hugging Face's modules of the families in use: some cast to tf.float32, whatever their own
    precision.
    """
    names = [
        n for n in sys.modules if n.startswith("transformers.models.") and ".modeling_tf_" in n
    ]
    return [sys.modules[n] for n in names if "tf" in vars(sys.modules[n])]


class _Wide:
    """TensorFlow, with float64 under the name of float32."""

    def __getattr__(self, name: str):
        return tf.float64 if name == "float32" else getattr(tf, name)

    def where(self, condition, x=None, y=None, name=None):
        """As `tf.where`, with a plain number of the type of the other branch, not of single
        precision.
        """
        if isinstance(x, float) and tf.is_tensor(y):
            x = tf.constant(x, y.dtype)
        return tf.where(condition, x, y, name=name)
