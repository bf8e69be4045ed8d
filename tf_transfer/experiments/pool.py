"""Several processes that share the units of a run, by joblib: on this machine, or on a cluster that
it knows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import joblib

from tf_transfer.devices.workers import versions
from tf_transfer.errors import (
    CheckpointError,
    DataError,
    DistributionError,
    LabelWarning,
    PenaltyWarning,
    TrainingError,
    differing_keys,
    is_whole,
)
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.memory import available_gb
from tf_transfer.experiments.prepared import Prepared
from tf_transfer.experiments.runs import Run
from tf_transfer.experiments.units import Missing, Unit
from tf_transfer.kinds import KINDS, Kind, added, register
from tf_transfer.progress import Say
from tf_transfer.training import gradient_rules
from tf_transfer.training.gradient_rules import GradientRule

AUTO = "auto"

MOST_THREADS = 3
"""Threads of one of several processes: with four, TensorFlow adds the terms of a sum in another
order.
"""

MOST_DEATHS = 5
"""Processes that may die one after the other before a further cell is done."""

_IDLE = 30
"""Seconds after which a process without work ends."""


class Pool:
    """Processes that do the units of a run; where ``count`` is 1, the process that asks can do them
    itself.

    Args:
        experiment: its ``workers`` says how many, ``"auto"``, or gives the arguments of
            `joblib.parallel_config`.
        units: to be done.
        needed_gb: memory of one process, in 10⁹ bytes.
        shareable: whether several processes can use the devices; an accelerator takes one.
        tell: called with a line when a process dies.

    Attributes:
        count: how many processes.
        threads: of each.
        local: whether they run on this machine.

    Raises:
        DataError: the backend is not installed, runs threads, or the memory does not hold so many
            processes.
    """

    def __init__(
        self,
        experiment: Experiment,
        units: Sequence[Unit],
        needed_gb: float,
        shareable: bool = True,
        tell: Callable[[str], None] | None = None,
    ):
        self._tell = tell or (lambda line: None)
        folder = experiment.folder.resolve()  # a process elsewhere works in another folder
        self._experiment, asked = (
            experiment.model_copy(update={"folder": folder}),
            experiment.workers,
        )
        self._options = dict(asked) if isinstance(asked, Mapping) else {"n_jobs": asked}
        number = self._options.pop("n_jobs", AUTO)
        with self._configured():
            backend, configured = joblib.parallel.get_active_backend()
            cores = backend.effective_n_jobs(-1)
        _check_backend(backend)
        self.local = isinstance(backend, joblib.parallel.BACKENDS["loky"])
        most = min(cores, len(units))
        fitting = max(1, int(min(available_gb() / needed_gb, most))) if self.local else most
        number = _checked(number) or _checked(configured)
        asked_for = number or (fitting if shareable else 1)
        self.count = max(1, min(asked_for, most))
        if self.count > fitting:
            raise DataError(
                f"{self.count} workers need about {self.count * needed_gb:.1f} GB of memory.\n"
                f"Received {available_gb():.1f} GB that are free.\nSet workers: {fitting}, or "
                "workers: auto."
            )
        self.threads = (
            max(1, min(MOST_THREADS, cores // self.count)) if self.local else MOST_THREADS
        )
        self.sentence = _sentence(self.count, self.threads, asked_for, cores, len(units))

    def run(self, run: Run, data: Prepared, units: Sequence[Unit], say: Say) -> Iterator[Unit]:
        """Does the units, and yields each when its cells are done; for ``say`` see `compare`.

        A process of this machine that dies costs the cells that were being computed: they are begun
        anew. What the processes warn of is warned of here.

        Raises:
            TrainingError: `MOST_DEATHS` processes have died one after the other, or one has on
                another machine.
            DistributionError: a process elsewhere has other packages or another encoder, or cannot
                see the run's folder.
        """
        additions = added(), gradient_rules.added()
        deaths, left, folder, digest = 0, list(units), run.folder.resolve(), run.read()["digest"]
        shared = (self._experiment, data, folder, digest, self.threads, versions(), additions)
        with _Watch(Missing(self._experiment, run), run, say) as watch:
            while left:
                before = watch.missing.done
                try:
                    for unit, ends in self._results(
                        [joblib.delayed(_work)(unit, *shared) for unit in left]
                    ):
                        left.remove(unit)
                        watch.look()
                        for message in ends:
                            warnings.warn(message, PenaltyWarning, stacklevel=2)
                        yield unit
                except (BrokenExecutor, MemoryError) as error:
                    watch.look()
                    deaths = deaths + 1 if watch.missing.done == before else 0
                    if deaths == MOST_DEATHS or not self.local:
                        raise TrainingError(
                            f"A process has died, {max(deaths, 1)} in a row without a finished "
                            f"cell: {error}\n"
                            "Finished cells are kept. Often it is memory: set workers: "
                            f"{max(1, self.count - 1)}."
                        ) from error
                    why = "has not enough memory" if isinstance(error, MemoryError) else "has died"
                    self._tell(f"A process {why}: what was being computed is begun anew.")

    def _results(self, jobs) -> Iterator[tuple[Unit, list[str]]]:
        """What the jobs return, in the order in which they end."""
        with self._configured():
            parallel = joblib.Parallel(self.count, return_as="generator_unordered", batch_size=1)
        return parallel(jobs)

    @contextlib.contextmanager
    def _configured(self) -> Iterator[None]:
        """Within it, joblib is as the experiment says, or else as the caller has configured it."""
        backend, _ = joblib.parallel.get_active_backend()
        options = dict(self._options)
        local = isinstance(backend, joblib.parallel.BACKENDS["loky"])
        if options.get("backend", "loky") == "loky" and local:
            options = {"idle_worker_timeout": _IDLE} | options | {"backend": "loky"}
        if not options:
            yield
            return
        try:
            configured = joblib.parallel_config(**options)
        except (ImportError, ValueError, TypeError, OSError) as error:
            raise DataError(
                "workers must be a number, 'auto', or arguments of joblib.parallel_config.\n"
                f"Received {dict(self._options)}: {error}\nInstall and start the backend, or leave "
                "it away."
            ) from None
        with configured:
            yield


def _check_backend(backend) -> None:
    """Whether a joblib backend has processes of its own, and hands results back one by one."""
    if getattr(backend, "supports_sharedmem", False) or not backend.supports_return_generator:
        raise DataError(
            "The units of a run need processes of their own, whose results come one by one.\n"
            f"Received the joblib backend {type(backend).__name__}.\n"
            "Use loky, dask or ray; or set workers: 1, which needs none."
        )


def _checked(number) -> int | None:
    """A number of processes; None for as many as possible."""
    if number in (AUTO, None) or (is_whole(number) and number < 0):
        return None
    if not is_whole(number) or not number:
        raise DataError(
            f"n_jobs of workers must be a whole number from 1 on, or auto.\nReceived {number!r}."
        )
    return int(number)


def _sentence(count: int, threads: int, asked_for: int, cores: int, units: int) -> str:
    who = f"{count} processes share the work" if count > 1 else "One process works"
    each = f", with {threads} thread{'s' if threads > 1 else ''} each." if count > 1 else "."
    if count == asked_for:
        return who + each
    there = (
        f"{cores} core{'s' if cores > 1 else ''} and {units} unit{'s' if units > 1 else ''} of work"
    )
    return f"{who}{each} {asked_for} were asked for, for {there}."


class _Watch:
    """Says which cells have appeared in the run's folder, whoever computes them."""

    def __init__(self, missing: Missing, run: Run, say: Say):
        self.missing, self._run, self._say = missing, run, say
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.tell("the processes start")
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Takes the cells that are there out of those that are missing."""
        with self._lock:
            for cell in [
                c for c in self.missing.cells if self._run.path(c).exists() and self._run.has(c)
            ]:
                self.missing.cells.remove(cell)
                self.tell(f"done: {cell}")

    def tell(self, what: str) -> None:
        """Says it, with how far the run is."""
        self._say(what, self.missing.done, self.missing.of)

    def _watch(self) -> None:
        while not self._ended.wait(1):
            self.look()


_RUNNERS: dict[str, Any] = {}
"""In a worker: the runner of the run that it works for."""

_ONE_UNIT = threading.Lock()
"""In a worker: held by the unit that uses the runner, for a cluster may start several in
threads.
"""


def _work(
    unit: Unit,
    experiment: Experiment,
    data: Prepared,
    folder: Path,
    digest: str,
    threads: int,
    packages: dict,
    additions: tuple[Sequence[Kind], Sequence[GradientRule]],
) -> tuple[Unit, list[str]]:
    """In a worker: computes the cells of a unit that are still missing.

    Args:
        additions: kinds and gradient rules that were registered where the run was started.

    Returns:
        The unit, and the messages of penalties that its source training chose at an end of what was
        tried.

    Raises:
        DistributionError: it has other packages than ``packages``, another encoder than the run, or
            sees another run in the folder.
        MemoryError: the memory did not suffice.
    """
    if threading.current_thread() is threading.main_thread():
        # Ctrl-C is for the process that shares out the units
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "tensorflow" not in sys.modules:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    _register(*additions)
    run = Run(folder)
    _check_place(run, digest, packages)
    from tf_transfer.devices.backend import tf
    from tf_transfer.experiments.runner import Runner, noting_ends

    with _ONE_UNIT, noting_ends() as ends:
        warnings.simplefilter("ignore", LabelWarning)  # it was said where the run was started
        try:
            if digest not in _RUNNERS:
                _RUNNERS.clear()
                runner = Runner(experiment, data.tasks)
                _check_encoder(run, runner.encoder_hash)
                _RUNNERS[digest] = runner
            for _ in _RUNNERS[digest].cells(run, data, unit, lambda what: None):
                pass
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(str(error)) from None
    return unit, ends


def _register(kinds: Sequence[Kind], rules: Sequence[GradientRule]) -> None:
    for kind in kinds:
        if kind.name not in KINDS:
            register(kind)
    for rule in rules:
        if rule.name not in gradient_rules.RULES:
            gradient_rules.register(rule)


def _check_place(run: Run, digest: str, packages: dict[str, str]) -> None:
    """Whether a worker has the packages and sees the folder of the process that started the run."""
    here = versions()
    differing = differing_keys(packages, here)
    if differing:
        lines = [
            f"{n}: {packages.get(n, 'none')} there, {here.get(n, 'none')} on a worker"
            for n in differing
        ]
        raise DistributionError(
            "Every worker must have the packages of the process that starts the run.\nReceived "
            "different ones:\n" + "\n".join(lines) + "\nInstall the same versions everywhere."
        )
    try:
        seen = run.read()["digest"]
    except CheckpointError as error:
        raise DistributionError(
            f"Every worker must see the folder of the run.\nReceived on a worker: {error}\nGive "
            "one that all share."
        ) from None
    if seen != digest:
        raise DistributionError(
            f"Every worker must see the folder of the run, {run.folder}.\nReceived another run "
            "there on a worker.\n"
            "Give one that all share."
        )


def _check_encoder(run: Run, digest: str) -> None:
    """Whether a worker has loaded the encoder of the run."""
    if digest != run.read()["common"]["encoder"]:
        raise DistributionError(
            "Every worker must load the encoder of the process that starts the run.\n"
            "Received other weights, another configuration or another tokenizer on a worker: "
            f"{digest[:16]}.\n"
            "Give a hub id with a revision, an asset, or a folder that all share."
        )
