"""The sections of a report in the order in which they are read, and what stands where one is
missing.
"""

from __future__ import annotations

from tf_transfer.experiments.results import Results
from tf_transfer.report import (
    advice_section,
    detail_sections,
    fairness_section,
    record_sections,
    score_sections,
    verdict,
    verdict_sections,
)
from tf_transfer.report.blocks import Report, Section, Text
from tf_transfer.report.readings import Missing

SECTIONS = (
    ("differences", "Differences", verdict_sections.differences),
    ("fairness", fairness_section.TITLE, fairness_section.fairness),
    ("curves", "Learning curves", score_sections.curves),
    ("worth", "What transfer is worth in labels", verdict_sections.worth),
    ("results", "Scores", score_sections.scores),
    ("confusions", "Confusion matrices", score_sections.confusions),
    ("calibration", "Calibration", score_sections.calibration),
    ("slices", "Where it helped and hurt", detail_sections.slices),
    ("rows", "Rows mended and broken", detail_sections.changed_rows),
    ("sources", "What each source adds", detail_sections.sources),
    ("advice", "How the advice fared", advice_section.advice),
    ("leakage", "Leakage audit", record_sections.leakage),
    ("costs", "Cost", record_sections.costs),
    ("provenance", "Data and versions", record_sections.provenance),
    ("reproduce", "How to reproduce", record_sections.reproduce),
    ("unusable", "What could not be used", record_sections.unusable),
)


def build(comparison: Results) -> Report:
    """Everything that a report says of a comparison, in no format yet."""
    left_out = comparison.lost_cells
    cells = f"{left_out} cell{'s' if left_out > 1 else ''}"
    return Report(
        title=comparison.name,
        **verdict.overall(comparison),
        sentence=verdict.headline(comparison),
        opening=verdict_sections.opening(comparison),
        warning=f"{cells} of this run could not be used." if left_out else "",
        sections=tuple(filter(None, (_section(comparison, *section) for section in SECTIONS))),
    )


def _section(comparison: Results, name: str, title: str, make) -> Section | None:
    try:
        return make(comparison)
    except Missing as reason:
        return Section(name, title, (Text(str(reason), quiet=True),))
