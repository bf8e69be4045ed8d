"""Runs an experiment: strategies x targets x label budgets x seeds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tf_transfer import __version__
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments.experiment import Experiment, load_experiment
from tf_transfer.experiments.plan import plan
from tf_transfer.experiments.prepared import Prepared
from tf_transfer.experiments.provenance import identities, options, provenance
from tf_transfer.experiments.runs import Run


def compare(
    experiment: Experiment | Mapping | str | Path, output: str | Path | None = None, *,
    say: Callable[[str, int, int], None] | None = None, note: Callable[[str], None] | None = None,
) -> Comparison:  # fmt: skip
    """Runs every strategy on every target with every label budget and seed.

    All strategies see the same sampled labels and the same test rows; the labels of a smaller
    budget are among those of a larger one. A strategy is trained on the sources once for a seed.
    The test split of a target is predicted, and used for nothing else.

    Args:
        experiment: see `load_experiment`.
        output: folder that keeps every cell as soon as it is done; a run that was stopped goes on
            from there. None keeps the cells in a temporary folder.
        say: called with what goes on, and the numbers of cells done and in all.
        note: called before training with each sentence of the plan: what each task learns, what will be trained,
            what differences can show, and what each strategy does where the data lack something; see
            `experiments.plan`.

    Raises:
        DataError: the experiment, its data, or the folder's content is not usable; all of it is
            checked before anything is trained.
    """
    experiment = load_experiment(experiment)
    say = say or _silent
    data = Prepared.load(experiment)
    sentences = [*data.learned, *plan(experiment, data)]
    for sentence in sentences if note else ():
        note(sentence)
    run = Run(output if output is not None else Path(tempfile.mkdtemp(prefix="tf_transfer-run-")))
    from tf_transfer.experiments.runner import Runner  # TensorFlow from here on

    runner = Runner(experiment, data.tasks)
    run.start(
        data.common | {"encoder": runner.encoder_hash, "tf_transfer": __version__} | options(experiment),
        identities(experiment),
        provenance(experiment, data, runner.encoder_hash) | {"before training": sentences},
    )
    run.provenance()  # what cannot be read again is told before any training
    for name, target in data.targets.items():
        rare_words = data.rare_words(experiment, name)
        kept = {"table": target.test, "rare_words": rare_words, "classes": target.classes}
        run.write_target(name, target.truth, target.groups, target.leakage, **kept)
    runner.run(run, data, say)
    return Comparison(run)


def _silent(what: str, done: int, of: int) -> None:
    pass
