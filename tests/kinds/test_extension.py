"""What the toolkit does not know enters without a change to it: a kind, a metric, a strategy, a
gradient rule, a data set.
"""

import numpy as np
import pandas as pd
import pytest

from tests.experiments import FAST
from tests.kinds import contract, toys
from tf_transfer import strategies
from tf_transfer.assets import fetching, registry
from tf_transfer.comparison.compare import compare
from tf_transfer.data import readers
from tf_transfer.experiments.runs import Run
from tf_transfer.kinds import KINDS, METRICS, register
from tf_transfer.kinds.tasks import Task
from tf_transfer.training import gradient_rules


@pytest.fixture
def ordered():
    """The toy kind, for one test."""
    yield register(toys.Ordered())
    KINDS.pop("ordered")
    METRICS.pop("class_distance")


@pytest.fixture
def hardest():
    """The name of the toy rule, for one test."""
    yield gradient_rules.register(toys.Hardest()).name
    gradient_rules.RULES.pop("hardest")


@pytest.fixture
def toy_data(monkeypatch, tmp_path):
    """The toy data set in a cache of its own."""
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()
    entry = toys.write_files(folder, contract.make_table(toys.label, 40, seed=2).dropna())
    monkeypatch.setitem(registry.ENTRIES, "toy", entry)
    monkeypatch.setitem(readers.READERS, "toy", toys.read_toy)
    return fetching.fetch("toy", source=folder)


def test_a_new_kind_keeps_the_contract(ordered):
    contract.check_labels("ordered", toys.label)
    contract.check_metrics("ordered", toys.label)


def test_the_order_of_classes_matters(ordered):
    task = Task("tone", kind="ordered", classes=contract.TONES)
    near, far = ([[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    assert ordered.row_error([2], np.array(near)) < ordered.row_error([2], np.array(far))
    assert task.outputs == 3


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_toys_go_through_a_comparison_and_the_report(
    ordered, hardest, toy_data, encoder_folder, tmp_path, monkeypatch, workers
):  # fmt: skip
    monkeypatch.setitem(strategies.STRATEGIES, "hopeful", toys.Hopeful)
    content = contract.experiment_of("ordered", toys.label, encoder_folder)
    tone = {"name": "tone", "kind": "ordered", "classes": list(contract.TONES)}
    content["tasks"] = [tone, tone | {"name": "again", "label": "tone"}]
    content["targets"]["tweets"]["train"] = {"dataset": "toy"}
    content["workers"] = workers
    joint = {"multi_task": contract.BRIEF | {"epochs": 1, "gradient_rule": hardest}}
    content["strategies"] = ["majority", "hopeful", joint, {"target_only": contract.BRIEF}]
    comparison = compare(content, tmp_path / "run", verbose=0)
    verdicts = comparison.verdicts()
    assert set(verdicts["metric"]) == {"class_distance"} and {
        "hopeful",
        "multi_task",
    } <= set(verdicts["strategy"])
    comparison.save()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("distance in classes", "hopeful", "gradient rule on the source", "hardest"):
        assert words in page


@pytest.mark.slow
def test_a_strategy_trains_adapters_beside_one_that_trains_all(
    encoder_folder, tmp_path, monkeypatch
):  # fmt: skip
    """It is compared with itself without source; its cells count the trained weights, and one that
    is lost is computed again from the weights that were kept after source training.
    """
    for kind in (toys.Adapted, toys.AdaptedTarget):
        monkeypatch.setitem(strategies.STRATEGIES, kind.name, kind)
    monkeypatch.setattr(Run, "drop_fitted", lambda self, label, seed: None)
    label = contract.SAMPLES["regression"]
    content = contract.experiment_of("regression", label, encoder_folder, baseline=..., seeds=1)
    brief = {"target_only": contract.BRIEF}, {"adapted_target": contract.BRIEF}
    content["strategies"] = [*brief, {"adapted": FAST}]
    comparison = compare(content, tmp_path / "run", verbose=0)
    assert comparison.against("adapted") == "adapted_target"
    assert "adapted" in set(comparison.verdicts()["strategy"])
    counts = comparison.costs.groupby("strategy")["parameters"].max()
    trained = 2 * 2 * (16 + 16) + 16 + 1  # of query and value, and of the head
    standards = 3 + 1  # of the labels, which the source has told the other
    assert counts["adapted"] == trained == counts["adapted_target"] - standards
    cell = next((tmp_path / "run" / "cells" / "tweets" / "adapted").glob("*.npz"))
    cell.unlink()
    monkeypatch.setattr(toys.Adapted, "fit", None)
    again = compare(content, tmp_path / "run", verbose=0)
    pd.testing.assert_frame_equal(
        again.results.drop(columns="seconds", errors="ignore"),
        comparison.results.drop(columns="seconds", errors="ignore"),
    )
