"""What is checked, dropped and hashed before anything is trained."""

import numpy as np
import pandas as pd
import pytest

from tests.experiments import make_experiment, make_table
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import Prepared, draw_support
from tf_transfer.kinds.tasks import Task


def prepare(**changes) -> Prepared:
    return Prepared.load(load_experiment(make_experiment(**changes)))


def refusal(**changes) -> str:
    with pytest.raises(DataError) as caught:
        prepare(**changes)
    return str(caught.value)


def one_target(**changes) -> dict:
    tables = {"train": make_table(20, seed=3), "test": make_table(30, seed=4)}
    return {"targets": {"tweets": tables | changes}}


def test_tables_tasks_and_truth():
    data = prepare()
    assert {n: len(t) for n, t in data.sources.items()} == {"films": 14, "shop": 10}
    assert data.tasks == [
        Task("stars", kind="regression"),
        Task("mood", kind="classification", classes=("glad", "sad")),
    ]
    tweets, test = data.targets["tweets"], make_table(30, seed=4)
    pd.testing.assert_frame_equal(tweets.train, make_table(20, seed=3))
    pd.testing.assert_frame_equal(tweets.test, test)
    np.testing.assert_array_equal(tweets.truth["stars"][0], test["stars"])
    np.testing.assert_array_equal(tweets.truth["mood"][0], (test["mood"] == "sad").astype(int))
    assert tweets.groups is None


def test_rows_without_any_label_cannot_be_bought():
    train = make_table(20, seed=3)
    train.loc[:3, "stars"] = np.nan
    # rows 2 and 3 have neither; an empty cell is no label
    train.loc[2:5, "mood"] = ["", None, None, None]
    kept = prepare(**one_target(train=train)).targets["tweets"].train
    assert list(kept["text"]) == list(train["text"].drop([2, 3]))


def test_rows_of_the_test_without_a_label_are_kept_but_not_present():
    test = make_table(30, seed=4)
    test.loc[5, "stars"] = np.nan
    _, present = prepare(**one_target(test=test)).targets["tweets"].truth["stars"]
    assert list(np.flatnonzero(~present)) == [5]


def test_a_task_without_labels_in_a_test_has_no_truth_there():
    truth = (
        prepare(**one_target(test=make_table(30, seed=4).drop(columns="mood")))
        .targets["tweets"]
        .truth
    )
    assert set(truth) == {"stars"}


# -- leakage ---------------------------------------------------------------------------------------


def leaking() -> dict:
    """Test row 0 is also in train (as it is) and in a source (in capitals)."""
    test, train, films = make_table(30, seed=4), make_table(20, seed=3), make_table(14, seed=1)
    train.loc[7, "text"] = test.loc[0, "text"]
    films.loc[2, "text"] = test.loc[0, "text"].upper()
    sources = {"films": films, "shop": make_table(10, seed=2)}
    return one_target(train=train, test=test) | {"sources": sources}


def test_rows_of_the_test_are_dropped_from_training():
    data = prepare(**leaking())
    assert len(data.targets["tweets"].train) == 19
    assert {n: len(t) for n, t in data.sources.items()} == {"films": 13, "shop": 10}
    assert len(data.targets["tweets"].test) == 30
    tables = data.targets["tweets"].leakage["tables"]
    assert {n: t["rows_to_drop"] for n, t in tables.items()} == {"train": 1, "films": 1, "shop": 0}


def test_rows_of_any_targets_test_are_dropped_from_the_sources():
    experiment = make_experiment()
    films = experiment["sources"]["films"]
    films.loc[2, "text"] = experiment["targets"]["tweets"]["test"].loc[3, "text"]
    films.loc[5, "text"] = experiment["targets"]["letters"]["test"].loc[3, "text"]
    kept = Prepared.load(load_experiment(experiment)).sources["films"]
    assert list(kept["text"]) == list(films["text"].drop([2, 5]))


def test_leaks_are_kept_on_request_and_still_reported():
    data = prepare(**leaking(), drop_leaks=False)
    assert len(data.targets["tweets"].train) == 20
    assert len(data.sources["films"]) == 14
    assert data.targets["tweets"].leakage["tables"]["train"]["rows_to_drop"] == 1


def test_known_rows_with_another_label_are_counted():
    experiment = leaking()
    train, test = experiment["targets"]["tweets"]["train"], experiment["targets"]["tweets"]["test"]
    train.loc[7, ["stars", "mood"]] = test.loc[0, ["stars", "mood"]]
    films = experiment["sources"]["films"]
    films.loc[2, ["stars", "mood"]] = [
        test.loc[0, "stars"],
        "sad" if test.loc[0, "mood"] == "glad" else "glad",
    ]
    tables = prepare(**experiment).targets["tweets"].leakage["tables"]
    assert {name: counts["conflicts"] for name, counts in tables.items()} == {
        "train": 0,
        "films": 1,
        "shop": 0,
    }


def test_labels_that_mean_the_same_do_not_conflict():
    experiment = leaking()
    films, mood = (
        experiment["sources"]["films"],
        experiment["targets"]["tweets"]["test"].loc[0, "mood"],
    )
    films["mood"] = films["mood"].str.upper()
    films.loc[2, ["stars", "mood"]] = [
        experiment["targets"]["tweets"]["test"].loc[0, "stars"],
        mood.upper(),
    ]
    tasks = [{"name": "mood", "labels": {"GLAD": "glad", "SAD": "sad"}}]
    data = prepare(**experiment, tasks=tasks)
    assert data.targets["tweets"].leakage["tables"]["films"]["conflicts"] == 0
    assert data.tasks[0].classes == ("glad", "sad")
    assert data.learned[0].startswith("mood (classification): 2 classes with rows: 'glad' (")


