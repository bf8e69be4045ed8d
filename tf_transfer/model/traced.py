"""Functions that were traced for one model, kept as long as the model lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tf_transfer.batches.model import Model


class Traced:
    """What is made once for a model and the variables that its training changes now.

    Freezing and new heads change which variables they are.

    Args:
        model: a `TransferModel`.
    """

    def __init__(self, model: Model):
        self._model, self._made = model, {}

    def get(self, key: tuple[Hashable, ...], make: Callable):
        """What ``make`` gives, made at the first call for ``key``; it must hold the variables."""
        # what is kept holds the variables, so no id is given to another
        trained = tuple(map(id, self._model.trained_variables))
        key = *key, self._model.encoder.frozen, trained
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def clear(self) -> None:
        """Forgets all."""
        self._made.clear()
