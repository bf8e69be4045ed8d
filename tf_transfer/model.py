"""The Keras contract on tables: fit, predict, evaluate, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer import batches, checkpoints, distribution, encoders, evaluation, workers
from tf_transfer.backend import tf
from tf_transfer.callbacks import StopOnNaN
from tf_transfer.errors import DataError
from tf_transfer.labels import encode_labels
from tf_transfer.network import Network
from tf_transfer.optimization import WarmupDecay
from tf_transfer.predictions import Predictions
from tf_transfer.tables import is_tables, join_tables
from tf_transfer.tasks import Task
from tf_transfer.vectors import Vectoriser


class TransferModel(Network):
    """A pretrained encoder shared by one head for each task.

    ``fit``, ``evaluate`` and ``predict`` take tables (DataFrames) as well as `tf.data` of batches
    ``(x, y, w)``. Its call maps ``x`` to ``{task: logits}``. For the training loss see `Network`.

    Args:
        encoder: of `load_encoder`; it becomes part of the model.
        tasks: `Task`s, or one. Kinds and classes that are open are read from the first table fitted.
        text: column of the texts.
        text_pair: column of second texts, or None.
        max_length: the most tokens a row; longer ones are cut.
        freeze: see `encoders.freeze`; None leaves the encoder as it is.
        dropout: rate before the heads.
        seed: of the heads' initial weights, of dropout and of the order of batches.
    """

    def __init__(
        self, encoder: encoders.Encoder, tasks: Task | Sequence[Task], *, text: str = "text",
        text_pair: str | None = None, max_length: int = 128, freeze: str | int | None = None,
        dropout: float = 0.1, seed: int = 0,
    ):  # fmt: skip
        if freeze is not None:
            encoders.freeze(encoder, freeze)
        super().__init__(encoder, tasks, dropout, seed)
        self.options = {
            "text": text, "text_pair": text_pair, "max_length": max_length, "dropout": dropout, "seed": seed,
        }  # fmt: skip
        self._vectoriser = Vectoriser(encoder)

    def resolve(self, table: pd.DataFrame) -> None:
        """Reads the kinds and classes that are still open from a table, and makes the heads."""
        if not self.heads:
            self.set_tasks([t.resolve(table) for t in self.tasks])

    def copy(self, out: TransferModel | None = None, tasks: Sequence[Task] | None = None) -> TransferModel:
        """A model of the same weights in variables of its own, not compiled.

        Args:
            out: an earlier copy to overwrite instead; it keeps its traced functions, which saves
                most of the time of a copy.
            tasks: resolved tasks of the copy instead of this model's, one for each of them; a head of
                another size starts anew.
        """
        self._require_heads()
        if out is None:
            with self.distribute_strategy.scope():
                out = TransferModel(self.encoder.blank_copy(), tasks or self.tasks, **self.options)
        out.options["seed"] = self.options["seed"]
        for variable, value in zip(out.state, self.state, strict=True):
            if variable.shape == value.shape:
                variable.assign(tf.cast(value, variable.dtype))
        return out

    # -- the four verbs -------------------------------------------------------------------------

    def fit(
        self, x=None, y=None, *, validation_data=None, epochs: int = 1, batch_size: int = 32,
        initial_epoch: int = 0, callbacks=None, verbose="auto", **kwargs,
    ):  # fmt: skip
        """Trains on a table, several tables (all rows mixed), or `tf.data` of ``(x, y, w)``.

        Returns:
            Keras' `History`.

        Raises:
            DataError: the table does not fit the tasks.
            TrainingError: the loss became NaN; the weights are those of the last whole epoch.
        """
        if not self.compiled_once:
            self.compile()
        if is_tables(x):
            table = join_tables(x)
            self.resolve(table)
            steps = -(-len(table) // min(batch_size, len(table)))
            first = workers.epoch_to_go_on_from(_as_list(callbacks), initial_epoch)
            options = {"batch_size": batch_size, "shuffle": True, "first_epoch": first}
            x = self.dataset(table, learn_scale=True, epochs=max(epochs - first, 1), **options)
            kwargs["steps_per_epoch"] = steps
        self._require_heads()
        if is_tables(validation_data):
            validation = join_tables(validation_data)
            options = {"batch_size": batch_size, **self._shapes(batch_size)}
            validation_data = self.dataset(validation, where="the validation table", **options)
        steps = kwargs.get("steps_per_epoch") or _cardinality(x)
        schedule = getattr(self.optimizer, "_learning_rate", None)
        if isinstance(schedule, WarmupDecay):
            if not steps:
                raise DataError(
                    "The 'auto' learning rate falls over a known number of steps.\n"
                    "Received a data set of unknown length.\nGive steps_per_epoch, or another optimizer."
                )
            schedule.plan(int(self.optimizer.iterations.numpy()) - initial_epoch * steps, epochs * steps)
        guard = StopOnNaN(self.state)
        with workers.lost_workers_explained(self.distribute_strategy):
            return super().fit(
                x, y, epochs=epochs, initial_epoch=initial_epoch, validation_data=validation_data,
                callbacks=[guard, *_as_list(callbacks)], verbose=verbose, **kwargs,
            )  # fmt: skip

    def predict(self, x, batch_size: int = 32, verbose="auto", **kwargs) -> Predictions:
        """Probabilities and decoded labels of every task, in the order of the rows.

        Args:
            x: a table, several tables, or `tf.data` of ``x`` or ``(x, y, w)``.
        """
        self._require_heads()
        if is_tables(x):
            vectors = self.encode(join_tables(x), batch_size=batch_size, verbose=verbose)
            outputs = {n: o.numpy() for n, o in self.apply_heads(tf.constant(vectors)).items()}
        else:
            outputs = super().predict(x, verbose=verbose, **kwargs)
        return Predictions({t.name: self.heads[t.name].decode(outputs[t.name]) for t in self.tasks})

    def evaluate(self, x=None, y=None, *, batch_size: int = 32, verbose="auto", **kwargs):
        """The full metric suite of every task on every split, over whole splits.

        Args:
            x: ``{split: table or tf.data}``, or one of them (the split is then called ``"test"``).

        Returns:
            `Evaluation`; with ``return_dict=True`` and `tf.data`, Keras' own dict of loss and metrics.
        """
        if not is_tables(x) and not isinstance(x, Mapping) and ("return_dict" in kwargs or y is not None):
            return super().evaluate(x, y, verbose=verbose, **kwargs)
        self._require_heads()
        splits = x if isinstance(x, Mapping) else {"test": x}
        predicted, truths = {}, {}
        for name, split in splits.items():
            if is_tables(split):
                table = join_tables(split)
                truths[name] = evaluation.encode_split(self.tasks, table, name)
                predicted[name] = self.predict(table, batch_size=batch_size, verbose=verbose)
            else:
                truths[name], predicted[name] = self._predict_labelled(split)
        return evaluation.score(self.tasks, predicted, truths)

    def _predict_labelled(self, dataset) -> tuple[dict, Predictions]:
        """``{task: (y, present)}`` and predictions from one pass: a shuffled data set differs in the next."""
        found: dict = {t.name: [] for t in self.tasks}
        for x, y, w in dataset:
            outputs = self.predict_on_batch(x)
            for name, batches_of in found.items():
                batches_of.append((y[name].numpy(), w[name].numpy() > 0, outputs[name]))
        truths, predicted = {}, Predictions()
        for name, parts in found.items():
            y, present, outputs = map(np.concatenate, zip(*parts))
            if present.any():
                truths[name] = y, present
            predicted[name] = self.heads[name].decode(outputs)
        return truths, predicted

    # -- tables ---------------------------------------------------------------------------------

    def tokenise(self, table: pd.DataFrame) -> batches.Tokens:
        """The table's token ids."""
        if distribution.workers_of(self.distribute_strategy) > 1:
            model = {"weights": workers.hash_of_weights(self.state) if self.heads else "open", **self.options}
            facts = {"table": workers.hash_of_table(table), **{n: str(v) for n, v in model.items()}}
            workers.check_agreement(self.distribute_strategy, facts | workers.versions())
        o = self.options
        return batches.tokenise(
            self.encoder, table, text=o["text"], text_pair=o["text_pair"], max_length=o["max_length"]
        )

    def dataset(
        self, table: pd.DataFrame, *, where: str = "the training table", learn_scale: bool = False, **options
    ) -> tf.data.Dataset:
        """The table as `tf.data` of ``(x, y, w)``; ``options`` are those of `batches.to_dataset`.

        Args:
            learn_scale: let the heads of regressions take their scale from these labels.
        """
        self.resolve(table)
        y, w = encode_labels(self.tasks, table, where)
        tokens = self.tokenise(table)
        if learn_scale:
            for name, head in self.heads.items():
                head.learn_scale(y[name][w[name] > 0])
        if options.get("shuffle"):
            options = self._shapes(options.get("batch_size", 32)) | options
        return batches.to_dataset(tokens, y, w, **{"seed": self.options["seed"]} | options)

    def _shapes(self, batch_size: int) -> dict:
        """What `batches.to_dataset` must know of the devices: equal shares, and one shape on a TPU."""
        replicas = self.distribute_strategy.num_replicas_in_sync
        if not distribution.is_tpu(self.distribute_strategy):
            return {"multiple": replicas}
        return {"multiple": batch_size + -batch_size % replicas, "length": self.options["max_length"]}

    def encode(self, table: pd.DataFrame, batch_size: int = 32, verbose="auto") -> np.ndarray:
        """(rows, width) float32: the texts' vectors, kept until the encoder's weights change."""
        return self._vectoriser(self.tokenise(table), batch_size, verbose)

    def share_vectors(self, other: TransferModel) -> None:
        """Uses ``other``'s kept vectors too; they are found by the encoder's weights."""
        self._vectoriser.cache = other._vectoriser.cache

    def encoder_fingerprint(self) -> bytes:
        """A hash of the encoder's weights."""
        return self._vectoriser.fingerprint()

    # -- files ----------------------------------------------------------------------------------

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs) -> None:
        """Writes a folder of config.json, model.safetensors and the tokenizer; see `checkpoints`."""
        checkpoints.save_model(self, filepath, overwrite=overwrite)

    @staticmethod
    def load(filepath: str | Path) -> TransferModel:
        """The model that `save` wrote; it predicts the same bits."""
        return load_model(filepath)


def load_model(folder: str | Path) -> TransferModel:
    """The model that `TransferModel.save` wrote, not compiled; it predicts the same bits.

    Raises:
        CheckpointError: no such folder, a file is missing, damaged, or not of this toolkit.
    """
    return checkpoints.read_model(folder, TransferModel)


def _cardinality(x) -> int | None:
    found = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else 0
    return found if found > 0 else None


def _as_list(callbacks) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
