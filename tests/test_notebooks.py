"""Every notebook runs from top to bottom, at small settings."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
INTENTS = str(ROOT / "data" / "intents.csv")
SMALL = {
    "01_quickstart": "ROWS, EPOCHS, SOURCE_ROWS, BUDGETS, SEEDS = 64, 1, 64, [8], 1",
    "02_meta_learning": f"SINE_STEPS, META_STEPS, EPISODES, INNER, INTENTS = 20, 2, 2, [0, 2], {INTENTS!r}",
    "03_did_transfer_help": "SOURCE_ROWS, BUDGETS, SEEDS = 64, [8, 16], 2",
    "04_tune": "SOURCE_ROWS, TRIALS, FOLDS, REPEATS, SEEDS = 32, 2, 2, 1, 1",
    "06_your_own_data": "CSV, TEXT, LABEL, GROUP, EPOCHS, BUDGETS, SEEDS = "
    f"{INTENTS!r}, 'text', 'domain', 'intent', 1, [12], 1",
    "05_tpu_colab": "ROWS, EPOCHS, BATCH, META_STEPS = 64, 1, 16, 1",
}
SHOWN = {
    "01_quickstart": ("target_only", "f1_macro", "image/png"),
    "02_meta_learning": ("proto_net", "diverged", "image/png"),
    "06_your_own_data": ("f1_macro", "gain in macro F1", "saved_model.pb", "says the same: True", "image/png"),
    "03_did_transfer_help": ("minimum_effect", "censored", "rare words", "report.md", "image/png"),
    "04_tune": ("completed", "learning_rate", "tuned", "image/png"),
    "05_tpu_colab": (),
}
"""What the outputs of each must hold."""


def test_every_notebook_has_small_settings():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_walk_is_stored_with_its_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    shown = "".join(str(output) for cell in cells for output in cell.outputs)
    assert all(text in shown for text in SHOWN[name])
    assert all(cell.execution_count == number for number, cell in enumerate(cells, 1))
    assert len(shown) < 300_000 and "stderr" not in shown


QUICK = {"01_quickstart", "06_your_own_data"}
"""Those of `pytest`; CI executes them all."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in sorted(SMALL)]
)
def test_executes(name, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (settings,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for parameter in SMALL[name].split(" = ")[0].split(", "):
        assert f"{parameter} = " in settings.source
    settings.source = SMALL[name]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(str(output.get("data", "")) for output in outputs)
    assert all(text in shown for text in SHOWN[name])
