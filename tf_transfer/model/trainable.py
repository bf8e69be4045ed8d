"""What of a model is trained: what Keras' ``trainable`` says of each layer, whenever it was set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tf_transfer.devices.backend import keras, tf
from tf_transfer.devices.private import layers_of
from tf_transfer.encoders.freezing import freeze
from tf_transfer.errors import DataError, listed
from tf_transfer.training.optimization import prepare


class Trainable(keras.Model):
    """A model that has an ``encoder``, ``tasks``, ``heads`` by the tasks' names, and a
    ``gradient_rule``.

    Keras trains what was trainable when the model was compiled, and when the step was traced. Here
    the flags count as they are: freezing and freeing need no new `compile`, and a callback may do
    it between epochs.
    """

    _flags_of_run, _changed_in_run = None, False

    @property
    def trained_variables(self) -> list[tf.Variable]:
        """What a training step changes: the encoder's free weights and the heads of weighted tasks.

        Keras' ``trainable`` counts, of every layer and as it is now, not as it was when the model
        was compiled.
        """
        if not self.trainable:
            return []
        heads = [self.heads[t.name] for t in self.tasks if t.loss_weight]
        return [
            *self.encoder.trainable_variables,
            *(v for h in heads for v in h.trainable_variables),
        ]

    def require_trained(self) -> None:
        """Raises:
        DataError: everything is frozen, so that a training would change nothing.
        """
        if not self.trained_variables:
            raise DataError(
                "A training needs something to change.\nReceived a model in which everything is "
                "frozen.\n"
                "Free a part: model.trainable = True, then tt.freeze(model.encoder, depth) if "
                "need be."
            )

    def require_free_heads(self) -> None:
        """Raises:
        DataError: a head is frozen, where it is what a strategy would train.
        """
        frozen = self.frozen["heads"]
        if frozen:
            raise DataError(
                "This strategy adapts a model by its heads.\nReceived frozen heads of the tasks "
                f"{listed(frozen)}.\n"
                f"Free them, for instance model.heads[{frozen[0]!r}].trainable = True, or use "
                "fine_tune."
            )

    @property
    def frozen(self) -> dict:
        """What training leaves alone: ``{"encoder": as `freeze` takes it, "heads": names of
        tasks}``.
        """
        if not self.trainable:
            return {"encoder": "all", "heads": list(self.heads)}
        return {
            "encoder": self.encoder.frozen,
            "heads": [n for n, head in self.heads.items() if not head.trainable],
        }

    def freeze_like(self, frozen: Mapping) -> None:
        """Freezes what `frozen` said of a model of this form, and nothing else."""
        self.trainable = True
        freeze(self.encoder, frozen["encoder"])
        for name, head in self.heads.items():
            head.trainable = name not in frozen["heads"]

    @contextlib.contextmanager
    def freed(self) -> Iterator[None]:
        """Within it, nothing is frozen: Keras lists the weights of a layer in another order when it
        is.
        """
        frozen = self.frozen
        self.freeze_like({"encoder": "none", "heads": []})
        try:
            yield
        finally:
            self.freeze_like(frozen)

    @property
    def _compiled_trainable_state(self):
        """What Keras goes back to in `fit`: nothing, for ``trainable`` counts as it is."""
        return self._get_trainable_state()

    @_compiled_trainable_state.setter
    def _compiled_trainable_state(self, state) -> None:
        """`compile` notes what is trainable."""

    def begin_run(self) -> None:
        """Notes what is trainable: what the frozen blocks have made of a table holds until a
        callback changes that.
        """
        self._flags_of_run, self._changed_in_run = self._trainable_flags(), False

    def make_train_function(self, force: bool = False):
        """Keras' own, which is traced anew when other layers are trainable, or the gradient rule
        is another, than when it was traced.
        """
        if self.train_function is not None and not force:
            return self.train_function
        traced = {}

        def run(iterator):
            trainable = self._trainable_flags()
            self._changed_in_run |= self._flags_of_run not in (None, trainable)
            key = trainable, self._changed_in_run, self.gradient_rule
            if key not in traced:
                self.require_trained()
                if not self.run_eagerly:
                    with self.distribute_strategy.scope():
                        self.build_metrics()
                if self.prepare_optimizer():
                    traced.clear()  # they update the optimizer's earlier variables
                traced[key] = super(Trainable, self).make_train_function(force=True)
                self.train_function = run
            return traced[key](iterator)

        self.train_function = run
        return run

    def _trainable_flags(self) -> tuple[bool, ...]:
        return tuple(layer.trainable for layer in layers_of(self))

    def prepare_optimizer(self) -> bool:
        """Makes the optimizer ready for `trained_variables`; see
        `training.optimization.prepare`.
        """
        with self.distribute_strategy.scope():
            return prepare(self.optimizer, self.trained_variables)