def test_messages_name_keys_as_an_experiment_file_writes_them():
    films = make_table(14, seed=1)
    films["mood"] = [["glad"]] * 14
    assert 'Set kind: "multilabel" in the task' in refusal(
        sources={"films": films}, tasks=[{"name": "mood", "kind": "classification"}]
    )


# -- refused ---------------------------------------------------------------------------------------


def test_a_class_seen_only_in_test_is_named():
    test = make_table(30, seed=4)
    test.loc[11, "mood"] = "angry"
    message = refusal(**one_target(test=test))
    assert "'angry' in column 'mood', row 11 of the test rows of target 'tweets'" in message
    assert "A class must be seen in training" in message


def test_a_class_of_a_source_counts_as_seen():
    test, films = make_table(30, seed=4), make_table(14, seed=1)
    test.loc[11, "mood"] = films.loc[0, "mood"] = "angry"
    classes = prepare(**one_target(test=test), sources={"films": films}).tasks[1].classes
    assert classes == ("angry", "glad", "sad")


def test_a_budget_larger_than_the_data_is_refused_with_both_numbers():
    message = refusal(budgets=[6, 21])
    assert "Received a budget of 21; target 'tweets' has 20 such rows." in message


def test_labels_that_are_no_numbers_are_named_with_their_table():
    films = make_table(14, seed=1).astype({"stars": object})
    films.loc[3, "stars"] = "five"
    assert "Received 'five' in column 'stars', row 3 of source 'films'" in refusal(
        sources={"films": films}
    )
    train = make_table(20, seed=3)
    train.loc[4, "stars"] = np.inf
    assert "row 4 of the training rows of target 'tweets'" in refusal(**one_target(train=train))


def test_tables_without_labels_are_named():
    bare = make_table(20, seed=3).rename(columns={"stars": "points", "mood": "tone"})
    assert "Source 'films' must have labels in one of the columns 'stars', 'mood'" in refusal(
        sources={"films": bare}
    )
    assert "The training rows of target 'tweets' must have labels" in refusal(
        **one_target(train=bare)
    )
    assert "The test rows of target 'tweets' must have labels" in refusal(
        **one_target(test=make_table(30, seed=4)[["text"]])
    )


def test_a_source_of_nothing_but_test_rows_is_refused():
    message = refusal(sources={"films": make_table(30, seed=4)})
    assert "Source 'films' must have rows that no test has" in message
    assert "drop_leaks: false" in message


def test_one_class_is_no_classification():
    glad = {
        name: make_table(20, seed).assign(mood="glad")
        for name, seed in (("films", 1), ("train", 3), ("test", 4))
    }
    message = refusal(
        sources={"films": glad["films"]}, **one_target(train=glad["train"], test=glad["test"])
    )
    assert "Task 'mood' needs at least two classes" in message


# -- groups, hashes, support -----------------------------------------------------------------------


def test_groups_are_numbered_and_a_row_without_one_is_its_own():
    test = make_table(30, seed=4).assign(author=["ann"] * 10 + ["bob"] * 10 + [None] * 10)
    groups = (
        prepare(**one_target(train=make_table(20, seed=3), test=test, group="author"))
        .targets["tweets"]
        .groups
    )
    assert len(set(groups[:10])) == len(set(groups[10:20])) == 1
    assert len(set(groups)) == 12


def test_hashes_tell_tables_tasks_and_the_order_of_sources_apart():
    base = prepare().common
    assert prepare().common == base
    changed = make_table(14, seed=1)
    changed.loc[3, "stars"] += 1
    shop = make_table(10, seed=2)

    def differing(**changes):
        other = prepare(**changes).common
        return {name for name in {*base, *other} if base.get(name) != other.get(name)}

    assert differing(sources={"films": changed, "shop": shop}) == {"source films"}
    assert differing(sources={"shop": shop, "films": make_table(14, seed=1)}) == {
        "order of sources"
    }
    assert differing(sources={"films": make_table(14, seed=1)}) == {
        "source shop",
        "order of sources",
    }
    assert differing(tasks=[{"name": "stars", "kind": "regression", "loss_weight": 2}, "mood"]) == {
        "tasks"
    }
    targets = make_experiment()["targets"]
    targets["letters"]["test"] = make_table(24, seed=7)
    assert differing(targets=targets) == {"target letters (test)"}


def test_support_is_nested_and_differs_by_seed_and_target():
    train = make_table(20, seed=3)
    few, many = (draw_support(train, "tweets", budget, seed=1) for budget in (6, 12))
    assert len(many) == 12
    pd.testing.assert_frame_equal(few, many[:6])
    assert many["text"].is_unique
    assert set(many["text"]) <= set(train["text"])
    pd.testing.assert_frame_equal(many, draw_support(train, "tweets", 12, seed=1))
    assert list(many["text"]) != list(draw_support(train, "tweets", 12, seed=2)["text"])
    assert list(many["text"]) != list(draw_support(train, "letters", 12, seed=1)["text"])
    assert list(many["text"]) != list(train["text"][:12])
