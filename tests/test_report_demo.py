"""The report of an experiment of the demo's shape: the demo's own file, invented tables and
predictions.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

import tf_transfer.command_line.demo
from tests.experiments import make_table
from tests.report_page import Page, lacking
from tests.test_report import ORDER
from tf_transfer.comparison.compare import compare
from tf_transfer.experiments.runner import Runner

pytestmark = pytest.mark.slow

DEMO = Path(tf_transfer.command_line.demo.__file__).parent / "experiment.yaml"


def demo_table(rows: int, seed: int):
    table = make_table(rows, seed).rename(columns={"stars": "rating", "mood": "polarity"})
    return table.assign(
        group=np.arange(rows) // 3, place=[["at home", "abroad"][i % 2] for i in range(rows)]
    )


def invent(runner, run, cell, strategy, sources, fitted, seconds, target, taught):
    """Predictions that are right but for noise, less of it with source data."""
    draws = np.random.default_rng([cell.budget, cell.seed, len(cell.strategy)])
    spread, scores = 1.0 if strategy.uses_source else 2.0, {}
    for task in runner.model.tasks:
        y, _ = target.truth[task.name]
        if task.kind == "regression":
            scores[task.name] = y + spread * draws.normal(size=len(y))
        else:
            logits = np.eye(task.outputs)[y] + spread * draws.normal(size=(len(y), task.outputs))
            scores[task.name] = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    cost = {"source_seconds": seconds, "target_seconds": 1.0, "peak_gb": 1.0, "parameters": 10}
    cost["settings"] = {"steps on the target": 100}
    run.write_cell(cell, scores, cost)


@pytest.fixture(scope="module")
def page(encoder_folder, tmp_path_factory):
    content = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    content["encoder"]["name"] = str(encoder_folder)
    content["sources"] = {
        name: demo_table(30, seed) for seed, name in enumerate(content["sources"])
    }
    for seed, target in enumerate(content["targets"].values()):
        target["data"] = demo_table(120, seed + 7)
        del target["dataset"], target["where"]
    content |= {"budgets": [4, 16, 64], "slices": ["place", "group"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_fit", lambda *arguments: (None, 1.0))
        patch.setattr(Runner, "_compute", invent)
        comparison = compare(content, tmp_path_factory.mktemp("runs") / "demo")
    return (comparison.save() / "report.html").read_text(encoding="utf-8")


def test_every_part_is_there(page):
    assert lacking(page, ORDER) == []
    parsed = Page(page)
    tabled = {name for name, _ in parsed.tables}
    # The curves are drawings, the command is code, and nothing was left out.
    assert tabled >= set(ORDER) - {"curves", "calibration", "reproduce", "unusable"}
    # curves and calibration of two targets and tasks
    assert parsed.tags.count("figure") == 2 * 2 * 2


def test_what_each_source_adds_is_told_of_both_sources(page):
    text = Page(page).texts["sources"]
    assert "linear_probe" in text and "movie" in text and "amazon" in text


def test_the_columns_that_the_experiment_names_are_slices(page):
    rows = [row[0] for name, rows in Page(page).tables if name == "slices" for row in rows]
    assert rows.count("place") == rows.count("group") == 4  # two targets and tasks
    assert (
        sum(row.startswith("at home") for row in rows)
        == sum(row.startswith("abroad") for row in rows)
        == 4
    )


def test_a_part_that_is_missing_is_noticed(page):
    told = page.replace("How much worse a strategy", "The gains are missing: a strategy")
    assert lacking(told, ORDER) == ["sources"]
    cut = page.split('<section id="costs">')[0] + "</main></body></html>"
    assert lacking(cut, ORDER) == ORDER[ORDER.index("costs") :]
