"""Units: the parts of a run that need nothing of one another."""

from __future__ import annotations

import dataclasses

from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.runs import Cell, Run


@dataclasses.dataclass(frozen=True)
class Unit:
    """One strategy with one seed: a source training and the cells that start from it."""

    strategy: str
    seed: int

    def __str__(self) -> str:
        return f"{self.strategy}, seed {self.seed}"

    def cells(self, experiment: Experiment) -> list[Cell]:
        """Its cells, in the order in which they run."""
        return [
            Cell(target, self.strategy, budget, self.seed)
            for target in experiment.targets
            for budget in experiment.budgets
        ]


class Missing:
    """The cells of a run that are still to be computed, in the order in which they run.

    All strategies have their first seed before one has its second.

    Attributes:
        cells: they; whoever computes one takes it out.
        finished: the units that had no missing cell at the start.
        of: how many cells the whole run has.
    """

    def __init__(self, experiment: Experiment, run: Run):
        units = [Unit(label, seed) for seed in experiment.seeds for label in experiment.trained]
        planned = [cell for unit in units for cell in unit.cells(experiment)]
        self.cells = [cell for cell in planned if not run.has(cell)]
        self.of = len(planned)
        open_ = set(self.units())
        self.finished = [unit for unit in units if unit not in open_]

    @property
    def done(self) -> int:
        """How many cells are done."""
        return self.of - len(self.cells)

    def units(self) -> list[Unit]:
        """Those that the missing cells belong to, in their order."""
        return list(dict.fromkeys(Unit(cell.strategy, cell.seed) for cell in self.cells))
