"""Which files of a run folder can be used, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from tf_transfer.errors import CheckpointError, first_line
from tf_transfer.experiments.array_files import AGAIN
from tf_transfer.experiments.run_checks import truth_misfit
from tf_transfer.experiments.runs import Cell, Run
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.answers import Answers
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
        try:
            truth, groups, leakage = content
            labels = unpacked({task: y for task, (y, _) in truth.items()}, tasks)
            truth = {task: (labels[task], present) for task, (_, present) in truth.items()}
            misfit = truth_misfit(truth, groups, tasks)
        except ValueError as error:
            misfit = f"must hold labels of the tasks; {first_line(error)}"
        if misfit:
            problems.append(f"target {name}, with all its cells: its file {misfit}.\n{AGAIN}")
        else:
            targets[name] = truth, groups, leakage
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
    usable, problems, absent = {}, [], []
    for cell in planned:
        try:
            content = run.read_cell(cell)
        except CheckpointError as error:
            (problems if os.path.lexists(run.path(cell)) else absent).append(f"{cell}: {error}")
            continue
        truth = targets[cell.target][0]
        try:
            scores = unpacked(content[0], tasks)
            frozen = unpacked(run.read_frozen(cell), tasks)
            misfit = _misfit(scores, tasks, truth) or _misfit(frozen, tasks, truth)
        except ValueError as error:
            misfit = f"holds other scores than the tasks have: {first_line(error)}\n{AGAIN}"
        if misfit:
            problems.append(f"{cell}: {run.path(cell)} {misfit}")
        else:
            usable[cell] = scores, content[1]
    if len(absent) > 1:
        absent = [f"{len(absent)} of {len(planned)} cells are missing.\nThe first: {absent[0]}"]
    return usable, problems + absent


def unpacked(stored: Mapping[str, object], tasks: Iterable[Task]) -> dict[str, Answers]:
    """Labels or answers by task, from what a file holds of them; what no task has stays as it is.

    Raises:
        ValueError: a task has others.
    """
    known = {task.name: kind_of(task) for task in tasks}
    return {
        name: known[name].unpack(values) if name in known else values
        for name, values in stored.items()
    }


def seeds_note(planned: Sequence[int], used: Collection[int]) -> str:
    """Which seeds a comparison had to leave out; empty when none."""
    missing = [str(seed) for seed in planned if seed not in used]
    return f"without seed {', '.join(missing)}, which one of the two lacks" if missing else ""


def _misfit(scores: dict[str, Answers], tasks: Sequence[Task], truth: dict) -> str:
    """What is wrong with a cell's scores; empty when nothing is."""
    for task in (t for t in tasks if t.name in scores and t.name in truth):
        rows = len(truth[task.name][0])
        misfit = kind_of(task).answer_misfit(task, scores[task.name], rows)
        if misfit:
            return f"must hold {misfit}"
    return ""
