"""The verbs of Keras on texts: fit, predict, evaluate, and on one batch."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping

import numpy as np

from tf_transfer.batches import rows as batches
from tf_transfer.batches.inputs import IDS, Rows, opened
from tf_transfer.batches.token_inputs import batches_of
from tf_transfer.checks.arguments import QUEUE, check_known, rate, whole
from tf_transfer.checks.array_likes import is_batched
from tf_transfer.data.tables import is_tables
from tf_transfer.devices import workers
from tf_transfer.devices.backend import tf
from tf_transfer.devices.private import schedule_of
from tf_transfer.errors import DataError, shown
from tf_transfer.evaluation import scores as evaluation
from tf_transfer.evaluation.predictions import Predictions
from tf_transfer.kinds.labels import given_class_factors
from tf_transfer.model.text_model import TextModel
from tf_transfer.training.callbacks.arrange import arranged
from tf_transfer.training.callbacks.run import Plan, Run
from tf_transfer.training.optimization import WarmupDecay, plan_rate


class KerasVerbs(TextModel):
    """What `TransferModel` does with texts. The arguments are Keras', in Keras' order."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose="auto",
        callbacks=None,
        validation_split: float = 0.0,
        validation_data=None,
        shuffle: bool = True,
        class_weight=None,
        sample_weight=None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq=1,
        **options,
    ):
        """Trains on a table, several tables (all rows mixed), texts and labels, or `tf.data` of
        ``(x, y, w)``.

        Args:
            x, y: see `batches.inputs.rows_of` and `batches.token_inputs.batches_of`.
            batch_size: rows a step; 32 by default.
            validation_data: one of these, or ``(x, y)``, or ``(x, y, weights)``.
            validation_split: share of the last rows of texts or a table that are validated on
                instead.
            shuffle: False takes rows as they come; `tf.data` of batches is always taken so.
            class_weight: ``{class, or its place: factor}`` of the only task; several have theirs in
                their `Task`.
            sample_weight: (rows,) factors of the rows' losses, or ``{task: factors}``.
            steps_per_epoch: batches an epoch; of a table, which is passed over again and again, one
                pass by default.
            callbacks: any of Keras', in any order; see `EvaluateSuite` and `Resume`.
            options: ``max_queue_size``, ``workers``, ``use_multiprocessing``: of Keras, for
                generators.

        Returns:
            Keras' `History`.

        Raises:
            DataError: the table does not fit the tasks, a callback monitors what the logs never
                have, or an argument is unknown.
            TrainingError: the loss became NaN; the weights are those of the last whole epoch.
            CheckpointError: the backup of `Resume` is damaged, or of another training.
        """
        check_known("fit", options, QUEUE, spelt=FIT)
        batch_size = whole("batch_size", batch_size, default=32)
        epochs = whole("epochs", epochs)
        initial_epoch = whole("initial_epoch", initial_epoch, least=0)
        steps = None if steps_per_epoch is None else whole("steps_per_epoch", steps_per_epoch)
        if not isinstance(shuffle, bool):
            raise DataError(f"shuffle must be True or False.\nReceived {shuffle!r}.")
        if not self.compiled_once:
            self.compile()
        self._training_state = None  # of a Resume that was interrupted
        x = opened(x)
        rows = self._rows(x, y, sample_weight)
        if rows is None:
            _refuse_split(validation_split, x)
            chosen = {"batch_size": batch_size, "shuffle": shuffle, "class_weight": class_weight}
            data = batches_of(self, x, y, sample_weight, training=True, **chosen)
        else:
            self.resolve(rows.table)
            data, validation_data = _split(rows, validation_split, validation_data)
            if class_weight is not None:
                data = data.times(given_class_factors(self.tasks, class_weight, data.table))
            steps = steps or batches.steps_of(len(data.table), batch_size)
        self._require_heads()
        if rows is None and not isinstance(x, Mapping):
            self._teach_all()
        self.require_trained()
        self.prepare_optimizer()
        if validation_data is not None:
            size = whole("validation_batch_size", validation_batch_size, default=batch_size)
            options["validation_data"] = self._validation(validation_data, size)
            options |= {"validation_steps": validation_steps, "validation_freq": validation_freq}
        elif (validation_steps, validation_batch_size, validation_freq) != (None, None, 1):
            raise DataError(
                "There is nothing to validate on.\nReceived no validation_data.\nGive it, or "
                "validation_split."
            )
        # Where nobody knows how many there are, an epoch is a pass over the data set.
        options["steps_per_epoch"] = steps
        plan = Plan(data, initial_epoch, epochs, steps or _cardinality(data), batch_size, shuffle)
        return self._train(plan, callbacks, verbose=verbose, **options)

    def _train(self, plan: Plan, callbacks, **options):
        """One run of Keras' `fit`, from its plan's beginning or from where a backup stopped."""
        self._plan_rate(plan)
        run = Run(self, callbacks, "validation_data" in options)
        workers.check_training(self, lambda: run.settings_of_workers(plan))
        place, steps = run.open(plan), plan.steps
        workers.check_agreement(
            self.distribute_strategy, {"goes on at": f"epoch {place.epoch}, batch {place.batch}"}
        )
        if isinstance(plan.data, Rows):
            first, end = place.epoch * steps + place.batch, plan.epochs * steps
            x = self._passes(plan.data, first, end, plan.batch_size, plan.shuffle)
        else:
            x = run.skip(plan.data, place, plan.initial_epoch, steps)
        self.begin_run()
        with workers.lost_workers_explained(self.distribute_strategy):
            return super().fit(
                x,
                epochs=plan.epochs,
                initial_epoch=plan.initial_epoch,
                callbacks=run.callbacks,
                **options,
            )

    def _plan_rate(self, plan: Plan) -> None:
        if isinstance(schedule_of(self.optimizer), WarmupDecay):
            if not plan.steps:
                raise DataError(
                    "The 'auto' learning rate falls over a known number of steps.\n"
                    "Received a data set of unknown length.\nGive steps_per_epoch, or another "
                    "optimizer."
                )
            first = int(self.optimizer.iterations.numpy()) - plan.initial_epoch * plan.steps
            plan_rate(self.optimizer, first, plan.epochs * plan.steps)

    def _passes(
        self, rows: Rows, first: int, end: int, batch_size: int, shuffle: bool = True
    ) -> tf.data.Dataset:
        """Batches ``first`` to ``end`` of the endless sequence of passes over a table."""
        steps = batches.steps_of(len(rows.table), batch_size)
        passes = max(-(-end // steps) - first // steps, 1)
        options = {"first_epoch": first // steps, "skip": first % steps, "epochs": passes}
        options["weights"] = rows.weights
        # by the whole run's length, so that one that goes on rounds alike
        options["keep_trunk"] = end > steps
        options |= {"shuffle": shuffle, "batch_size": batch_size, **self._shapes(batch_size)}
        return self.dataset(rows.table, note_labels=True, **options)

    def predict(
        self,
        x,
        batch_size: int | None = None,
        verbose="auto",
        steps: int | None = None,
        callbacks=None,
        **options,
    ) -> Predictions:
        """Probabilities and decoded labels of every task, in the order of the rows.

        Args:
            x: a table, several tables, texts, token ids, or `tf.data` of ``x`` or ``(x, y, w)``;
                labels are not read.
            steps: batches, after which it stops.
            callbacks: of Keras; they hear of the batches of Keras' own `predict`, which is slower
                on texts.
        """
        check_known("predict", options, QUEUE, spelt=PREDICT)
        self._require_heads()
        batch_size, x = whole("batch_size", batch_size, default=32), opened(x)
        steps = None if steps is None else whole("steps", steps)
        rows = self._rows(x)
        if rows is None:
            data, count = batches_of(self, x, batch_size=batch_size), None
        else:
            table = rows.table if steps is None else rows.table.head(steps * batch_size)
            if self.token_tasks:
                tokens = self.tokenise(table, spans=True)
                self._refuse_callbacks(callbacks)
                return self._decode(self.outputs_of(tokens, batch_size), tokens)
            if callbacks is None:
                vectors = tf.constant(self.encode(table, batch_size=batch_size, verbose=verbose))
                outputs = self.apply_heads(vectors)
                return self._decode({name: output.numpy() for name, output in outputs.items()})
            data = batches.to_dataset(self.tokenise(table), batch_size=batch_size)
            count = len(table)
        heard = None if callbacks is None else arranged(callbacks)
        outputs = super().predict(data, verbose=verbose, steps=steps, callbacks=heard, **options)
        return self._decode({name: o[:count] for name, o in outputs.items()})

    def _decode(self, outputs: Mapping[str, np.ndarray], tokens=None) -> Predictions:
        return Predictions(
            {t.name: self.heads[t.name].decode(outputs[t.name], tokens) for t in self.tasks}
        )

    def _refuse_callbacks(self, callbacks) -> None:
        """Raises:
        DataError: Keras' own `predict`, which tells callbacks, cannot join tokens of many lengths.
        """
        if callbacks is not None:
            raise DataError(
                "predict takes no callbacks where a task is about the tokens of a text.\n"
                f"Received {shown(callbacks)}.\nLeave callbacks out."
            )

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size: int | None = None,
        verbose="auto",
        sample_weight=None,
        steps: int | None = None,
        callbacks=None,
        return_dict: bool | None = None,
        **options,
    ):
        """The full metric suite of every task on every split, over whole splits.

        Args:
            x: ``{split: data}`` or one of them (the split is then called ``"test"``); data is a
                table, a `datasets.Dataset`, `tf.data`, or ``(x, y)`` of texts or token ids.
            y: labels, when ``x`` are texts or token ids.
            sample_weight: factors of the rows' losses, for ``return_dict``; the suite counts all
                rows alike.
            steps: batches of each split, after which it stops.
            callbacks: of Keras; they hear of Keras' own evaluation, which is then made beside the
                suite.
            return_dict: True for Keras' own dict of loss and metrics of `compile` instead; False
                for its list.

        Returns:
            `Evaluation`, or what ``return_dict`` asks for.
        """
        if options.pop("_use_cached_eval_dataset", False):  # Keras' `fit` validates
            return super().evaluate(
                x,
                y,
                verbose=verbose,
                steps=steps,
                callbacks=callbacks,
                return_dict=True,
                _use_cached_eval_dataset=True,
                **options,
            )
        check_known("evaluate", options, QUEUE, spelt=EVALUATE)
        self._require_heads()
        batch_size = whole("batch_size", batch_size, default=32)
        steps = None if steps is None else whole("steps", steps)
        own = options | {"batch_size": batch_size, "verbose": verbose}
        own |= {"steps": steps, "callbacks": callbacks}
        if return_dict is not None:
            return self._evaluate_as_keras(x, y, sample_weight, return_dict=return_dict, **own)
        if sample_weight is not None:
            raise DataError(
                "The suite of metrics counts all rows alike.\nReceived sample_weight.\n"
                "Leave rows out of the table, or pass return_dict=True for Keras' own weighted "
                "loss and metrics."
            )
        predicted, truths = {}, {}
        for name, split in self._splits(x, y).items():
            data, labels = split if isinstance(split, tuple) and len(split) == 2 else (split, None)
            if callbacks is not None:
                self._evaluate_as_keras(data, labels, return_dict=True, **own | {"verbose": 0})
            rows = self._rows(data, labels)
            if rows is not None:
                table = rows.table if steps is None else rows.table.head(steps * batch_size)
                truths[name] = evaluation.encode_split(self.tasks, table, name)
                predicted[name] = self.predict(table, batch_size=batch_size, verbose=verbose)
            else:
                batched = batches_of(self, data, labels, batch_size=batch_size)
                truths[name], predicted[name] = self._predict_labelled(batched, steps)
        return evaluation.score(self.tasks, predicted, truths)

    def _splits(self, x, y) -> dict:
        """The data of `evaluate` by split; a mapping that holds texts or token ids is data
        itself.
        """
        text = self.options["text"]
        is_data = isinstance(x, Mapping) and (IDS in x or (text in x and not is_tables(x[text])))
        if isinstance(x, Mapping) and not is_data and y is None:
            return dict(x)
        return {"test": x if y is None else (x, y)}

    def _evaluate_as_keras(
        self, x, y=None, weights=None, *, batch_size, verbose, steps, callbacks, **options
    ):
        if not self.compiled_once:
            self.compile()
        data = self._labelled(x, y, weights, batch_size=batch_size, where="the table")
        heard = None if callbacks is None else arranged(callbacks)
        return super().evaluate(data, verbose=verbose, steps=steps, callbacks=heard, **options)

    def _predict_labelled(self, dataset, steps: int | None) -> tuple[dict, Predictions]:
        """``{task: (y, present)}`` and predictions from one pass: a shuffled data set differs in
        the next.
        """
        parts: dict = {t.name: [] for t in self.tasks}
        for batch in itertools.islice(iter(dataset), steps):
            if not isinstance(batch, tuple) or len(batch) != 3:
                raise DataError(
                    "evaluate compares predictions with labels.\nReceived batches without labels.\n"
                    "Give y, or batches (x, y)."
                )
            x, y, w = batch
            outputs = self.predict_on_batch(x)
            for name, part in parts.items():
                part.append((np.asarray(y[name]), np.asarray(w[name]) > 0, outputs[name]))
        truths, outputs = {}, {}
        for name, part in parts.items():
            y, present, outputs[name] = map(np.concatenate, zip(*part))
            if present.any():
                truths[name] = y, present
        return truths, self._decode(outputs)

    def train_on_batch(self, x, y=None, sample_weight=None, **options):
        """As in Keras; texts and labels, or a table, are one batch."""
        return super().train_on_batch(
            *self._one_batch(x, y, sample_weight, note_labels=True), **options
        )

    def test_on_batch(self, x, y=None, sample_weight=None, **options):
        """As in Keras; texts and labels, or a table, are one batch."""
        return super().test_on_batch(*self._one_batch(x, y, sample_weight), **options)

    def predict_on_batch(self, x):
        """As in Keras; texts, or a table, are one batch."""
        rows = self._rows(opened(x))
        if rows is not None:
            tokens = self.tokenise(rows.table)
            x = next(iter(batches.to_dataset(tokens, batch_size=len(tokens))))
        return super().predict_on_batch(x)

    def _teach_all(self) -> None:
        """Notes that a training teaches all outputs of all heads: its labels cannot be read in
        advance.
        """
        for head in self.heads.values():
            head.teach_all()

    def _one_batch(self, x, y, weights, note_labels: bool = False) -> tuple:
        rows = self._rows(opened(x), y, weights)
        if rows is None:
            if note_labels:
                self._teach_all()
            return x, y, weights
        if not self.compiled_once:
            self.compile()
        options = {"note_labels": note_labels, "weights": rows.weights}
        options["batch_size"] = len(rows.table)
        return next(iter(self.dataset(rows.table, where="the batch", **options)))


FIT, PREDICT, EVALUATE = (
    [name for name in inspect.signature(verb).parameters if name not in ("self", "options")]
    for verb in (KerasVerbs.fit, KerasVerbs.predict, KerasVerbs.evaluate)
)


def _cardinality(x) -> int | None:
    if not isinstance(x, tf.data.Dataset):
        return len(x) if is_batched(x) else None
    return max(int(x.cardinality()), 0) or None


def _split(rows: Rows, share: float, validation_data) -> tuple:
    """The rows to train on, and the last ones as validation data, as Keras' ``validation_split``
    cuts them.
    """
    share = rate("validation_split", share, below=1)
    if not share:
        return rows, validation_data
    if validation_data is not None:
        raise DataError(
            "validation_split takes the validation from the training rows.\nReceived "
            "validation_data too.\nGive one."
        )
    first, last = rows.cut(int(len(rows.table) * (1 - share)))
    if not len(first.table) or not len(last.table):
        raise DataError(
            f"validation_split must leave rows on both sides.\nReceived {share} of "
            f"{len(rows.table)} rows.\n"
            "Give more rows, or another share."
        )
    return first, (last.table, None, last.weights)


def _refuse_split(share: float, x) -> None:
    if share:
        raise DataError(
            "validation_split is for tables and texts, whose last rows it takes.\n"
            f"Received validation_split={share!r} with token ids ({type(x).__name__}).\nGive "
            "validation_data."
        )
