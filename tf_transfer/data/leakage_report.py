"""What a leakage audit has found: counts, examples, and tables without the rows that are in the
test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, check_choice

KINDS = ("identical", "exact", "near")
"""Strongest first. Each row counts under its strongest kind.

``identical``: the same characters. ``exact``: the same letters, digits and emoji after Unicode
NFKC; case, spaces and punctuation do not count, so *It's fine!* equals *it 's fine*. ``near``: the
sets of all runs of five such characters have a Jaccard similarity of at least ``near``, with every
number taken for the same one.
"""


@dataclasses.dataclass(frozen=True)
class Overlap:
    """What one table shares with the test table.

    Args:
        rows, test_rows: int, sizes of the two tables.
        tested: a row for each test row known from the table: ``test_row``, ``row`` (its best
            match), ``kind``, ``similarity`` (1 unless near), ``matches`` (how many rows match),
            ``conflict`` (an exact match has another label), ``test_text``, ``text``.
            Rows are counted from 0.
        leaked: a row for each row of the table that is in the test: ``row``, ``kind``.
        spans: int, labelled spans of the test rows, as named entities; 0 where labels are none.
        known_spans: int, those of them whose text, in lower case, is a labelled span of the table.
            They are no leak: the same names occur in new sentences.
    """

    rows: int
    test_rows: int
    tested: pd.DataFrame
    leaked: pd.DataFrame
    spans: int = 0
    known_spans: int = 0

    def counts(self) -> dict[str, int | float]:
        """The columns of `LeakageReport.to_frame`."""
        kinds = self.tested["kind"].value_counts()
        of_spans = {"spans": self.spans, "known_spans": self.known_spans} if self.spans else {}
        identical, exact, near = (int(kinds.get(kind, 0)) for kind in KINDS)
        return {
            "test_rows": self.test_rows,
            "identical": identical,
            "exact": identical + exact,
            "near": near,
            "known": len(self.tested),
            "share": len(self.tested) / self.test_rows,
            "conflicts": int(self.tested["conflict"].sum()),
            "rows": self.rows,
            "rows_to_drop": len(self.leaked),
            **of_spans,
        }


@dataclasses.dataclass(frozen=True)
class LeakageReport:
    """Test rows known from the training table and from each source table.

    Args:
        overlaps: `Overlap` by table name: ``"train"`` and the names of the sources.
        near: least similarity of near duplicates, None where they were not looked for.
    """

    overlaps: Mapping[str, Overlap]
    near: float | None

    @property
    def found(self) -> bool:
        """Whether any test row is known."""
        return any(len(overlap.tested) for overlap in self.overlaps.values())

    def to_frame(self) -> pd.DataFrame:
        """A row for each table: ``test_rows``; of them ``identical``, ``exact`` (identical ones
        included), ``near``, ``known`` (exact and near), ``share`` (known, in [0, 1]) and
        ``conflicts`` (an exact match has another label); ``rows`` of the table, ``rows_to_drop``.
        Where labels are spans also ``spans`` of the test, and ``known_spans``, those of them whose
        text is a span of the table too.
        """
        return pd.DataFrame.from_dict(
            {name: overlap.counts() for name, overlap in self.overlaps.items()}, orient="index"
        )

    def examples(self, most: int = 3) -> pd.DataFrame:
        """Up to ``most`` known test rows of each kind and table; columns of `Overlap.tested`."""
        parts = [
            overlap.tested.groupby("kind", sort=False).head(most).assign(table=name)
            for name, overlap in self.overlaps.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def to_dict(self, examples: int = 3) -> dict:
        """All counts and row numbers and some examples, as plain types for JSON."""
        tables = {
            name: overlap.counts()
            | {
                "known_test_rows": overlap.tested["test_row"].tolist(),
                "leaked_rows": overlap.leaked["row"].tolist(),
            }
            for name, overlap in self.overlaps.items()
        }
        return {
            "near": self.near,
            "tables": tables,
            "examples": self.examples(examples).to_dict("records"),
        }

    def drop(
        self, table: pd.DataFrame, name: str = "train", kinds: Collection[str] = KINDS
    ) -> pd.DataFrame:
        """``table`` without its rows that are in the test; ``to_frame()`` says how many
        (rows_to_drop).

        The test table is never cut: scores stay comparable with other work.

        Args:
            table: the table that was audited, training or source.
            name: its name in the report.
            kinds: only leaks of these `KINDS`.

        Raises:
            DataError: an unknown name or kind, or not the table that was audited.
        """
        check_choice("A table of the report", name, self.overlaps)
        for kind in kinds:
            check_choice("A kind of leak", kind, KINDS)
        overlap = self.overlaps[name]
        if len(table) != overlap.rows:
            raise DataError(
                f"Rows can be dropped only from the table that was audited as {name!r}, which has "
                f"{overlap.rows} rows.\nReceived a table of {len(table)} rows."
            )
        kept = np.ones(len(table), bool)
        kept[overlap.leaked["row"][overlap.leaked["kind"].isin(list(kinds))]] = False
        return table[kept].reset_index(drop=True)

    def __str__(self) -> str:
        lines = [_sentence(name, overlap.counts()) for name, overlap in self.overlaps.items()]
        for example in self.examples(1).itertuples():
            lines += [
                f"  {example.kind} ({example.similarity:.2f}): test row {example.test_row} "
                f"{_shorten(example.test_text)!r}",
                f"    {example.table} row {example.row} {_shorten(example.text)!r}",
            ]
        return "\n".join(lines)


def _sentence(name: str, counts: dict) -> str:
    known = (
        f"{name}: {counts['known']} of {counts['test_rows']} test rows are known "
        f"({counts['share']:.1%}): {counts['exact']} exact ({counts['identical']} identical), "
        f"{counts['near']} near"
    )
    if counts["conflicts"]:
        known += f", {counts['conflicts']} with another label"
    of_spans = ""
    if counts.get("spans"):
        share = counts["known_spans"] / counts["spans"]
        of_spans = (
            f" {counts['known_spans']} of {counts['spans']} test spans are known ({share:.1%})."
        )
    return known + f". {counts['rows_to_drop']} of {counts['rows']} rows to drop." + of_spans


def _shorten(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
