"""Trains and predicts the cells of a run that are still missing."""

from __future__ import annotations

import contextlib
import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tf_transfer.devices.backend import tf
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import CheckpointError, PenaltyWarning, TrainingError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.experiments.memory import forget_peak, peak_gb
from tf_transfer.experiments.prepared import Prepared, PreparedTarget, draw_support
from tf_transfer.experiments.runs import Cell, Run
from tf_transfer.experiments.units import Missing, Unit
from tf_transfer.model.checkpoints import load_state, save_state
from tf_transfer.model.model import TransferModel
from tf_transfer.progress import Say
from tf_transfer.strategies.solve_heads import solve_heads
from tf_transfer.training.callbacks.resume import Resume

PROCESS_GB, COPIES = 1.5, 12
"""Memory of a process with TensorFlow and its traced functions, and how many times the weights'
size comes on top: the model, the pretrained weights, two copies, gradients, the optimizer's
moments, and what a step computes.
"""


class Runner:
    """One model that every strategy starts from, and one that every adaptation is written into.

    Args:
        experiment: a checked `Experiment`.
        tasks: its resolved tasks.
    """

    def __init__(self, experiment, tasks):
        self.experiment = experiment
        spec = experiment.encoder
        encoder = load_encoder(
            spec.locate(experiment.folder),
            revision=spec.revision,
            pooling=spec.pooling,
            precision=spec.precision,
        )
        self.model = TransferModel(
            encoder,
            tasks,
            text=experiment.text,
            text_pair=experiment.text_pair,
            max_length=spec.max_length,
            freeze=spec.freeze,
            dropout=spec.dropout,
        )
        self.encoder_hash = _hash(self.model)
        self._pretrained = [v.numpy() for v in self.model.state]
        self._adapted, self._probe = None, None
        self._pretrained_hash = self.model.encoder_fingerprint()
        self._controls = set(experiment.controls.values())
        self._peak_of_fit: float | None = None

    def run(self, run: Run, data: Prepared, units: Sequence[Unit], say: Say) -> Iterator[Unit]:
        """Does units one after the other, and yields each when its cells are done; for ``say`` see
        `compare`.
        """
        progress = Missing(self.experiment, run)
        for unit in units:
            for cell in self.cells(
                run, data, unit, lambda what: say(what, progress.done, progress.of)
            ):
                progress.cells.remove(cell)
            yield unit

    def cells(
        self, run: Run, data: Prepared, unit: Unit, say: Callable[[str], None]
    ) -> Iterator[Cell]:
        """Computes the missing cells of a unit, and yields each when it is kept.

        Args:
            run: keeps the cells.
            data: the tables.
            unit: the strategy and the seed.
            say: called before source training and before each cell with what begins.
        """
        label, seed = unit.strategy, unit.seed
        todo = [cell for cell in unit.cells(self.experiment) if not run.has(cell)]
        if todo:
            strategy, names = self.experiment.trained[label]
            sources = {name: data.sources[name] for name in names} if strategy.uses_source else {}
            taught = {
                t.name
                for t in self.model.tasks
                if any(t.encode(s)[1].any() for s in sources.values())
            }
            if sources:
                say(f"{unit}: source training")
            fitted, seconds = self._fit(
                run, label, strategy, seed, {n: data.sources[n] for n in names}
            )
            for cell in todo:
                say(str(cell))
                self._compute(
                    run, cell, strategy, sources, fitted, seconds, data.targets[cell.target], taught
                )
                yield cell
        run.drop_fitted(label, seed)

    def needed_gb(self) -> float:
        """About how much memory another process needs that does the same, in 10⁹ bytes."""
        weights = sum(v.shape.num_elements() * v.dtype.size for v in self.model.state)
        return PROCESS_GB + COPIES * weights / 1e9

    def reset(self, seed: int) -> None:
        """The model as it was before any training, with heads and dropout masks of ``seed``."""
        for variable, value in zip(self.model.state, self._pretrained):
            variable.assign(value)
        self.model.restart(seed)

    def _fit(
        self, run: Run, label: str, strategy, seed: int, sources: dict
    ) -> tuple[Fitted, float]:
        """What `adapt` starts from, and the seconds of source training; kept until its cells are
        done.
        """
        self.reset(seed)
        path = run.fitted_path(label, seed)
        try:
            note, learned = load_state(self.model, path)
            self._peak_of_fit = float(note["peak_gb"]) if "peak_gb" in note else None
            return Fitted(self.model, tuple(learned)), float(note["seconds"])
        except CheckpointError:
            pass  # not there, or cut short: train again
        forget_peak()
        # Kept until the weights are: a kill between the two costs nothing.
        start, backup = (
            time.perf_counter(),
            Resume(run.backup_path(label, seed), delete_checkpoint=False),
        )
        try:
            result = strategy.fit(self.model, sources, seed=seed, callbacks=[backup])
        except TrainingError as error:
            remedy = f"Give {label} a lower learning_rate; finished cells are kept."
            raise TrainingError(
                f"{label}, seed {seed}, source training: {error}\n{remedy}"
            ) from error
        seconds = backup.seconds_before + time.perf_counter() - start
        fitted, self._peak_of_fit = Fitted.of(result), peak_gb()
        if strategy.uses_encoder and strategy.uses_source:
            known = {} if self._peak_of_fit is None else {"peak_gb": str(self._peak_of_fit)}
            save_state(self.model, path, {"seconds": str(seconds)} | known, fitted.learned)
            backup.delete()
        return fitted, seconds

    def _compute(
        self,
        run: Run,
        cell: Cell,
        strategy,
        sources: dict,
        fitted: Fitted,
        source_seconds: float,
        target: PreparedTarget,
        taught: set,
    ) -> None:
        forget_peak()
        start = time.perf_counter()
        try:
            support = draw_support(target.train, cell.target, cell.budget, cell.seed)
            with noting_ends() as ends:
                adapted = strategy.adapt(
                    fitted,
                    support,
                    seed=cell.seed,
                    out=self._adapted if strategy.uses_encoder else None,
                )
        except TrainingError as error:
            remedy = f"Give {cell.strategy} a lower adapt_learning_rate; finished cells are kept."
            raise TrainingError(f"{cell}: {error}\n{remedy}") from error
        seconds = time.perf_counter() - start
        if strategy.uses_encoder:
            self._adapted = adapted
        predictions = adapted.predict(target.test, verbose=0)
        # A head that neither the source nor a label has trained has nothing to say.
        learned = {
            t.name for t in self.model.tasks if t.name in taught or t.encode(support)[1].any()
        }
        scores = {name: p.scores for name, p in predictions.items() if name in learned}
        rows = {name: len(table) for name, table in sources.items()}
        did = strategy.settings(self.model, rows, len(support))
        peak = max(filter(None, (self._peak_of_fit, peak_gb())), default=None)
        cost = {"source_seconds": source_seconds, "target_seconds": seconds, "peak_gb": peak}
        changed = _changed(fitted.model, adapted)
        cost |= {"parameters": changed, "settings": did, "penalty_ends": ends}
        frozen = self._frozen(cell.strategy, strategy, fitted.model, support, target.test)
        run.write_cell(cell, scores, cost, frozen)

    def _frozen(
        self, label: str, strategy, model: TransferModel, support, test
    ) -> dict[str, np.ndarray]:
        """``{task: scores}`` of heads solved on the support's features before the target's
        training.

        Of a strategy whose source changed the encoder, and of what others are compared with: the
        difference is what the source did to the encoder.
        """
        if not isinstance(model, TransferModel):
            return {}
        harmed = strategy.uses_source and model.encoder_fingerprint() != self._pretrained_hash
        if not harmed and label not in self._controls:
            return {}
        self._probe = model.copy(out=self._probe)
        self._probe.share_vectors(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PenaltyWarning)
            solved = solve_heads(self._probe, support)
        predictions = self._probe.predict(test, verbose=0)
        return {name: predictions[name].scores for name in solved}


def can_share_devices() -> bool:
    """Whether several processes can use this machine's devices at once: processors yes, an
    accelerator no.
    """
    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())


@contextlib.contextmanager
def noting_ends() -> Iterator[list[str]]:
    """The messages of penalties that were chosen at an end of what was tried; they are kept with
    the cell instead.
    """
    messages = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PenaltyWarning)
        yield messages
    for warning in caught:
        if issubclass(warning.category, PenaltyWarning):
            messages.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def _changed(before, after) -> int | None:
    """How many weights the variables hold in which two models differ; None for what is no
    `TransferModel`.
    """
    if not (isinstance(before, TransferModel) and isinstance(after, TransferModel)):
        return None
    pairs = [
        (a.numpy(), b.numpy()) for a, b in zip(before.state, after.state) if a.dtype.is_floating
    ]
    return sum(int(b.size) for a, b in pairs if not np.array_equal(a, b))


def _hash(model: TransferModel) -> str:
    """Of everything that the encoder's vectors depend on: weights, configuration and tokenizer."""
    parts = [
        model.encoder_fingerprint(),
        model.encoder.config.to_json_string().encode(),
        model.encoder.tokenizer.backend_tokenizer.to_str().encode(),
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()
