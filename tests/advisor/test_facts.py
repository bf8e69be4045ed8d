"""The facts: label overlap, cut texts and trials, by hand."""

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.experiments import make_table
from tf_transfer.advisor import facts
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import LinearProbe, TfIdf


def test_label_overlap():
    task = Task("mood", kind="classification", classes=("calm", "glad", "sad"))
    source = pd.DataFrame({"mood": ["calm", "glad", None]})
    assert facts.label_overlap(task, source, np.array([0, 1, 2, 2])) == 0.5
    assert facts.label_overlap(task, source.drop(columns="mood"), np.array([0, 1])) == 0
    many = Task("themes", kind="multilabel", classes=("water", "noise", "light"))
    source = pd.DataFrame({"themes": [["water"], [], ["light"]]})
    assert facts.label_overlap(many, source, np.array([[1, 1, 0], [0, 0, 1]])) == pytest.approx(
        2 / 3
    )
    assert facts.label_overlap(many, source, np.zeros((2, 3))) == 0
    stars = Task("stars", kind="regression")
    assert facts.label_overlap(stars, pd.DataFrame({"stars": [1.0, np.nan]}), np.array([2.0])) == 1
    assert facts.label_overlap(stars, pd.DataFrame({"stars": [np.nan]}), np.array([2.0])) == 0


def test_cut_share_counts_tokens():
    table = pd.DataFrame({"text": ["still lake", "still lake at dawn " * 2]})
    model = tiny.make_model(max_length=6)
    whole = [len(model.encoder.tokenizer(text)["input_ids"]) for text in table["text"]]
    assert whole[0] < 6 < whole[1]
    assert facts.cut_share(model, table) == pytest.approx((whole[1] - 6) / sum(whole))
    assert facts.cut_share(tiny.make_model(max_length=24), table) == 0


def test_try_out_holds_a_third_back():
    model, table = tiny.make_model([Task("stars", kind="regression")]), make_table(60, seed=0)
    words = facts.try_out(TfIdf(uses_source=False), model, table, model.tasks[0])
    assert 0.5 < words <= 1
    shuffled = table.assign(stars=np.random.default_rng(1).permutation(table["stars"]))
    assert facts.try_out(TfIdf(uses_source=False), model, shuffled, model.tasks[0]) < 0.5
    few = table.assign(stars=table["stars"].where(np.arange(60) < 11))
    assert np.isnan(facts.try_out(LinearProbe(uses_source=False), model, few, model.tasks[0]))


def test_samples_keep_the_shares_of_the_sources(monkeypatch):
    monkeypatch.setattr(facts, "SAMPLED", 40)
    found = facts.sample_sources({"a": make_table(90, seed=0), "b": make_table(30, seed=1)})
    assert {name: len(table) for name, table in found.items()} == {"a": 30, "b": 10}


def test_evidence_is_above_that_of_a_constant():
    draws, task = np.random.default_rng(0), Task("stars", kind="regression")
    y = draws.normal(size=40)
    assert facts.evidence(task, y[:, None] + 0.1 * draws.normal(size=(40, 3)), y) > 1
    assert facts.evidence(task, draws.normal(size=(40, 3)), np.ones(40)) == 0
    mood = Task("mood", kind="classification", classes=("calm", "glad", "sad"))
    labels = draws.integers(0, 3, 40)
    assert facts.evidence(mood, np.eye(3)[labels], labels) > 0.5
