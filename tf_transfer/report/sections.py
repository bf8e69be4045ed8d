"""The sections of a report in the order in which they are read, and what stands where one is missing."""

from __future__ import annotations

from tf_transfer.report import (
    detail_sections as details,
    record_sections as records,
    score_sections as scores,
    verdict,
    verdict_sections as verdicts,
)
from tf_transfer.report.blocks import Report, Section, Text
from tf_transfer.report.readings import Missing

SECTIONS = (
    ("differences", "Differences", verdicts.differences),
    ("curves", "Learning curves", scores.curves),
    ("worth", "What transfer is worth in labels", verdicts.worth),
    ("results", "Scores", scores.scores),
    ("confusions", "Confusion matrices", scores.confusions),
    ("calibration", "Calibration", scores.calibration),
    ("slices", "Where it helped and hurt", details.slices),
    ("rows", "Rows mended and broken", details.changed_rows),
    ("sources", "What each source adds", details.sources),
    ("leakage", "Leakage audit", records.leakage),
    ("costs", "Cost", records.costs),
    ("provenance", "Data and versions", records.provenance),
    ("reproduce", "How to reproduce", records.reproduce),
    ("unusable", "What could not be used", records.unusable),
)


def build(comparison) -> Report:
    """Everything that a report says of a comparison, in no format yet."""
    left_out = len(comparison.unusable)
    cells = f"{left_out} cell{'s' if left_out > 1 else ''}"
    return Report(
        title=comparison.name,
        **verdict.overall(comparison),
        sentence=verdict.headline(comparison),
        opening=verdicts.opening(comparison),
        warning=f"{cells} of this run could not be used." if left_out else "",
        sections=tuple(_section(comparison, *section) for section in SECTIONS),
    )


def _section(comparison, name: str, title: str, make) -> Section:
    try:
        return make(comparison)
    except Missing as reason:
        return Section(name, title, (Text(str(reason)),))
