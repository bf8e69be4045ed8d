"""What an experiment will do and can show, in sentences, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tf_transfer.errors import listed
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.prepared import Prepared, draw_support
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.statistics.power import expected_effect


def plan(experiment: Experiment, data: Prepared) -> list[str]:
    """What the data allow, and what each strategy will do where they lack something.

    Args:
        experiment: a checked `Experiment`.
        data: its tables.
    """
    return [
        *_trained(experiment),
        *_shown(experiment, data),
        *_lacking(experiment, data),
        *_budgets(experiment, data),
    ]


def _trained(experiment: Experiment) -> Iterator[str]:
    added = [label for label in experiment.compared if label not in experiment.strategies]
    if added:
        yield f"Added, to compare the others with: {', '.join(added)}."
    for twin, first in experiment.twins.items():
        yield f"{twin} is the same training as {first} here: it is trained once and counts once."


def _shown(experiment: Experiment, data: Prepared) -> Iterator[str]:
    """What differences so many rows and seeds can tell from chance."""
    seeds = len(experiment.seeds)
    for name, target in data.targets.items():
        for task in (t for t in data.tasks if t.name in target.truth):
            metric = experiment.primary_metric(task)
            present = target.truth[task.name][1]
            units = (
                int(present.sum())
                if target.groups is None
                else len(np.unique(target.groups[present]))
            )
            effect = expected_effect(metric, units, seeds)
            if effect is not None:
                yield (
                    f"{name}: {units:,} test {'rows' if target.groups is None else 'groups'} and "
                    f"{seeds} seed{'s' if seeds > 1 else ''} will show differences in {metric} of "
                    f"{task.name} of about ±{effect:.1g}."
                )


def _lacking(experiment: Experiment, data: Prepared) -> Iterator[str]:
    """Tasks and classes of the targets that no source teaches."""
    learning = {label: s for label, s in experiment.compared.items() if s.uses_source}
    if not learning:
        return
    for task in data.tasks:
        taught = _taught(task, data)
        for name, target in data.targets.items():
            own = target.classes.get(task.name)
            if task.name not in target.truth:
                continue
            if taught is None:
                what = "lacks_labels"
                yield (
                    f"No source has labels of {task.name}, a task of target "
                    f"{name}.{_what_each_does(learning, what)}"
                )
            elif own is not None and (own & ~taught).any():
                unknown = [task.classes[i] for i in np.flatnonzero(own & ~taught)]
                yield (
                    f"{len(unknown)} of the {int(own.sum())} classes of {task.name} on target "
                    f"{name} occur in no source: "
                    f"{listed(unknown)}.{_what_each_does(learning, 'lacks_classes')}"
                )


def _taught(task: Task, data: Prepared) -> np.ndarray | None:
    """(classes,) bool: which classes the sources have labels of, [True] of a number; None where
    there is no label.
    """
    known = np.zeros(max(len(task.classes), 1), bool)
    for table in data.sources.values():
        y, present = task.encode(table)
        y = y[present]
        if len(y):
            known |= kind_of(task).occurring(task, y)
    return known if known.any() else None


def _what_each_does(strategies: dict, what: str) -> str:
    """What strategies do about it, those that do the same in one sentence."""
    together: dict[str, list[str]] = {}
    for label, strategy in strategies.items():
        together.setdefault(getattr(strategy, what), []).append(label)
    return "".join(
        f" {', '.join(labels)}: {sentence}." for sentence, labels in together.items() if sentence
    )


def _budgets(experiment: Experiment, data: Prepared) -> Iterator[str]:
    """Budgets that hold no label of a task, not one of every class, or those of one class alone."""
    for name, target in data.targets.items():
        for task in (t for t in data.tasks if t.name in target.truth):
            drawn = list(_drawn(task, experiment, name, target.train))
            bare = [place for place, labels in drawn if not len(labels)]
            if bare:
                yield (
                    f"{task.name} on target {name} has no label with {listed(bare)}. There only a "
                    "source can have taught what is answered."
                )
            if not kind_of(task).one_class:
                continue
            classes = int(target.classes[task.name].sum())
            small = [budget for budget in experiment.budgets if budget < classes]
            if small:
                yield (
                    f"A budget of {', '.join(map(str, small))} is below the {classes} classes of "
                    f"{task.name} on target {name}: what has no label and no source is never "
                    "answered."
                )
            single = [place for place, labels in drawn if len(np.unique(labels)) == 1]
            if single:
                yield (
                    f"{task.name} on target {name}: all labels are of one class with "
                    f"{listed(single)}. Without a source that class is always answered."
                )


def _drawn(
    task: Task, experiment: Experiment, name: str, train: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray]]:
    """The labels that each budget and seed buys, with words for the place."""
    for budget in experiment.budgets:
        for seed in experiment.seeds:
            y, present = task.encode(draw_support(train, name, budget, seed))
            yield f"{budget} labels, seed {seed}", y[present]
