"""The bridge to keras-tuner: its search loop, its oracles and its chief and workers, on our
trials.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable
from pathlib import Path

from keras_tuner import errors
from keras_tuner.engine.base_tuner import BaseTuner

from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.files.storage import write_text
from tf_transfer.files.untrusted import check_folder
from tf_transfer.tuning.trials import Trials


def is_worker() -> bool:
    """Whether another process, the chief, hands out the trials.

    Raises:
        DataError: the environment says where the chief is, but not all that belongs to it.
    """
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return False
    for name in ("KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"):
        if name not in os.environ:
            raise DataError(
                "A shared search needs KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT and "
                f"KERASTUNER_TUNER_ID in the environment.\nReceived no {name}.\nSet it, or unset "
                "KERASTUNER_ORACLE_IP to search alone."
            )
    return "chief" not in os.environ["KERASTUNER_TUNER_ID"]


class TransferTuner(BaseTuner):
    """keras-tuner's tuner, whose trials are measured by `Trials` and touch no Keras model of
    keras-tuner's.

    Several processes share a search as keras-tuner has it: started alike on the same experiment and
    folder, with ``KERASTUNER_TUNER_ID`` (``chief`` in one of them, another name in each worker),
    ``KERASTUNER_ORACLE_IP`` and ``KERASTUNER_ORACLE_PORT`` (where the chief listens) in their
    environments. The chief hands out trials; the workers run them.

    Args:
        oracle: of `oracles.make_oracle`.
        trials: what runs a trial.
        folder: of the search.
        ready: called in a worker when the chief has answered, before its first trial.

    Raises:
        CheckpointError: what an earlier search left in the folder cannot be read.
    """

    def __init__(self, oracle, trials: Trials, folder: Path, ready: Callable[[], None]):
        self.trials, self._ready, folder = trials, ready, folder.resolve()
        state = folder / "oracle.json"
        if state.exists():
            # keras-tuner goes on where it finds this file, which it writes only when the first
            # trial has ended.
            write_text(folder / f"{os.environ.get('KERASTUNER_TUNER_ID', 'tuner0')}.json", "{}")
        try:
            check_folder(folder)
            with contextlib.redirect_stdout(io.StringIO()):  # "Reloading Tuner from ..."
                super().__init__(oracle, directory=str(folder.parent), project_name=folder.name)
        except (ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"{state} or a trial_*/trial.json beside it is damaged: {error}\n"
                "Delete oracle.json: the trials are run again, from the measurements that are kept."
            ) from None

    def save(self) -> None:
        """Writes the state whole or not at all."""
        if not self._is_worker():
            self.oracle.save()
        write_text(Path(self.project_dir) / f"{self.tuner_id}.json", "{}")

    def on_search_begin(self) -> None:
        if self._is_worker():
            self.oracle.get_space()
            self._ready()
        else:
            self.save()

    def run_trial(self, trial) -> dict[str, float]:
        """The objective; NaN, which keras-tuner counts as failed, for a trial without a score.

        Raises:
            FatalError: with the cause, for whatever is no matter of the single trial.
        """
        try:
            reported = self.trials.run(trial.trial_id, trial.hyperparameters.values).reported
        except Exception as error:
            raise errors.FatalError(str(error)) from error
        return {self.oracle.objective.name: math.nan if reported is None else reported}

    def on_trial_end(self, trial) -> None:
        # keras-tuner prints the conditions that it sends
        with contextlib.redirect_stdout(io.StringIO()):
            super().on_trial_end(trial)
