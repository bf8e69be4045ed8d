"""A comparison as one HTML file that needs nothing else: no network, no fonts, no scripts."""

from __future__ import annotations

from pathlib import Path

import jinja2

from tf_transfer import storage
from tf_transfer.report import plots, sections, wording
from tf_transfer.report.svg import inline_svg

_COLOURS = {plots.INK: "currentColor", plots.MUTED: "var(--muted)"}
_COLOURS |= {colour: f"var(--line-{i})" for i, colour in enumerate(plots.COLOURS)}


def render(comparison, folder: str | Path) -> Path:
    """Write ``report.html``, readable offline, in print, on a phone, in light and dark mode.

    It is written under a temporary name and renamed: an older report is replaced as a whole or not at all.

    Args:
        comparison: `Comparison`.
        folder: made if it is not there.

    Returns:
        the path of the report.

    Raises:
        CheckpointError: the file cannot be written.
    """
    path = Path(folder) / "report.html"
    # Half a surrogate pair, as broken tables hold them, is no UTF-8.
    storage.write_text(path, _page(comparison).encode("utf-8", "xmlcharrefreplace").decode())
    return path


def _page(comparison) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_transfer.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        comparison=comparison,
        headline=wording.headline(comparison),
        symbols=wording.SYMBOLS,
        tally=sections.tally(comparison),
        curves=_curves(comparison),
        verdicts=sections.verdict_panels(comparison),
        results=sections.result_panels(comparison),
        leakage=sections.leakage_rows(comparison),
        leaks_dropped=sections.leaks_dropped(comparison),
        examples=sections.leakage_examples(comparison),
        costs=sections.cost_rows(comparison),
        provenance=sections.provenance(comparison),
        experiment=sections.experiment_yaml(comparison),
    )


def _curves(comparison) -> list[tuple[str, str, str]]:
    """Target, task and the plot, as markup."""
    curves = []
    for target in comparison.targets:
        for task in comparison.tasks:
            what = f"{wording.metric_name(comparison.metrics[task.name])} of {task.name} on {target}"
            figure = plots.learning_curve(comparison, target, task.name)
            description = f"Learning curves: {what} against the label budget, a line a strategy."
            svg = inline_svg(figure, f"curve-{len(curves)}", description, _COLOURS)
            curves.append((target, task.name, svg))
    return curves
