"""Which files of a run folder can be used, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from tf_transfer.errors import CheckpointError
from tf_transfer.experiments.array_files import AGAIN
from tf_transfer.experiments.run_checks import truth_misfit
from tf_transfer.experiments.runs import Cell, Run
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task


def usable_targets(
    run: Run, names: Iterable[str], tasks: Sequence[Task]
) -> tuple[dict[str, tuple], list[str]]:
    """What `Run.read_target` gives for each target, and a sentence for each that cannot be read or
    does not fit.

    Args:
        tasks: resolved.
    """
    targets, problems = {}, []
    for name in names:
        try:
            content = run.read_target(name)
        except CheckpointError as error:
            problems.append(f"target {name}, with all its cells: {error}")
            continue
        misfit = truth_misfit(*content[:2], tasks)
        if misfit:
            problems.append(f"target {name}, with all its cells: its file {misfit}.\n{AGAIN}")
        else:
            targets[name] = content
    return targets, problems


def usable_cells(
    run: Run, cells: Iterable[Cell], tasks: Sequence[Task], targets: dict[str, tuple]
) -> tuple[dict[Cell, tuple[dict, dict]], list[str]]:
    """What `Run.read_cell` gives for each cell, and a sentence for each that cannot be read or does
    not fit.

    Cells without a file share one sentence: of a run that was stopped there may be hundreds.

    Args:
        tasks: resolved.
        targets: as `usable_targets` gives them; scores must be of the same rows.
    """
    planned = list(cells)
    found, problems, absent = {}, [], []
    for cell in planned:
        try:
            content = run.read_cell(cell)
        except CheckpointError as error:
            (problems if os.path.lexists(run.path(cell)) else absent).append(f"{cell}: {error}")
            continue
        truth = targets[cell.target][0]
        misfit = _misfit(content[0], tasks, truth) or _misfit(run.read_frozen(cell), tasks, truth)
        if misfit:
            problems.append(f"{cell}: {run.path(cell)} {misfit}")
        else:
            found[cell] = content
    if len(absent) > 1:
        absent = [f"{len(absent)} of {len(planned)} cells are missing.\nThe first: {absent[0]}"]
    return found, problems + absent


def seeds_note(planned: Sequence[int], used: Collection[int]) -> str:
    """Which seeds a comparison had to leave out; empty when none."""
    missing = [str(seed) for seed in planned if seed not in used]
    return f"without seed {', '.join(missing)}, which one of the two lacks" if missing else ""


def _misfit(scores: dict[str, np.ndarray], tasks: Sequence[Task], truth: dict) -> str:
    """What is wrong with a cell's scores; empty when nothing is."""
    for task in (t for t in tasks if t.name in scores and t.name in truth):
        rows = len(truth[task.name][0])
        expected = kind_of(task).answer_shape(task, rows)
        given = scores[task.name]
        if given.shape != expected or given.dtype.kind != "f":
            return (
                f"must hold scores of {task.name} of shape {expected} for the {rows} test rows.\n"
                f"Received {given.dtype} of shape {given.shape}.\nDelete the file and run the "
                "experiment again."
            )
        bad = np.flatnonzero(~np.isfinite(given.reshape(rows, -1)).all(1)) if rows else ()
        if len(bad):
            return (
                f"must hold finite scores of {task.name}.\nReceived {given[bad[0]]} in row "
                f"{bad[0]} ({len(bad)} such "
                "rows): the model has diverged.\nDelete the file, and run the experiment again "
                "with a lower learning "
                "rate."
            )
        fault = kind_of(task).answer_fault(given)
        if fault:
            return (
                f"must hold {fault} of {task.name}.\nReceived scores from {given.min():.4g} to "
                f"{given.max():.4g}."
                "\nDelete the file and run the experiment again."
            )
    return ""
