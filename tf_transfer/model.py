"""The Keras contract on tables: fit, predict, evaluate, save."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer import batches, checkpoints, distribution, encoders, evaluation, export, pretrained, workers
from tf_transfer.backend import tf
from tf_transfer.callbacks.run import Run
from tf_transfer.errors import DataError
from tf_transfer.inputs import Rows, rows_of
from tf_transfer.labels import encode_labels
from tf_transfer.network import Network
from tf_transfer.optimization import WarmupDecay, plan_rate
from tf_transfer.predictions import Predictions
from tf_transfer.tasks import Task
from tf_transfer.token_inputs import batches_of
from tf_transfer.vectors import Trunk, Vectoriser


class TransferModel(Network):
    """A pretrained encoder shared by one head for each task.

    ``fit``, ``evaluate`` and ``predict`` take texts: tables (DataFrames), a Hugging Face
    `datasets.Dataset`, arrays, lists or Series of texts with ``y``, and `tf.data` of texts or of
    ``(texts, labels)``. They take token ids, too: what a tokenizer returns, with ``y``, and `tf.data` of
    batches ``(x, y, w)``. See `inputs` and `token_inputs`. The model's call maps ``x`` to
    ``{task: logits}``. For the training loss see `Network`.

    Args:
        encoder: of `load_encoder`; it becomes part of this model, and of no other: see `Encoder.copy`.
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
        super().__init__(encoder, tasks, dropout, seed)
        if freeze is not None:
            encoders.freeze(encoder, freeze)
        self.options = {
            "text": text, "text_pair": text_pair, "max_length": max_length, "dropout": dropout, "seed": seed,
        }  # fmt: skip
        self._vectoriser, self._trunk = Vectoriser(encoder), Trunk(encoder)
        encoder.taken = True

    def resolve(self, table: pd.DataFrame) -> None:
        """Reads the kinds and classes that are still open from a table, and makes the heads."""
        if not self.heads:
            self.set_tasks([t.resolve(table) for t in self.tasks])

    def copy(self, out: TransferModel | None = None, tasks: Sequence[Task] | None = None) -> TransferModel:
        """A model of the same weights in variables of its own, frozen alike, not compiled.

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
        new_names = dict(zip(self.heads, out.heads))
        out.freeze_like(self.frozen | {"heads": [new_names[name] for name in self.frozen["heads"]]})
        for variable, value in zip(out.state, self.state, strict=True):
            if variable.shape == value.shape:
                variable.assign(tf.cast(value, variable.dtype))
        return out

    def __reduce__(self):
        weights = [v.numpy() for t in self.tasks if self.heads for v in self.heads[t.name].weights]
        return _revive, (self.encoder, list(self.tasks), dict(self.options), weights, self.frozen)

    def __deepcopy__(self, memo):
        revive, parts = self.__reduce__()
        return revive(*copy.deepcopy(parts, memo))

    # -- the four verbs -------------------------------------------------------------------------

    def fit(
        self, x=None, y=None, *, validation_data=None, epochs: int = 1, batch_size: int = 32,
        initial_epoch: int = 0, callbacks=None, sample_weight=None, verbose="auto", **kwargs,
    ):  # fmt: skip
        """Trains on a table, several tables (all rows mixed), texts and labels, or `tf.data` of ``(x, y, w)``.

        Args:
            x, y: see `inputs.rows_of` and `token_inputs.batches_of`.
            validation_data: one of these, or ``(x, y)``.
            sample_weight: (rows,) factors of the rows' losses; class weights belong to a `Task`.
            steps_per_epoch: batches an epoch; of a table, which is passed over again and again, one pass by default.
            callbacks: any of Keras', in any order; see `EvaluateSuite` and `Resume`.

        Returns:
            Keras' `History`.

        Raises:
            DataError: the table does not fit the tasks, or a callback monitors what the logs never have.
            TrainingError: the loss became NaN; the weights are those of the last whole epoch.
            CheckpointError: the backup of `Resume` is damaged, or of another training.
        """
        if not self.compiled_once:
            self.compile()
        self._training_state = None  # of a Resume that was interrupted
        rows = self._rows(x, y, sample_weight)
        if rows is None:
            x = batches_of(self, x, y, sample_weight, batch_size=batch_size, shuffle=True)
        else:
            self.resolve(rows.table)
            steps = batches.steps_of(len(rows.table), batch_size)
            kwargs["steps_per_epoch"] = kwargs.get("steps_per_epoch") or steps
        self._require_heads()
        self.require_trained()
        self.prepare_optimizer()
        if validation_data is not None:
            validation_data = self._validation(validation_data, batch_size)
        steps = kwargs.get("steps_per_epoch") or _cardinality(x)
        if isinstance(getattr(self.optimizer, "_learning_rate", None), WarmupDecay):
            if not steps:
                raise DataError(
                    "The 'auto' learning rate falls over a known number of steps.\n"
                    "Received a data set of unknown length.\nGive steps_per_epoch, or another optimizer."
                )
            plan_rate(self.optimizer, int(self.optimizer.iterations.numpy()) - initial_epoch * steps, epochs * steps)
        run = Run(self, callbacks, validation_data is not None)
        plan = x if rows is None else rows, initial_epoch, epochs, steps, batch_size
        workers.check_training(self, lambda: run.settings_of_workers(*plan))
        place = run.open(*plan)
        workers.check_agreement(self.distribute_strategy, {"goes on at": f"epoch {place.epoch}, batch {place.batch}"})
        if rows is None:
            x = run.skip(x, place, initial_epoch, steps)
        else:
            x = self._passes(rows, place.epoch * steps + place.batch, epochs * steps, batch_size)
        with workers.lost_workers_explained(self.distribute_strategy):
            return super().fit(
                x, epochs=epochs, initial_epoch=initial_epoch, validation_data=validation_data,
                callbacks=run.callbacks, verbose=verbose, **kwargs,
            )  # fmt: skip

    def _passes(self, rows: Rows, first: int, end: int, batch_size: int) -> tf.data.Dataset:
        """Batches ``first`` to ``end`` of the endless sequence of shuffled passes over a table."""
        steps = batches.steps_of(len(rows.table), batch_size)
        passes = max(-(-end // steps) - first // steps, 1)
        options = {"first_epoch": first // steps, "skip": first % steps, "epochs": passes, "weights": rows.weights}
        options["keep_trunk"] = end > steps  # by the whole run's length, so that one that goes on rounds alike
        return self.dataset(rows.table, learn_scale=True, shuffle=True, batch_size=batch_size, **options)

    def predict(self, x, batch_size: int = 32, verbose="auto", **kwargs) -> Predictions:
        """Probabilities and decoded labels of every task, in the order of the rows.

        Args:
            x: a table, several tables, texts, token ids, or `tf.data` of ``x`` or ``(x, y, w)``; labels are not read.
        """
        self._require_heads()
        rows = self._rows(x)
        if rows is not None:
            vectors = self.encode(rows.table, batch_size=batch_size, verbose=verbose)
            outputs = {n: o.numpy() for n, o in self.apply_heads(tf.constant(vectors)).items()}
        else:
            outputs = super().predict(batches_of(self, x, batch_size=batch_size), verbose=verbose, **kwargs)
        return Predictions({t.name: self.heads[t.name].decode(outputs[t.name]) for t in self.tasks})

    def evaluate(self, x=None, y=None, *, batch_size: int = 32, verbose="auto", **kwargs):
        """The full metric suite of every task on every split, over whole splits.

        Args:
            x: ``{split: data}`` or one of them (the split is then called ``"test"``); data is a table, a
                `datasets.Dataset`, `tf.data`, or ``(x, y)`` of texts or token ids.
            y: labels, when ``x`` are texts or token ids.

        Returns:
            `Evaluation`; with ``return_dict=True`` and `tf.data`, Keras' own dict of loss and metrics.
        """
        if isinstance(x, tf.data.Dataset) and "return_dict" in kwargs:
            return super().evaluate(batches_of(self, x), verbose=verbose, **kwargs)
        self._require_heads()
        splits = x if isinstance(x, Mapping) and y is None else {"test": x if y is None else (x, y)}
        predicted, truths = {}, {}
        for name, split in splits.items():
            data, labels = split if isinstance(split, tuple) and len(split) == 2 else (split, None)
            rows = self._rows(data, labels)
            if rows is not None:
                truths[name] = evaluation.encode_split(self.tasks, rows.table, name)
                predicted[name] = self.predict(rows.table, batch_size=batch_size, verbose=verbose)
            else:
                batched = batches_of(self, data, labels, batch_size=batch_size)
                truths[name], predicted[name] = self._predict_labelled(batched)
        return evaluation.score(self.tasks, predicted, truths)

    def _predict_labelled(self, dataset) -> tuple[dict, Predictions]:
        """``{task: (y, present)}`` and predictions from one pass: a shuffled data set differs in the next."""
        found: dict = {t.name: [] for t in self.tasks}
        for x, y, w in dataset:
            outputs = self.predict_on_batch(x)
            for name, parts in found.items():
                parts.append((y[name].numpy(), w[name].numpy() > 0, outputs[name]))
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
        workers.check_training(self, lambda: {"table": workers.hash_of_table(table), **self.options})
        o = self.options
        return batches.tokenise(
            self.encoder, table, text=o["text"], text_pair=o["text_pair"], max_length=o["max_length"]
        )

    def dataset(
        self, table: pd.DataFrame, *, where: str = "the training table", learn_scale: bool = False, weights=None,
        keep_trunk: bool = False, **options,
    ) -> tf.data.Dataset:  # fmt: skip
        """The table as `tf.data` of ``(x, y, w)``; ``options`` are those of `batches.to_dataset`.

        Args:
            learn_scale: let the heads of regressions take their scale from these labels.
            weights: (rows,) float32 factors of the rows' losses, or None.
            keep_trunk: run the encoder's frozen blocks now, once for all epochs; see `trunk`.
        """
        self.resolve(table)
        y, w = self.encode_labels(table, where, learn_scale)
        if weights is not None:
            w = {name: factors * weights for name, factors in w.items()}
        if options.get("shuffle"):
            options = self._shapes(options.get("batch_size", 32)) | options
        tokens = self.tokenise(table)
        tokens = self._trunk.keep(tokens) if keep_trunk else tokens
        return batches.to_dataset(tokens, y, w, **{"seed": self.options["seed"]} | options)

    def encode_labels(self, table: pd.DataFrame, where: str = "the table", learn_scale: bool = False) -> tuple:
        """``y`` and ``w`` of every task; see `labels.encode_labels`, and `dataset` for ``learn_scale``."""
        y, w = encode_labels(self.tasks, table, where)
        if learn_scale:
            for name, head in self.heads.items():
                head.learn_scale(y[name][w[name] > 0])
        return y, w

    def _rows(self, x, y=None, weights=None) -> Rows | None:
        columns = {name: self.options[name] for name in ("text", "text_pair")}
        return rows_of(x, y, weights, tasks=self.tasks, **columns)

    def _validation(self, data, batch_size: int):
        """Validation data as `tf.data`, which Keras iterates."""
        data = data if isinstance(data, tuple) else (data,)
        rows = self._rows(*data)
        if rows is None:
            return batches_of(self, *data, batch_size=batch_size)
        where = "the validation table"
        options = {"batch_size": batch_size, **self._shapes(batch_size)}
        return self.dataset(rows.table, where=where, weights=rows.weights, **options)

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

    def export(self, filepath: str | Path) -> None:
        """Writes a SavedModel for serving, with the tokenizer and the tasks beside it; see `export.export_model`."""
        export.export_model(self, filepath)

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes the encoder for Hugging Face's `TFAutoModel` and `AutoModel`; see `pretrained.save_pretrained`.

        The heads are not in it: `save` keeps everything.
        """
        pretrained.save_pretrained(self.encoder, save_directory)

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


def _revive(encoder, tasks, options: dict, weights: list, frozen: dict) -> TransferModel:
    """The model that was pickled, not compiled."""
    dropout_state = encoder.dropout_state.numpy()
    model = TransferModel(encoder, tasks, **options)
    encoder.dropout_state.assign(dropout_state)
    heads = [v for t in model.tasks if model.heads for v in model.heads[t.name].weights]
    for variable, value in zip(heads, weights, strict=True):
        variable.assign(value)
    model.freeze_like(frozen)
    return model


def _cardinality(x) -> int | None:
    found = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else 0
    return found if found > 0 else None
