"""Class-disjoint splits: whole classes and groups dealt out, and overlaps refused."""

import numpy as np
import pandas as pd
import pytest

from tests.episodes.test_sampler import WHOLE, make_table
from tf_transfer.episodes.class_splits import (
    check_class_disjoint,
    check_new_classes,
    classes_of,
    split_classes,
)
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError


@pytest.mark.parametrize(
    ("validation", "test", "expected"), [(2, 3, [3, 2, 3]), (0.25, 0.3, [3, 2, 3])]
)
def test_split_classes_deals_out_whole_classes(validation, test, expected):
    table = make_table()
    table.loc[4, "intent"] = None
    splits = split_classes(table, "intent", validation=validation, test=test, seed=3)
    classes = [set(split["intent"]) for split in splits]
    assert [len(c) for c in classes] == expected and len(set.union(*classes)) == 8
    assert sum(map(len, splits)) == len(table) - 1
    for split, held in zip(splits, classes):
        pd.testing.assert_frame_equal(
            split, table[table["intent"].isin(held)].reset_index(drop=True)
        )
    check_class_disjoint(dict(zip("abc", splits)), "intent")


def test_split_classes_is_drawn_by_its_seed():
    table = make_table()

    def held_out(seed):
        return frozenset(
            split_classes(table, "intent", validation=1, test=2, seed=seed)[2]["intent"]
        )

    assert held_out(1) == held_out(1)
    assert len({held_out(seed) for seed in range(20)}) > 5


def test_split_classes_by_groups_keeps_groups_whole():
    table = make_table(classes=10)
    table["group"] = table["intent"].map({f"intent {i}": f"group {i // 2}" for i in range(10)})
    splits = split_classes(table, "intent", validation=1, test=0.4, by="group")
    groups = [set(split["group"]) for split in splits]
    assert [len(g) for g in groups] == [2, 1, 2] and len(set.union(*groups)) == 5
    assert [split["intent"].nunique() for split in splits] == [4, 2, 4]
    table.loc[table["group"] == "group 4", "intent"] = None
    for seed in range(10):
        splits = split_classes(table, "intent", validation=1, test=2, by="group", seed=seed)
        assert [split["intent"].nunique() for split in splits] == [2, 2, 4]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"validation": 4, "test": 0.5},
            "`validation` + `test` must leave classes for training.\n"
            "Received validation=4, test=0.5, together 8 of 8 classes.\nLower them to at most 7 "
            "together.",
        ),
        (
            {"by": "domain"},
            "`validation` + `test` must leave groups of column 'domain' for training.\n"
            "Received validation=1, test=1, together 2 of 2 groups of column 'domain'.\n"
            "Lower them to at most 1 together.",
        ),
        *(
            (
                {"test": test},
                "`test` must be a number of at least 1, or a share in (0, 1).\n"
                f"Received test={test!r}.\nGive for instance test=0.2.",
            )
            for test in (0, -1, 0.0, 1.0, True, "2")
        ),
        ({"validation": 0}, "Received validation=0."),
        ({"seed": -1}, WHOLE.format("seed", 0, -1)),
        (
            {"by": "mixed"},
            "Every class must be in one group of column 'mixed'.\n"
            "Received class 'intent 1' in 'a' and 'b'.\nMend the groups, or split without by.",
        ),
        (
            {"by": "gaps"},
            "Every labelled row must have a group in column 'gaps'.\n"
            "Received 2 rows without, first row 5.\nFill the group in, or drop these rows.",
        ),
        ({"by": "nowhere"}, "must have a column 'nowhere'"),
        (
            {"task": "score"},
            "A task must be a classification or tagging here.\nReceived 'score': regression.",
        ),
    ],
)
def test_split_classes_refuses(options, expected):
    table = make_table()
    table["mixed"] = np.where(table["intent"] == "intent 0", "b", "a")
    table.loc[table.index[table["intent"] == "intent 1"][-1], "mixed"] = "b"
    table["gaps"] = table["domain"].mask(table.index.isin([5, 9]), None)
    with pytest.raises(DataError) as error:
        split_classes(table, **({"task": "intent", "validation": 1, "test": 1} | options))
    assert expected in str(error.value)


