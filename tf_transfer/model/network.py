"""One encoder, one head a task, and the gradient step that trains them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tf_transfer.checks.names import check_names
from tf_transfer.devices import distribution
from tf_transfer.devices.backend import tf
from tf_transfer.devices.private import mask_metrics, schedule_of
from tf_transfer.encoders.trunk import without_trunk
from tf_transfer.errors import DataError, listed, shown
from tf_transfer.kinds import AUTO, kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.model import compiling
from tf_transfer.model.heads import Head
from tf_transfer.model.trainable import Trainable
from tf_transfer.training import gradient_rules
from tf_transfer.training.gradient_rules import GradientRule, Losses
from tf_transfer.training.optimization import (
    AdamW,
    WarmupDecay,
    auto_learning_rate,
    auto_optimizer,
    current_rate,
    plan_rate,
    with_whole_rows,
)


class Network(Trainable):
    """The part of `TransferModel` that works on tensors: the call, the loss, the step.

    The training loss of a batch is

        L = 1/N Σ_tasks loss_weight Σ_rows w ℓ

    with N the number of labels in the batch that have a weight w and a loss_weight above 0: a row
    without a label for a task adds nothing to it. Where replicas share the batch, N counts the
    labels of all of them and their gradients are added up: the step is that of a single device.

    The step follows the gradient of L, or what the `GradientRule` of `compile` makes of the
    gradients of the tasks' shares of L.

    Args:
        encoder: an `Encoder`; it becomes part of this model, and of no other.
        tasks: `Task`s, or one.
        dropout: rate before the heads.
        seed: of the heads' initial weights and of dropout.
    """

    def __init__(self, encoder, tasks: Task | Sequence[Task], dropout: float = 0.1, seed: int = 0):
        super().__init__(name="transfer_model")
        # The logs of every replica are those of all together; "auto" would add them up over
        # workers.
        self.distribute_reduction_method = "first"
        tasks = [
            t if isinstance(t, Task) else Task(t)
            for t in ([tasks] if isinstance(tasks, Task | str) else tasks)
        ]
        names = [t.name for t in tasks]
        if not tasks:
            raise DataError("A model needs tasks.\nReceived none.")
        check_names("task", names, in_files=False)
        if not any(t.loss_weight for t in tasks):
            raise DataError(
                f"A model needs a task to learn.\nReceived {listed(names)}, all with loss_weight=0."
            )
        if encoder.taken:
            raise DataError(
                "Each model needs an encoder of its own, for it trains it.\n"
                "Received one that another TransferModel was made of.\n"
                "Call load_encoder again for the pretrained weights; encoder.copy() has the "
                "weights as they are now."
            )
        self.encoder, self.tasks = encoder, tasks
        self.gradient_rule = gradient_rules.DEFAULT
        self.options = {"dropout": dropout, "seed": seed}
        self.heads = {}
        encoder.reseed(seed)
        self.built = True
        self._make_heads()

    def set_tasks(self, tasks: Sequence[Task]) -> None:
        """Gives the open tasks their kinds and classes, and makes the heads."""
        self.tasks = list(tasks)
        self._make_heads()

    def _make_heads(self) -> None:
        if all(t.resolved for t in self.tasks):
            width, rate, seed = self.encoder.width, self.options["dropout"], self.options["seed"]
            with self.distribute_strategy.scope():
                self.heads = {t.name: Head(t, width, seed, rate) for t in self.tasks}

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

    @property
    def auto_learning_rate(self) -> float:
        """The peak learning rate that ``"auto"`` stands for; see
        `training.optimization.auto_learning_rate`.
        """
        return auto_learning_rate(self.encoder.width)

    @property
    def state(self) -> list[tf.Variable]:
        """Everything that predictions and further training depend on, but for the optimizer's
        state.
        """
        return [
            *self.encoder.state,
            self.encoder.dropout_state,
            *(w for t in self.tasks for w in self.heads[t.name].weights),
        ]

    @property
    def weights(self) -> list[tf.Variable]:
        """All weights, in an order that freezing and compiling do not change."""
        known = {id(v) for v in self.state}
        # those of a pooler, which no output depends on
        unused = [v for v in self.encoder.transformer.variables if id(v) not in known]
        return (
            [*self.state, *unused]
            if self.heads
            else [*self.encoder.state, self.encoder.dropout_state, *unused]
        )

    def call(self, x: dict, training: bool = False) -> dict[str, tf.Tensor]:
        """``{task: (batch, outputs) or (batch,)}`` float32 from ids (batch, length) int32.

        Raises:
            DataError: ``x`` holds no token ids.
        """
        if not isinstance(x, Mapping) or not set(self.encoder.fields) <= set(x):
            raise DataError(
                "A model is called on token ids by field, as a tokenizer returns them.\nReceived "
                f"{shown(x)}.\n"
                "For texts call predict(texts), or encode(texts) for their vectors."
            )
        features = self.features(x, training=training)
        return self.outputs_from(features, x.get("attention_mask"), training=training)

    @property
    def token_tasks(self) -> list[str]:
        """The names of the tasks whose heads need a vector for each token."""
        known = [task for task in self.tasks if task.kind != AUTO]
        return [task.name for task in known if kind_of(task).reads == "tokens"]

    def features(self, x: dict, training: bool = False) -> tf.Tensor:
        """What the heads compute from: (batch, length, width) where one reads tokens, else the
        texts' vectors (batch, width).
        """
        run = self.encoder.hidden if self.token_tasks else self.encoder
        return run(x, training=training)

    def outputs_from(
        self, features: tf.Tensor, mask: tf.Tensor | None, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """``{task: outputs}`` from `features`.

        Args:
            mask: (batch, length) int32, 1 at tokens and 0 at padding; needed where a head reads
                tokens.
        """
        if not self.token_tasks:
            return self.apply_heads(features, training=training)
        vectors = self.encoder.pool(features, mask)
        return self.apply_heads(vectors, training=training, hidden=features)

    def apply_heads(
        self, vectors: tf.Tensor, training: bool = False, hidden: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """``{task: outputs}`` from the texts' vectors.

        Args:
            vectors: (batch, width).
            hidden: (batch, length, width), the tokens' vectors; None leaves the heads out that
                read them.
        """
        features = {"text": vectors} | ({} if hidden is None else {"tokens": hidden})
        outputs = {}
        for number, task in enumerate(self.tasks):
            head = self.heads[task.name]
            if head.kind.reads not in features:
                continue
            dropped = training and head.trainable
            seed = self.encoder.dropout_seed(-1 - number) if dropped else None
            outputs[task.name] = head(features[head.kind.reads], seed)
        return outputs

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        metrics=None,
        *,
        weighted_metrics=None,
        learning_rate: float | str = "auto",
        gradient_rule: str | GradientRule = "sum",
        **options,
    ):
        """As in Keras, with good defaults.

        Args:
            optimizer: ``"auto"``: AdamW with warm-up, linear decay and clipping; or any Keras
                optimizer.
            loss: ``"auto"``: the heads' own.
            metrics: Keras metrics by task, of probabilities, or of numbers in the label's own unit;
                rows without a label do not count in them.
            weighted_metrics: the same, in which a row counts by its weight.
            learning_rate: peak of the ``"auto"`` optimizer; ``"auto"`` follows the encoder's width.
            gradient_rule: how the gradients of several tasks become one: ``"sum"`` is the gradient
                of L; ``"pcgrad"``, a name that was registered, or a `GradientRule`. As the
                optimizer, it belongs to the training and not to the model: copies and files do not
                have it.
            options: ``run_eagerly``, ``steps_per_execution``, ``jit_compile``,
                ``pss_evaluation_shards``: see Keras.

        Raises:
            DataError: an argument that would be ignored, an unknown gradient rule, or an object of
                Keras 3.
        """
        keras_metrics = [metrics, weighted_metrics]
        compiling.check_arguments(optimizer, loss, keras_metrics, learning_rate, options)
        compiling.check_metrics(self.tasks, keras_metrics)
        self._set_rule(gradient_rule)
        with self.distribute_strategy.scope():
            if optimizer == "auto":
                optimizer = auto_optimizer(self._peak(learning_rate))
            super().compile(
                optimizer=compiling.optimizer_of(optimizer),
                metrics=metrics,
                weighted_metrics=weighted_metrics or [],
                **options,
            )
            self._own_metrics = compiling.LossMetrics(self.tasks)

    def _set_rule(self, rule: str | GradientRule) -> None:
        learned = [t.name for t in self.tasks if t.loss_weight]
        gradient_rules.check_several(rule, learned)
        self.gradient_rule = gradient_rules.rule_of(rule)

    def _peak(self, learning_rate: float | str) -> float:
        return compiling.peak_of(learning_rate, self.auto_learning_rate)

    def build_metrics(self) -> None:
        """Makes the Keras metrics of `compile`, which otherwise come into being in the first step.

        Some make their variables at their first update. It is traced, as in a step, and not run:
        the row is made up.
        """
        if self.compiled_metrics is None or self.compiled_metrics.built:
            return

        def update():
            outputs = self.apply_heads(tf.zeros((1, self.encoder.width)))
            scores = {name: self.heads[name].scores(output) for name, output in outputs.items()}
            y = {
                t.name: tf.constant(kind_of(t).blank(t, 1)) for t in self.tasks if t.name in scores
            }
            self._update_metrics(y, scores, {name: tf.ones((1,)) for name in scores})

        if self.run_eagerly:
            self.distribute_strategy.run(update)
            self.compiled_metrics.reset_state()
        else:
            tf.function(lambda: self.distribute_strategy.run(update)).get_concrete_function()

    def start_run(
        self,
        learning_rate: float | str = "auto",
        seed: int | None = None,
        gradient_rule: str | GradientRule = "sum",
    ) -> None:
        """Forgets the optimizer's state, as a new `compile` would, but keeps the traced step of
        each gradient rule.
        """
        peak, optimizer = self._peak(learning_rate), getattr(self, "optimizer", None)
        schedule = schedule_of(optimizer)
        if isinstance(optimizer, AdamW) and isinstance(schedule, WarmupDecay):
            optimizer.reset()
            plan_rate(optimizer, 0, 0, peak)
            self._set_rule(gradient_rule)
        else:
            self.compile(learning_rate=peak, gradient_rule=gradient_rule)
        if seed is not None:
            self.options["seed"] = seed
            self.encoder.reseed(seed)

    @property
    def metrics(self):
        return [*(self._own_metrics.listed if self.compiled_once else ()), *super().metrics]

    def compute_losses(self, y: dict, outputs: dict, w: dict) -> tuple[tf.Tensor, dict, tf.Tensor]:
        """The batch's loss L, each task's mean loss and label count ``{task: (mean, count)}``, and
        N.
        """
        total, count, parts = 0.0, 0.0, {}
        for task in self.tasks:
            weights = tf.cast(w[task.name], outputs[task.name].dtype)
            losses = self.heads[task.name].losses_of(
                _present(y[task.name], weights > 0), outputs[task.name]
            )
            summed = tf.reduce_sum(losses * weights)
            labels = tf.reduce_sum(tf.cast(weights > 0, weights.dtype))
            parts[task.name] = (tf.math.divide_no_nan(summed, labels), labels)
            if task.loss_weight:
                total, count = total + task.loss_weight * summed, count + labels
        return (
            tf.math.divide_no_nan(total, tf.convert_to_tensor(count)),
            parts,
            tf.convert_to_tensor(count),
        )

    def train_step(self, data):
        """One gradient step on a batch ``(x, y, w)``.

        Returns:
            The logs: means of the epoch so far of the losses, Keras metrics and ``gradient_norm``
            (of all trained weights, before clipping and counted as clipping counts it), and the
            ``learning_rate`` of this step.
        """
        x, y, w = data
        x = without_trunk(x) if self._changed_in_run else x
        variables, rule = self.trained_variables, self.gradient_rule
        scaled_loss = getattr(self.optimizer, "get_scaled_loss", lambda value: value)
        with tf.GradientTape(persistent=rule.by_task) as tape:
            outputs = self(x, training=True)
            loss, parts, count = self.compute_losses(y, outputs, w)
            total = distribution.global_sum(count)
            share = loss if total is count else loss * tf.math.divide_no_nan(count, total)
            scaled = scaled_loss(share)
            shares = {n: scaled_loss(s) for n, s in self._task_shares(parts, total).items()}
        counts = {name: parts[name][1] for name in shares}
        seed = self.encoder.dropout_seed(-1 - len(self.tasks))  # those of the heads come before
        gradients = rule.gradients(Losses(scaled, shares, counts), tape, variables, seed)
        if scaled is not share:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        options = {}
        if total is not count and scaled is share:
            # Here and not in `apply_gradients`, for the norm.
            gradients = [
                g for g, _ in self.optimizer.aggregate_gradients(list(zip(gradients, variables)))
            ]
            options = {"skip_gradients_aggregation": True}
        self.optimizer.apply_gradients(zip(gradients, variables), **options)
        self.encoder.next_dropout()
        norm = getattr(self.optimizer, "gradient_norm", None)
        norm = tf.linalg.global_norm(with_whole_rows(gradients)) if norm is None else norm
        mean_norm = self._own_metrics.gradient_norm
        mean_norm.update_state(norm)
        logs = self._logs(y, w, outputs, loss, parts, count)
        return logs | {
            "gradient_norm": mean_norm.result(),
            "learning_rate": current_rate(self.optimizer),
        }

    def _task_shares(self, parts: dict, total: tf.Tensor) -> dict[str, tf.Tensor]:
        """``{task: () float}``, whose sum is L, from what `compute_losses` gave and N."""
        shares = {}
        for task in self.tasks:
            if task.loss_weight:
                mean, labels = parts[task.name]
                shares[task.name] = task.loss_weight * mean * tf.math.divide_no_nan(labels, total)
        return shares

    def test_step(self, data):
        """Losses and Keras metrics of a batch ``(x, y, w)``."""
        x, y, w = data
        outputs = self(x, training=False)
        return self._logs(y, w, outputs, *self.compute_losses(y, outputs, w))

    def _logs(self, y, w, outputs, loss, parts, count) -> dict:
        own = self._own_metrics
        own.loss.update_state(loss, sample_weight=count)
        for name, (mean, labels) in parts.items():
            own.task_losses[name].update_state(mean, sample_weight=labels)
        scores = {name: self.heads[name].scores(output) for name, output in outputs.items()}
        self._update_metrics(y, scores, w)
        return {m.name: m.result() for m in self.metrics if m is not own.gradient_norm}

    def _update_metrics(self, y: dict, scores: dict, w: dict) -> None:
        for name, values in scores.items():  # of the metrics without weights
            mask_metrics(values, tf.cast(w[name] > 0, values.dtype))
        self.compiled_metrics.update_state(y, scores, sample_weight=w)

    @property
    def compiled_once(self) -> bool:
        """Whether `compile` was called."""
        return getattr(self, "optimizer", None) is not None


def _present(labels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Labels with 0 for a missing one, which may hold any number: 0 * NaN would spoil the
    gradient.
    """
    rows = tf.reshape(rows, [-1] + [1] * (labels.shape.rank - 1))
    return tf.where(rows, labels, tf.zeros_like(labels))
