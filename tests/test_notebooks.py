"""Every notebook runs from top to bottom, at small settings."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMALL = {
    "01_quickstart": "ROWS, EPOCHS, SOURCE_ROWS, BUDGETS, SEEDS = 64, 1, 64, [8], 1",
}


def test_every_notebook_has_small_settings():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_executes(name, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (settings,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for parameter in SMALL[name].split(" = ")[0].split(", "):
        assert f"{parameter} = " in settings.source
    settings.source = SMALL[name]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(str(output.get("data", "")) for output in outputs)
    assert "target_only" in shown and "f1_macro" in shown and "image/png" in shown
