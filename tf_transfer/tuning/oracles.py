"""keras-tuner's oracles, unchanged in what they search, made repeatable and safe to kill.

As they come, a search is not repeatable although a seed is given:

* seed 0 counts as none, and one is drawn;
* the Bayesian oracle's starting points for the acquisition function are drawn from a generator
  whose state is not saved, so that a search that goes on draws other trials;
* trials are read back in the order of a folder's listing, and the Gaussian process rounds
  otherwise;
* files are overwritten in place, so that a kill may leave half of one; a trial whose own file was
  written, but not yet the oracle's, is lost; one that had ended, but not yet for the oracle, is
  counted twice;
* a parallel worker hands back the trial's values as they came over the wire.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import keras_tuner
import numpy as np
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tf_transfer.devices.private import hyperband_trials
from tf_transfer.experiments.tune_spec import TuneSpec
from tf_transfer.files.storage import write_text


class Durable:
    """What the oracles lack; see the module."""

    def save(self) -> None:
        """Writes oracle.json whole or not at all."""
        write_text(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial) -> None:
        write_text(
            Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state())
        )

    def reload(self) -> None:
        """Back to the state of the last save: trials in the order of their start, those without an
        end to be run.
        """
        super().reload()
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        self._retry_queue = list(dict.fromkeys(self._retry_queue))[::-1]  # taken from its end
        self.end_order = [
            trial_id for trial_id in self.end_order if trial_id not in self._retry_queue
        ]
        for trial in (self.trials[trial_id] for trial_id in self._retry_queue):
            trial.metrics, trial.score, trial.message = type(trial.metrics)(), None, None
            self._run_times.pop(trial.trial_id, None)

    def end_trial(self, trial) -> None:
        """With the values that were handed out."""
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)


class RandomOracle(Durable, RandomSearchOracle):
    """Random search."""


class HyperOracle(Durable, HyperbandOracle):
    """Hyperband."""


class BayesianOracle(Durable, BayesianOptimizationOracle):
    """A Gaussian process with the upper confidence bound; each trial's draws are a function of seed
    and number.
    """

    def populate_space(self, trial_id):
        self._random_state = np.random.RandomState([self.seed, int(trial_id)])
        # One thread: the matrices are small, and sums must not depend on the number of cores.
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


def make_oracle(spec: TuneSpec, objective: str, sign: int, hyperparameters):
    """The oracle that a search asks for.

    Args:
        objective: its name in keras-tuner's records.
        sign: 1 where higher is better, else −1.
        hyperparameters: the space.
    """
    goal = keras_tuner.Objective(objective, "max" if sign > 0 else "min")
    common = {
        # keras-tuner takes 0 for no seed.
        "objective": goal,
        "seed": spec.seed + 1,
        "hyperparameters": hyperparameters,
        "tune_new_entries": False,
        "allow_new_entries": False,
        "max_consecutive_failed_trials": 10**9,
    }
    options = spec.options
    if spec.oracle == "hyperband":
        oracle = HyperOracle(**common, **options)
        oracle.max_trials = spec.trials
    elif spec.oracle == "bayesian":
        options |= {
            "num_initial_points": options["num_initial_points"]
            or _first_points(spec, hyperparameters)
        }
        oracle = BayesianOracle(max_trials=trials_of(spec), **common, **options)
    else:
        oracle = RandomOracle(max_trials=trials_of(spec), **common, **options)
    oracle.verbose = 0
    return oracle


def trials_of(spec: TuneSpec) -> int:
    """How many trials a search makes at most."""
    if spec.oracle != "hyperband":
        return spec.trials or 20
    probe = HyperbandOracle(keras_tuner.Objective("score", "max"), **spec.options)
    most = hyperband_trials(probe) * int(spec.options["hyperband_iterations"])
    return min(spec.trials or most, most)


def _first_points(spec: TuneSpec, hyperparameters) -> int:
    return max(3, min(3 * len(hyperparameters.space), trials_of(spec) // 3))
