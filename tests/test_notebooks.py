"""Every notebook runs from top to bottom, at small settings."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
INTENTS = str(ROOT / "data" / "intents.csv")
SMALL = {
    "01_quickstart": "ROWS, EPOCHS, SOURCE_ROWS, BUDGETS, SEEDS = 64, 1, 64, [8], 1",
    "02_meta_learning": "SINE_STEPS, META_STEPS, EPISODES, INNER, INTENTS = 20, 2, 2, [0, 2], "
    f"{INTENTS!r}",
    "03_did_transfer_help": "SOURCE_ROWS, BUDGETS, SEEDS = 64, [8, 16], 2",
    "04_tune": "SOURCE_ROWS, TRIALS, FOLDS, REPEATS, SEEDS = 32, 2, 2, 1, 1",
    "06_your_own_data": f"CSV, TEXT, LABEL, GROUP, EPOCHS, BUDGETS, SEEDS = {INTENTS!r}, 'text', "
    "'domain', 'intent', 1, [12], 1",
    "07_spans_and_answers": "ROWS, EPOCHS, BUDGETS, SEEDS = 60, 1, [4], 1",
    "05_tpu_colab": "ROWS, EPOCHS, BATCH, META_STEPS = 64, 1, 16, 1",
}
SHOWN = {
    "01_quickstart": ("target_only", "f1_macro", "image/png"),
    "02_meta_learning": ("proto_net", "diverged", "image/png"),
    "06_your_own_data": (
        "f1_macro",
        "gain in macro F1",
        "saved_model.pb",
        "says the same: True",
        "image/png",
    ),
    "03_did_transfer_help": ("minimum_effect", "censored", "rare words", "report.md", "image/png"),
    "04_tune": ("completed", "learning_rate", "tuned", "image/png"),
    "07_spans_and_answers": ("f1_micro", "exact_match", "says the same: True", "image/png"),
    "05_tpu_colab": ("image/png",),
}
"""What the outputs of each must show."""

PRINTED = {"05_tpu_colab": ("Found", "pearson", "mixed_bfloat16")}
"""And print."""


def test_every_notebook_has_small_settings():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_walk_is_stored_with_its_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    shown = "".join(str(output) for cell in cells for output in cell.outputs)
    assert all(text in shown for text in (*SHOWN[name], *PRINTED.get(name, ())))
    assert all(cell.execution_count == number for number, cell in enumerate(cells, 1))
    assert len(shown) < 300_000 and not any(
        noise in shown for noise in ("stderr", "WARNING", "[====", "\\r")
    )


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_walk_says_what_one_learns_and_what_to_try(name):
    first, *_, last = _cells(name)
    assert (
        re.match(r"# .+\n\nYou will learn to\n\n1\. .+\n", first.source)
        and "minutes on two cores" in first.source
    )
    heading, *points = re.split(r"\n+- ", last.source[last.source.rindex("## ") :])
    assert heading == "## What to try" and len(points) > 2


def test_the_recipe_for_colab_pins_all_that_the_package_needs():
    required = (ROOT / "setup.cfg").read_text(encoding="utf-8").partition("extras_require")[0]
    needed = {n.lower() for n in re.findall(r"^    ([\w.-]+)[<>]", required, re.MULTILINE)}
    texts = _cells("05_tpu_colab")[2].source, (ROOT / "README.md").read_text(encoding="utf-8")
    recipes = [re.findall(r"pip install -q (.+)", re.sub(r"\\\n *", "", text)) for text in texts]
    assert recipes[0] == recipes[1] and len(recipes[0]) == 2 and "keras-tuner" in needed
    pinned = set(re.findall(r"([\w-]+)==", " ".join(recipes[0]).lower()))
    assert needed - pinned == {"tensorflow", "pip", "setuptools"} and "tensorflow-tpu" in pinned


def _cells(name: str) -> list:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells


AS_TRACED = (
    "import tensorflow; "
    "tensorflow.config.optimizer.set_experimental_options({'disable_meta_optimizer': True})"
)
"""As `tests.tiny.keep_graphs`."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_executes(name, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (settings,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for parameter in SMALL[name].split(" = ")[0].split(", "):
        assert f"{parameter} = " in settings.source
    settings.source = f"{SMALL[name]}\n{AS_TRACED}"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(str(output.get("data", "")) for output in outputs)
    printed = "".join(output.get("text", "") for output in outputs)
    assert all(text in shown for text in SHOWN[name])
    assert all(text in printed for text in PRINTED.get(name, ()))
