"""What a gradient rule is: it makes one gradient of a step from the losses of several tasks."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, NamedTuple

from tf_transfer.devices.backend import tf


class Losses(NamedTuple):
    """The losses of one batch, or of a replica's share of it.

    Under mixed precision, ``total`` and ``shares`` are multiplied by the optimizer's loss scale.
    The step divides what the rule returns by it.

    Args:
        total: () float; the loss L of `Network`, or the replica's part of it.
        shares: ``{task: () float}``, each task's part of ``total``: 1/N loss_weight Σ_rows w ℓ.
            They add up to ``total``. Tasks with loss_weight=0 have none. The share of a task
            without a labelled row is 0.
        counts: ``{task: () float}``, the labelled rows behind each share. Replicas count their own.
    """

    total: tf.Tensor
    shares: dict[str, tf.Tensor]
    counts: dict[str, tf.Tensor]


class GradientRule(abc.ABC):
    """Makes the gradient of a training step.

    A rule is stateless: what it returns depends on its arguments alone, so that a training can be
    repeated and can go on after a kill. Its hyperparameters are fields of a frozen dataclass.

    Attributes:
        name: what ``gradient_rule=`` and experiment files call it.
        by_task: whether it takes the gradients of several tasks. The tape is then persistent.
    """

    name: ClassVar[str]
    by_task: ClassVar[bool] = True

    @abc.abstractmethod
    def gradients(
        self, losses: Losses, tape: tf.GradientTape, variables: list[tf.Variable], seed: tf.Tensor
    ) -> list:
        """The gradient that the optimizer gets.

        It must be as homogeneous as gradients are: losses of k times the size have a gradient of k
        times the size. Loss scaling needs that. Replicas add up what they return: a rule that is
        not linear in the batch takes what it decides by from `distribution.global_sum`.

        Args:
            losses: see `Losses`.
            tape: has watched ``variables`` while ``losses`` were computed.
            variables: those that the step trains.
            seed: (2,) int32, for `tf.random.stateless_uniform` and the like. It follows from the
                model's seed and the step, and is the same on all replicas.

        Returns:
            A gradient for each variable, in its shape, as a tensor or `tf.IndexedSlices`; None for
            a variable that no loss depends on.
        """

    def identity(self) -> dict:
        """Its name and hyperparameters, for JSON: what two runs must share to be the same."""
        fields = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        return {"name": self.name, **fields}
