"""The Keras contract: one shared encoder, one head a task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras as keras

from tf_transfer import batches, encoders, evaluation
from tf_transfer.errors import DataError, TrainingError, listed
from tf_transfer.heads import make_head
from tf_transfer.optimization import AdamW, WarmupDecay, auto_learning_rate, auto_optimizer
from tf_transfer.predictions import Predictions
from tf_transfer.tasks import Task

CACHED_TABLES = 16
"""Tables whose vectors are kept; an entry is valid for one state of the encoder's weights."""


class TransferModel(keras.Model):
    """A pretrained encoder shared by one head for each task.

    ``fit``, ``evaluate`` and ``predict`` take tables (DataFrames) as well as `tf.data` of batches
    ``(x, y, w)``. Its call maps ``x`` to ``{task: logits}``. The training loss of a batch is

        L = 1/N Σ_tasks loss_weight Σ_rows w ℓ

    with N the number of labels in the batch: a row without a label for a task adds nothing to it.

    Args:
        encoder: of `load_encoder`; it becomes part of the model.
        tasks: `Task`s, or one. Kinds and classes that are open are read from the first table fitted.
        text: column of the texts.
        text_pair: column of second texts, or None.
        max_length: the most tokens a row; longer ones are cut.
        freeze: see `encoders.freeze`.
        dropout: rate before the heads.
        seed: of the heads' initial weights, of dropout and of the order of batches.
    """

    def __init__(
        self, encoder: encoders.Encoder, tasks: Task | Sequence[Task], *, text: str = "text",
        text_pair: str | None = None, max_length: int = 128, freeze: str | int = "none",
        dropout: float = 0.1, seed: int = 0,
    ):  # fmt: skip
        super().__init__(name="transfer_model")
        tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
        names = [t.name for t in tasks]
        if not tasks or len(set(names)) != len(names):
            raise DataError(f"A model needs tasks with names that differ.\nReceived {listed(names)}.")
        self.encoder, self.tasks = encoder, tasks
        self.options = {
            "text": text, "text_pair": text_pair, "max_length": max_length, "freeze": freeze,
            "dropout": dropout, "seed": seed,
        }  # fmt: skip
        encoders.freeze(encoder, freeze)
        self.heads = {}
        self._vectors = _VectorCache()
        self._encode_batch = None
        self.built = True
        self._make_heads()

    # -- building -----------------------------------------------------------------------------

    def resolve(self, table: pd.DataFrame) -> None:
        """Reads the kinds and classes that are still open from a table, and makes the heads."""
        if not self.heads:
            self.tasks = [t.resolve(table) for t in self.tasks]
            self._make_heads()

    def _make_heads(self) -> None:
        if all(t.resolved for t in self.tasks):
            width, rate, seed = self.encoder.width, self.options["dropout"], self.options["seed"]
            self.heads = {t.name: make_head(t, width, seed, rate) for t in self.tasks}

    def _require_heads(self) -> None:
        if not self.heads:
            open_tasks = [t.name for t in self.tasks if not t.resolved]
            raise DataError(
                f"The tasks {listed(open_tasks)} have no kind or classes yet.\n"
                "Fit a table first, call resolve(table), or give Task(kind=..., classes=...)."
            )

    def restart(self, seed: int) -> None:
        """New heads' weights and the dropout masks of ``seed``; the encoder's weights stay."""
        self.options["seed"] = seed
        self.encoder.reseed(seed)
        for head in self.heads.values():
            head.restart(seed)

    def copy(self, out: TransferModel | None = None) -> TransferModel:
        """A model of the same weights in variables of its own, not compiled.

        Args:
            out: an earlier copy to overwrite instead; it keeps its traced functions, which saves
                most of the time of a copy.
        """
        self._require_heads()
        if out is None:
            out = TransferModel(self.encoder.blank_copy(), self.tasks, **self.options)
        out.options["seed"] = self.options["seed"]
        for variable, value in zip(out.state, self.state):
            variable.assign(value)
        return out

    @property
    def state(self) -> list[tf.Variable]:
        """Everything that predictions and further training depend on, but for the optimizer's state."""
        return [*self.encoder.state, self.encoder.dropout_state, *(w for t in self.tasks for w in self.heads[t.name].weights)]

    # -- Keras ----------------------------------------------------------------------------------

    def call(self, x: dict, training: bool = False) -> dict[str, tf.Tensor]:
        """``{task: (batch, outputs) or (batch,)}`` float32 from ids (batch, length) int32."""
        vectors = self.encoder(x, training=training)
        return self.apply_heads(vectors, training=training)

    def apply_heads(self, vectors: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """``{task: outputs}`` from the texts' vectors (batch, width)."""
        return {
            t.name: self.heads[t.name](vectors, self.encoder.dropout_seed(-1 - i) if training else None)
            for i, t in enumerate(self.tasks)
        }

    def compile(self, optimizer="auto", loss="auto", metrics=None, *, learning_rate: float | str = "auto", **kwargs):
        """As in Keras, with good defaults.

        Args:
            optimizer: ``"auto"``: AdamW with warm-up, linear decay and clipping; or any Keras optimizer.
            loss: ``"auto"``: the heads' own.
            metrics: Keras metrics by task; rows without a label do not count in them.
            learning_rate: peak of the ``"auto"`` optimizer; ``"auto"`` follows the encoder's width.
        """
        if loss != "auto":
            raise DataError(
                f"The loss follows from each task's kind.\nReceived loss={loss!r}.\n"
                "Set kind, loss_weight or class_weight of the Task instead."
            )
        if optimizer == "auto":
            peak = auto_learning_rate(self.encoder.width) if learning_rate == "auto" else learning_rate
            optimizer = auto_optimizer(peak)
        super().compile(optimizer=optimizer, weighted_metrics=metrics or [], **kwargs)
        self._loss = keras.metrics.Mean(name="loss")
        self._task_losses = {t.name: keras.metrics.Mean(name=f"{t.name}_loss") for t in self.tasks}

    def start_run(self, learning_rate: float | str = "auto", seed: int | None = None) -> None:
        """Forgets the optimizer's state, as a new `compile` would, but keeps the traced step."""
        peak = auto_learning_rate(self.encoder.width) if learning_rate == "auto" else learning_rate
        if isinstance(getattr(self, "optimizer", None), AdamW):
            self.optimizer.reset()
            self.optimizer._learning_rate.plan(0, 0, peak)
        else:
            self.compile(learning_rate=peak)
        if seed is not None:
            self.options["seed"] = seed
            self.encoder.reseed(seed)

    @property
    def metrics(self):
        own = [self._loss, *self._task_losses.values()] if hasattr(self, "_task_losses") else []
        return own + [m for m in super().metrics if m not in own]

    def compute_losses(self, y: dict, outputs: dict, w: dict) -> tuple[tf.Tensor, dict, tf.Tensor]:
        """The batch's loss L, each task's mean loss and label count ``{task: (mean, count)}``, and N."""
        total, count, parts = 0.0, 0.0, {}
        for task in self.tasks:
            weights = tf.cast(w[task.name], tf.float32)
            # A missing label may hold any number: its loss must not reach the sum even as 0 * NaN.
            losses = self.heads[task.name].losses_of(y[task.name], outputs[task.name])
            summed = tf.reduce_sum(tf.where(weights > 0, losses * weights, 0.0))
            labels = tf.reduce_sum(tf.cast(weights > 0, tf.float32))
            parts[task.name] = (tf.math.divide_no_nan(summed, labels), labels)
            if task.loss_weight:
                total, count = total + task.loss_weight * summed, count + labels
        return tf.math.divide_no_nan(total, tf.convert_to_tensor(count)), parts, tf.convert_to_tensor(count)

    @property
    def trained_variables(self) -> list[tf.Variable]:
        """What a training step changes: the encoder's free weights and the heads of weighted tasks."""
        heads = [self.heads[t.name] for t in self.tasks if t.loss_weight]
        return [*self.encoder.trainable_variables, *(v for h in heads for v in h.trainable_variables)]

    def train_step(self, data):
        """One gradient step on a batch ``(x, y, w)``."""
        x, y, w = data
        variables = self.trained_variables
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss, parts, count = self.compute_losses(y, outputs, w)
            scaled = self.optimizer.get_scaled_loss(loss) if hasattr(self.optimizer, "get_scaled_loss") else loss
        gradients = tape.gradient(scaled, variables)
        if scaled is not loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables))
        self.encoder.next_dropout()
        return self._logs(x, y, w, outputs, loss, parts, count)

    def test_step(self, data):
        """Losses and Keras metrics of a batch ``(x, y, w)``."""
        x, y, w = data
        outputs = self(x, training=False)
        return self._logs(x, y, w, outputs, *self.compute_losses(y, outputs, w))

    def _logs(self, x, y, w, outputs, loss, parts, count) -> dict:
        self._loss.update_state(loss, sample_weight=count)
        for name, (mean, labels) in parts.items():
            self._task_losses[name].update_state(mean, sample_weight=labels)
        self.compiled_metrics.update_state(y, outputs, sample_weight=w)
        return {m.name: m.result() for m in self.metrics}

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
            options = {"batch_size": batch_size, "shuffle": True, "first_epoch": initial_epoch}
            x = self.dataset(table, learn_scale=True, epochs=epochs - initial_epoch, **options)
            kwargs["steps_per_epoch"] = steps
        self._require_heads()
        if is_tables(validation_data):
            validation_data = self.dataset(join_tables(validation_data), where="the validation table")
        steps = kwargs.get("steps_per_epoch") or _cardinality(x)
        schedule = getattr(self.optimizer, "_learning_rate", None)
        if isinstance(schedule, WarmupDecay):
            schedule.plan(int(self.optimizer.iterations), (epochs - initial_epoch) * (steps or 0))
        guard = _StopOnNaN(self)
        return super().fit(
            x, y, epochs=epochs, initial_epoch=initial_epoch, validation_data=validation_data,
            callbacks=[*_as_list(callbacks), guard], verbose=verbose, **kwargs,
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
                truths[name], predicted[name] = self._truth_of(split), self.predict(split, verbose=verbose)
        return evaluation.score(self.tasks, predicted, truths)

    def _truth_of(self, dataset) -> dict:
        """``{task: (y, present)}`` of a data set of ``(x, y, w)``."""
        rows = [(y, w) for _, y, w in dataset]
        joined = {}
        for task in self.tasks:
            labels = np.concatenate([y[task.name].numpy() for y, _ in rows])
            joined[task.name] = (labels, np.concatenate([w[task.name].numpy() for _, w in rows]) > 0)
        return joined

    # -- tables ---------------------------------------------------------------------------------

    def tokenise(self, table: pd.DataFrame) -> batches.Tokens:
        """The table's token ids."""
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
        y, w = batches.encode_labels(self.tasks, table, where)
        if learn_scale:
            for name, head in self.heads.items():
                head.learn_scale(y[name][w[name] > 0])
        return batches.to_dataset(self.tokenise(table), y, w, **{"seed": self.options["seed"]} | options)

    def encode(self, table: pd.DataFrame, batch_size: int = 32, verbose="auto") -> np.ndarray:
        """(rows, width) float32: the texts' vectors, kept until the encoder's weights change."""
        tokens = self.tokenise(table)
        key = (
            self.encoder_fingerprint(),
            hashlib.sha256(tokens.ids.tobytes() + tokens.lengths.tobytes()).digest(),
        )
        return self._vectors.get(key, lambda: self._encode_tokens(tokens, batch_size, verbose))

    def _encode_tokens(self, tokens: batches.Tokens, batch_size: int, verbose) -> np.ndarray:
        if self._encode_batch is None:
            self._encode_batch = tf.function(lambda x: self.encoder(x, training=False), reduce_retracing=True)
        order = batches.by_length(tokens)
        dataset = batches.to_dataset(batches.take(tokens, order), batch_size=batch_size)
        steps = int(dataset.cardinality())
        bar = keras.utils.Progbar(steps, verbose=1) if verbose == 1 else None
        vectors = np.empty((len(tokens), self.encoder.width), np.float32)
        done = 0
        for step, x in enumerate(dataset):
            found = tf.cast(self._encode_batch(x), tf.float32).numpy()
            vectors[order[done : done + len(found)]] = found
            done += len(found)
            if bar:
                bar.update(step + 1)
        return vectors

    def share_vectors(self, other: TransferModel) -> None:
        """Uses ``other``'s kept vectors too; they are found by the encoder's weights."""
        self._vectors = other._vectors

    def encoder_fingerprint(self) -> bytes:
        """A hash of the encoder's weights."""
        digest = hashlib.sha1(usedforsecurity=False)
        for variable in self.encoder.state:
            digest.update(np.ascontiguousarray(variable.numpy()))
        return digest.digest()

    # -- files ----------------------------------------------------------------------------------

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs) -> None:
        """Writes a folder of config.json, model.safetensors and the tokenizer; see `checkpoints`."""
        from tf_transfer.checkpoints import save_model

        save_model(self, filepath, overwrite=overwrite)

    @staticmethod
    def load(filepath: str | Path) -> TransferModel:
        """The model that `save` wrote; it predicts the same bits."""
        from tf_transfer.checkpoints import load_model

        return load_model(filepath)

    @property
    def compiled_once(self) -> bool:
        """Whether `compile` was called."""
        return getattr(self, "optimizer", None) is not None


