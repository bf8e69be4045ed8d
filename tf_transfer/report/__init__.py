"""What a person looks at: a comparison as one HTML page and as Markdown, and its plots."""

from __future__ import annotations

from pathlib import Path

from tf_transfer.experiments.results import Results
from tf_transfer.files import storage
from tf_transfer.report.html import to_html
from tf_transfer.report.markdown import to_markdown
from tf_transfer.report.sections import build
from tf_transfer.report.verdict import headline

__all__ = ["build", "headline", "render", "to_html", "to_markdown"]


def render(comparison: Results, folder: str | Path) -> Path:
    """Writes ``report.html``, readable offline, in print, on a phone, in light and dark mode, and
    ``report.md``.

    Each is written under a temporary name and renamed: an older report is replaced as a whole or
    not at all.

    Args:
        comparison: `Comparison`.
        folder: made if it is not there.

    Returns:
        the path of ``report.html``.

    Raises:
        CheckpointError: a file cannot be written.
    """
    report = build(comparison)
    pages = {"report.html": to_html(report), "report.md": to_markdown(report)}
    for name, text in pages.items():
        storage.write_text(Path(folder) / name, text)
    return Path(folder) / "report.html"
