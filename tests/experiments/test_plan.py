"""What is said before anything is trained, where source or target lack something."""

import numpy as np
import pandas as pd

from tests.experiments import make_experiment, make_table
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.plan import plan
from tf_transfer.experiments.prepared import Prepared

PROBE = ["majority", "tfidf", "linear_probe"]


def sentences(*, train=None, films=None, **changes) -> list[str]:
    """Of a classification with one source and one target."""
    tables = {
        "sources": {"films": make_table(20, seed=1) if films is None else films},
        "targets": {"tweets": {"train": make_table(20, seed=3) if train is None else train,
                               "test": make_table(30, seed=4)}},
    }  # fmt: skip
    content = (
        {"tasks": ["mood"], "strategies": PROBE, "budgets": [6], "seeds": 2} | tables | changes
    )
    experiment = load_experiment(make_experiment(**content))
    return plan(experiment, Prepared.load(experiment))


def said(beginning: str, *args, **changes) -> str:
    (sentence,) = [s for s in sentences(*args, **changes) if beginning in s]
    return sentence


def with_moods(moods, seed: int) -> pd.DataFrame:
    return make_table(len(moods), seed).assign(mood=pd.Series(moods, dtype=object))


def test_nothing_is_lacking():
    assert not [
        s
        for s in sentences()
        if any(w in s for w in ("No source", "no source", "one class", "no label"))
    ]


def test_a_source_without_labels_of_the_task():
    films = make_table(20, seed=1).assign(mood=None)
    tasks = ["mood", {"name": "stars", "kind": "regression"}]
    sentence = said(
        "No source has labels of mood, a task of target tweets.", films=films, tasks=tasks
    )
    assert "linear_probe: the head is solved on the target alone." in sentence


def test_classes_that_no_source_has():
    films = with_moods(["glad", "calm"] * 10, seed=1)
    sentence = said("occur in no source", films=films)
    assert sentence.startswith(
        "1 of the 2 classes of mood on target tweets occur in no source: 'sad'."
    )
    assert "linear_probe: the outputs of these classes are solved on the target alone." in sentence


def test_a_budget_below_the_number_of_classes():
    assert said("is below the", budgets=[1, 6]).startswith(
        "A budget of 1 is below the 2 classes of mood on target tweets"
    )


def test_labels_of_one_class_alone():
    train = with_moods(["glad"] * 19 + ["sad"], seed=3)
    assert "'6 labels, seed 0'" in said(
        "mood on target tweets: all labels are of one class with", train=train
    )


def test_a_budget_that_buys_no_label():
    train = make_table(20, seed=3)
    train["mood"] = train["mood"].where(np.arange(20) < 2, None)
    tasks = ["mood", {"name": "stars", "kind": "regression"}]
    sentence = said("has no label with", train=train, tasks=tasks, budgets=[1])
    assert sentence.startswith("mood on target tweets has no label with '1 labels, seed 0'")
