"""What trials are scored on: labelled rows that training has not seen."""

import numpy as np
import pandas as pd
import pytest

from tests.experiments import make_table
from tf_transfer.errors import DataError
from tf_transfer.experiments.tune_spec import TuneSpec
from tf_transfer.kinds.tasks import Task
from tf_transfer.tuning.validation import measurements

STARS, MOOD = (
    Task("stars", kind="regression"),
    Task("mood", kind="classification", classes=("glad", "sad")),
)
SUPPORT = make_table(24, seed=1).assign(row=range(24))
SOURCES = {
    "films": make_table(30, seed=2).assign(row=range(30)),
    "shop": make_table(40, seed=3).assign(row=range(40)),
}


def plan(task=STARS, support=SUPPORT, group=None, budget=None, **spec):
    return measurements(TuneSpec(**spec), task, support, SOURCES, group=group, budget=budget)


def test_each_repeat_holds_out_every_row_once():
    planned, overlap = plan(folds=4, repeats=3)
    assert len(planned) == 12 and overlap == pytest.approx(1 / 3)
    assert len({m.name for m in planned}) == 12
    for repeat in range(3):
        here = [m for m in planned if m.stage == f"repeat {repeat}"]
        assert len({m.seed for m in here}) == 1 and {m.sources for m in here} == {("films", "shop")}
        assert sorted(np.concatenate([m.validation["row"] for m in here])) == list(range(24))
        for m in here:
            assert sorted([*m.support["row"], *m.validation["row"]]) == list(range(24))
    first, second = (
        [sorted(m.validation["row"]) for m in planned if m.stage == f"repeat {r}"] for r in (0, 1)
    )
    assert first != second


def test_the_same_seed_gives_the_same_parts():
    once, again, other = (plan(seed=seed)[0] for seed in (3, 3, 4))
    rows = [[list(m.validation["row"]) for m in p] for p in (once, again, other)]
    assert rows[0] == rows[1] != rows[2]
    assert [m.seed for m in once] == [m.seed for m in again] != [m.seed for m in other]


def test_folds_have_the_classes_in_their_shares():
    support = SUPPORT.assign(mood=["glad"] * 8 + ["sad"] * 16)
    for m in plan(MOOD, support)[0]:
        assert list(m.validation["mood"].value_counts()) == [4, 2]


def test_rows_without_a_label_of_the_objective_always_train():
    support = SUPPORT.assign(mood=["glad", "sad"] * 6 + [None] * 12)
    for m in plan(MOOD, support, folds=2)[0]:
        assert m.validation["mood"].notna().all() and len(m.validation) == 6
        assert set(range(12, 24)) <= set(m.support["row"])


@pytest.mark.parametrize("validation", ["folds", "holdout"])
def test_groups_stay_together(validation):
    support = SUPPORT.assign(document=[f"d{i // 4}" for i in range(24)])
    for m in plan(MOOD, support, "document", folds=3, validation=validation)[0]:
        assert not set(m.support["document"]) & set(m.validation["document"])


def test_a_part_held_out_stays_while_the_seeds_change():
    planned, overlap = plan(validation="holdout", holdout=0.25, repeats=3)
    assert overlap == 0.0
    assert (
        len({tuple(m.validation["row"]) for m in planned}) == 1 and len(planned[0].validation) == 6
    )
    assert len({m.seed for m in planned}) == len({m.stage for m in planned}) == 3


def test_each_source_plays_the_target():
    planned, overlap = plan(validation="sources", budget=10)
    assert overlap == 0.0
    assert [m.sources for m in planned] == [("shop",), ("films",)] * 2
    for m in planned:
        assert len(m.support) == 10
        assert not set(m.support["row"]) & set(m.validation["row"])
        assert len(m.validation) == (20 if m.sources == ("shop",) else 30)


@pytest.mark.parametrize(("spec", "message"), [
    ({"folds": 13}, "26 rows with a label of task 'stars'"),
    ({"validation": "holdout", "holdout": 0.05}, "at least 2 rows"),
    ({"validation": "sources", "budget": 40}, "'films': 30"),
])  # fmt: skip
def test_too_few_rows_are_counted(spec, message):
    with pytest.raises(DataError, match=message):
        plan(**spec)


def test_too_few_groups_are_counted():
    support = SUPPORT.assign(document=[f"d{i // 12}" for i in range(24)])
    with pytest.raises(DataError, match=r"4 groups of 'document'.*\nReceived 2"):
        plan(support=support, group="document")


def test_a_class_of_one_row_does_not_stand_in_the_way():
    support = pd.DataFrame(
        {"text": SUPPORT["text"], "mood": ["glad"] * 23 + ["sad"], "row": range(24)}
    )
    assert len(plan(MOOD, support)[0]) == 8
    assert len(plan(MOOD, support, validation="holdout")[0]) == 2
