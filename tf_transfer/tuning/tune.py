"""`tune`: search for better arguments of an experiment's strategies, on validation rows alone."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from tf_transfer import __version__
from tf_transfer.experiments.experiment import Experiment, load_experiment
from tf_transfer.progress import DONE, Say, progress
from tf_transfer.tuning.plan import Plan
from tf_transfer.tuning.records import Records
from tf_transfer.tuning.result import TuneResult
from tf_transfer.tuning.space import SearchSpace, declare


def tune(
    experiment: Experiment | Mapping | str | Path,
    output: str | Path | None = None,
    *,
    verbose: int | str = "auto",
    say: Say | None = None,
    **options,
) -> TuneResult:
    """Searches for the best strategy and arguments for one target and label budget.

    Which strategy, its arguments and the encoder's settings vary from trial to trial as
    keras-tuner's oracle proposes. A trial's score is the mean over repeated k-fold of the target's
    labelled rows (or over seeds, or over sources that play the target; see `TuneSpec`), with an
    interval. All trials are measured on the same folds with the same seeds, and one that cannot
    become the best ends early; see `scores.cannot_reach`. Test rows decide
    nothing: their texts are read by the leakage audit alone, their labels by nobody. The best of
    many scores is flattered by having been chosen: what the strategy is worth, `compare` tells,
    from the test rows. When the search is over, the winner's strategy untuned, and the winner
    without the source, are measured as it was; see `TuneResult.beside`.

    The same experiment, options and seed give the same trials and the same best, also when the
    search was killed and started again with the same folder. Several processes can share a search;
    see `TransferTuner`.

    Args:
        experiment: see `load_experiment`; its ``tune:`` says how to search.
        output: folder that keeps every measurement as soon as it is made; a search that was stopped
            goes on from there, and more ``trials`` prolong one that had ended. None: a temporary
            folder.
        verbose: 1 or ``"auto"`` shows progress on standard error, as in Keras; 0 shows nothing.
        say: called instead with what goes on, and the numbers of trials done and in all.
        options: other values for keys of ``tune:``, such as ``trials=30`` or ``oracle="random"``;
            see `TuneSpec`.

    Raises:
        DataError: the experiment, its space or its data cannot be used (before anything is
            trained), the folder holds another search, or no trial was valid.
        CheckpointError: the folder cannot be written or is damaged.
    """
    experiment = load_experiment(experiment)
    experiment = experiment.model_copy(update={"tune": experiment.tune.changed(options)})
    space = SearchSpace.of(experiment)
    plan = Plan.of(experiment)
    folder = Path(output if output is not None else tempfile.mkdtemp(prefix="tf_transfer-tune-"))
    with contextlib.nullcontext(say) if say or not verbose else progress() as say:
        say = say or _silent
        say("reading data", 0, 0)
        trials, total = _search(experiment, space, plan, Records(folder), say)
        result = TuneResult(folder, experiment, plan).save()
        if trials is not None:
            trials.stand_beside(result.best_trial)
        say(DONE, len(result.outcomes), total)
    return result


def _search(experiment, space: SearchSpace, plan: Plan, records: Records, say):
    """Runs the trials. Returns what ran them, or None in a worker, whose chief ends the search; and
    their number.
    """
    from tf_transfer.tuning.bench import Bench  # TensorFlow from here on
    from tf_transfer.tuning.trials import Trials

    bench = Bench(experiment, plan)
    common = plan.common | {
        "encoder": bench.encoder_hash,
        "tf_transfer": __version__,
        "space": space.to_plain(),
    }
    common |= experiment.tune.model_dump(include=_IDENTITY) | {
        "oracle's options": experiment.tune.options
    }
    import keras_tuner  # after TensorFlow, whose start-up notes `backend` holds back
    from keras_tuner.errors import FatalError

    from tf_transfer.tuning.oracles import make_oracle, trials_of
    from tf_transfer.tuning.tuner import TransferTuner, is_worker

    total = trials_of(experiment.tune)
    trials = Trials(
        space,
        plan,
        bench,
        records,
        experiment.tune.early_stop,
        lambda what: say(what, len(records.outcomes()), total),
    )
    if not is_worker():
        records.start(common)
    hyperparameters = keras_tuner.HyperParameters()
    declare(space, hyperparameters, lambda label, field: bench.auto(space.strategies[label], field))
    oracle = make_oracle(experiment.tune, plan.objective, plan.sign, hyperparameters)
    tuner = TransferTuner(
        oracle, trials, records.folder, lambda: records.check(common, "the chief's")
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="All-NaN", category=RuntimeWarning)
            tuner.search()
    except FatalError as error:
        raise error.__cause__ or error from None
    trials.check()
    return None if is_worker() else trials, total


_IDENTITY = {"validation", "folds", "repeats", "holdout", "early_stop", "oracle", "seed"}
"""What of `TuneSpec` must be equal for a search to go on, beside what `Plan` and `SearchSpace`
hold.
"""


def _silent(what: str, done: int, of: int) -> None:
    pass
