"""What few-shot episodes ask of a kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pandas as pd


class FewShot:
    """The part of a `Kind` that its episodes are made by; for the arguments see there.

    Attributes:
        episodes: what few-shot episodes are made of: ``"classes"``, of which some are drawn and
            numbered anew; ``"types"``, likewise, of which a row may have several; ``"rows"``; or
            None where there are none.
    """

    episodes: ClassVar[Literal["classes", "types", "rows"] | None] = None

    @property
    def draws_classes(self) -> bool:
        """Whether few-shot episodes are of some classes, numbered anew."""
        return self.episodes in ("classes", "types")

    def counts_by_row(self, task, y) -> np.ndarray:
        """(rows, classes) int: how often each row has each class, where ``episodes`` are of
        types.
        """
        raise NotImplementedError

    def renumbered(self, column: pd.Series, numbers: Mapping) -> pd.Series:
        """A column of labels in which classes have other names, where ``episodes`` are of types.

        Args:
            numbers: the new name of each class, by its name as text.
        """
        raise NotImplementedError

    def renumbered_targets(self, targets: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """`targets` of tokens in which classes have other numbers, where ``episodes`` are of
        types.

        Args:
            numbers: (classes,) int, the new number of each class.
        """
        raise NotImplementedError

    def stand_ins(self, task) -> list[int] | None:
        """(outputs,): of each output the one whose examples it takes where it has none of its own;
        None where there are none that could.
        """
        return None