class _VectorCache:
    """The last few tables' vectors. An object of its own, so that Keras does not track its content."""

    def __init__(self):
        self._kept: dict = {}

    def get(self, key, compute):
        if key not in self._kept:
            self._kept[key] = compute()
            if len(self._kept) > CACHED_TABLES:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]


class _StopOnNaN(keras.callbacks.Callback):
    """Ends the run when the loss is no number, with the weights of the last whole epoch."""

    def __init__(self, model: TransferModel):
        super().__init__()
        self._state, self._good, self._epoch = model.state, None, 0

    def on_train_begin(self, logs=None):
        self._keep()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self._keep()

    def on_train_batch_end(self, batch, logs=None):
        if logs and not np.isfinite(logs["loss"]):
            for variable, value in zip(self._state, self._good):
                variable.assign(value)
            raise TrainingError(
                f"The loss became {logs['loss']} in step {batch + 1} of epoch {self._epoch + 1}.\n"
                f"The model has again the weights from before epoch {self._epoch + 1}.\n"
                "Lower the learning rate, or look for extreme labels."
            )

    def _keep(self):
        self._good = [v.numpy() for v in self._state]


def is_tables(x) -> bool:
    """Whether ``x`` is a DataFrame, or a non-empty list of them."""
    if isinstance(x, pd.DataFrame):
        return True
    return isinstance(x, list | tuple) and bool(x) and all(isinstance(t, pd.DataFrame) for t in x)


def join_tables(x) -> pd.DataFrame:
    """One table of all rows; a column that a table lacks is missing in its rows."""
    return x if isinstance(x, pd.DataFrame) else pd.concat(x, ignore_index=True)


def _cardinality(x) -> int | None:
    found = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else 0
    return found if found > 0 else None


def _as_list(callbacks) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