def test_overlapping_splits_are_refused():
    table = make_table()
    train, validation, test = split_classes(table, "intent", validation=2, test=3)
    leaking = pd.concat([test, train[train["intent"] == train["intent"][0]]])
    name = train["intent"][0]
    expected = (
        f"Splits 'train' and 'test' must have no class in common.\nReceived 1 in both: {name!r}.\n"
        "Deal the classes out with split_classes(), or drop these rows from one of them."
    )
    for wrap in (lambda t: t, lambda t: EpisodeSampler(t, "intent", 2, 1, 1)):
        check_class_disjoint(
            {"train": wrap(train), "validation": validation, "test": wrap(test)}, "intent"
        )
        with pytest.raises(DataError) as error:
            check_class_disjoint(
                {"train": wrap(train), "validation": validation, "test": wrap(leaking)}, "intent"
            )
        assert str(error.value) == expected


def test_overlap_is_of_what_a_sampler_draws_and_of_classes_written_otherwise():
    train = pd.DataFrame({"intent": ["a"] * 4 + ["b"] * 4 + ["c"]})
    test = pd.DataFrame({"intent": ["c"] * 4 + ["d"] * 4})
    samplers = {
        "train": EpisodeSampler(train, "intent", 2, 1, 2, drop_small=True),
        "test": EpisodeSampler(test, "intent", 2, 1, 2),
    }
    check_class_disjoint(samplers)
    with pytest.raises(DataError, match="'c'"):
        check_class_disjoint({"train": train, "test": test}, "intent")
    numbers = EpisodeSampler(pd.DataFrame({"intent": [1, 1, 2, 2]}), "intent", 2, 1, 1)
    words = EpisodeSampler(pd.DataFrame({"intent": ["2", "2", "3", "3"]}), "intent", 2, 1, 1)
    with pytest.raises(DataError, match="Received 1 in both: 2"):
        check_class_disjoint({"a": numbers, "b": words})
    with pytest.raises(DataError, match="Tables need a task"):
        check_class_disjoint({"a": train})
    single = {"a": train[train["intent"] == "a"], "b": train[train["intent"] == "b"]}
    check_class_disjoint(single, "intent")


def test_of_samplers_with_domains_the_same_classes_may_be_in_other_domains():
    table = pd.DataFrame({"intent": ["a", "b"] * 12, "domain": ["x"] * 8 + ["y"] * 8 + ["z"] * 8})
    draw = lambda names, **options: EpisodeSampler(  # noqa: E731
        table[table["domain"].isin(list(names))],
        "intent",
        2,
        1,
        1,
        **{"domain": "domain"} | options,
    )
    check_class_disjoint({"train": draw("x"), "validation": draw("y"), "test": draw("z")})
    expected = (
        r"'train' and 'test' must have no class of a domain in common.\nReceived 2 in "
        r"both: \('y', 'a'\)"
    )
    with pytest.raises(DataError, match=expected):
        check_class_disjoint({"train": draw("xy"), "test": draw("yz")})
    with pytest.raises(DataError, match=r"no class in common.\nReceived 2 in both: 'a', 'b'"):
        check_class_disjoint({"train": draw("x"), "test": draw("z", domain=None)})


def test_meta_test_must_be_of_other_classes_than_training_and_validation():
    def draw(classes):
        return EpisodeSampler(pd.DataFrame({"intent": list(classes) * 2}), "intent", 2, 1, 1)

    check_new_classes({}, draw("ab"))
    first = classes_of({"training": draw("ab")})
    known = classes_of({"training": draw("cd"), "validation": draw("ef")}, first)
    assert "validation" not in first and len(first["training"]) == 2
    check_new_classes(known, draw("gh"))
    for classes, use in (("ag", "training"), ("cg", "training"), ("gf", "validation")):
        with pytest.raises(
            DataError, match=f"'{use}' and 'test' must have no class in common.\nReceived 1 in both"
        ):
            check_new_classes(known, draw(classes))


@pytest.mark.parametrize("task", ["stars", None])
def test_domains_without_classes_are_disjoint_by_domain(task):
    draws = np.random.default_rng(0)
    table = pd.DataFrame({"text": "x", "stars": draws.normal(size=24), "shop": list("abcd") * 6})
    train, same, other = (
        EpisodeSampler(
            table[table["shop"].isin(list(shops))], task, shot=2, num_query=2, domain="shop"
        )
        for shops in ("ab", "bc", "cd")
    )
    check_class_disjoint({"train": train, "test": other})
    refused = r"Splits 'train' and 'test' must have no domain in common.\nReceived 1 in both: 'b'"
    with pytest.raises(DataError, match=refused):
        check_class_disjoint({"train": train, "test": same})
    known = classes_of({"training": train})
    check_new_classes(known, other)
    with pytest.raises(DataError, match="no domain in common"):
        check_new_classes(known, same)
    # Rows of no domain may be of any.
    check_class_disjoint({"train": train, "test": EpisodeSampler(table, task, shot=2, num_query=2)})
