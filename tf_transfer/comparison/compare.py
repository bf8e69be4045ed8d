"""Runs an experiment: strategies x targets x label budgets x seeds."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tf_transfer import __version__
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments.experiment import Experiment, load_experiment
from tf_transfer.experiments.plan import plan
from tf_transfer.experiments.pool import Pool
from tf_transfer.experiments.prepared import Prepared
from tf_transfer.experiments.provenance import identities, options, provenance
from tf_transfer.experiments.runs import Run
from tf_transfer.experiments.units import Missing
from tf_transfer.files.storage import check_output
from tf_transfer.progress import DONE, Say, progress


def compare(
    experiment: Experiment | Mapping | str | Path,
    output: str | Path | None = None,
    *,
    verbose: int | str = "auto",
    say: Say | None = None,
    note: Callable[[str], None] | None = None,
    provisional: Callable[[Comparison, int], None] | None = None,
) -> Comparison:
    """Runs every strategy on every target with every label budget and seed.

    All strategies see the same sampled labels and the same test rows; the labels of a smaller
    budget are among those of a larger one. A strategy is trained on the sources once for a seed.
    The test split of a target is predicted, and used for nothing else. All strategies have their
    first seed before one has its second.

    ``workers`` of the experiment says how many processes share the work; see `experiments.pool`.
    The results are those of one process that has as many threads, and those of any other number up
    to `MOST_THREADS`.

    Args:
        experiment: see `load_experiment`.
        output: folder that keeps every cell as soon as it is done; a run that was stopped goes on
            from there. None keeps the cells in a temporary folder.
        verbose: 1 or ``"auto"`` shows progress on standard error, as in Keras; 0 shows nothing.
        say: called instead with what goes on, and the numbers of cells done and in all; where
            several processes work, from a thread.
        note: called before training with each sentence of the plan: what each task learns, what
            will be trained, what differences can show, and what each strategy does where the data
            lack something; see `experiments.plan`.
        provisional: called with the comparison so far and its number of seeds, each time that all
            strategies have a further one, from the second to the last but one.

    Raises:
        DataError: the experiment, its data, the folder's content, or the number of workers is not
            usable; all of it is checked before anything is trained.
    """
    experiment = load_experiment(experiment)
    with contextlib.nullcontext(say) if say or not verbose else progress() as say:
        return _compare(experiment, output, say or _silent, note, provisional)


def _compare(experiment: Experiment, output, say: Say, note, provisional) -> Comparison:
    say("reading data", 0, 0)
    data = Prepared.load(experiment)
    for strategy in experiment.strategies.values():
        strategy.check_kinds(data.tasks)
    sentences = [*data.learned, *plan(experiment, data)]
    for sentence in sentences if note else ():
        note(sentence)
    run = Run(output if output is not None else Path(tempfile.mkdtemp(prefix="tf_transfer-run-")))
    from tf_transfer.experiments.runner import Runner, can_share_devices  # TensorFlow from here on

    runner = Runner(experiment, data.tasks)
    run.start(
        data.common
        | {"encoder": runner.encoder_hash, "tf_transfer": __version__}
        | options(experiment),
        identities(experiment),
        provenance(experiment, data, runner.encoder_hash) | {"before training": sentences},
    )
    run.provenance()  # what cannot be read again is told before any training
    for name, target in data.targets.items():
        rare_words = data.rare_words(experiment, name)
        kept = {"table": target.test, "rare_words": rare_words, "classes": target.classes}
        run.write_target(name, target.truth, target.groups, target.leakage, **kept)
    missing = Missing(experiment, run)
    for unit in missing.finished:
        run.drop_fitted(unit.strategy, unit.seed)  # a process may have been killed before it did
    for cell in missing.cells:
        check_output(run.path(cell))
    units = missing.units()
    does = runner
    if experiment.workers != 1 and units:
        pool = Pool(experiment, units, runner.needed_gb(), can_share_devices(), note)
        if note:
            note(pool.sentence)
        does = pool if pool.count > 1 else runner
    open_ = set(units)
    for unit in does.run(run, data, units, say):
        open_.remove(unit)
        seeds = [seed for seed in experiment.seeds if all(u.seed != seed for u in open_)]
        if provisional and unit.seed in seeds and 2 <= len(seeds) < len(experiment.seeds):
            provisional(Comparison(run, seeds=seeds), len(seeds))
    say(DONE, missing.of, missing.of)
    return Comparison(run)


def _silent(what: str, done: int, of: int) -> None:
    pass
