"""The advisor's rules on made-up facts: the order and the reason that follow."""

import dataclasses

import numpy as np
import pytest

from tf_transfer.advisor import rules
from tf_transfer.advisor.facts import Facts
from tf_transfer.strategies import STRATEGIES, LinearProbe, TfIdf
from tf_transfer.strategies.word_baseline import WordBaseline

RELATED = Facts(
    "tweets",
    "rating",
    16,
    "regression",
    0,
    source_rows=1600,
    overlap=1.0,
    distance=1.2,
    target_evidence=0.01,
    source_evidence=0.2,
    words=0.5,
    probe=0.5,
    cut=0.0,
)
OF_TEXTS = {n: k for n, k in STRATEGIES.items() if not issubclass(k, WordBaseline)}
ALL = {name: kind() for name, kind in OF_TEXTS.items()} | {
    "probe_alone": LinearProbe(uses_source=False)
}


def ranked(facts, strategies=ALL, seconds=None):
    found = rules.rank(strategies, facts, seconds or dict.fromkeys(strategies, 1.0))
    return (
        [label for label, _, _ in found],
        found[0][1],
        {label: reason for label, _, reason in found},
    )


@pytest.mark.parametrize(("changes", "rule", "first", "then"), [
    ({}, "related source", "multi_task", "fine_tune"),
    ({"overlap": 0.2}, "another question", "target_only", "multi_task"),
    ({"overlap": 0.2, "cut": 0.6}, "another question", "target_only", "multi_task"),
    ({"cut": 0.6}, "texts are cut", "tfidf", "linear_probe"),
    ({"words": 0.6}, "words suffice", "tfidf", "linear_probe"),
    ({"words": np.nan, "probe": np.nan}, "related source", "multi_task", "fine_tune"),
    ({"source_rows": 120}, "little source data", "target_only", "fine_tune"),
    ({"target_evidence": 0.3}, "related source", "multi_task", "fine_tune"),
    ({"budget": 256}, "related source", "multi_task", "fine_tune"),
])  # fmt: skip
def test_the_first_rule_that_holds_decides(changes, rule, first, then):
    labels, name, _ = ranked(dataclasses.replace(RELATED, **changes))
    assert (name, *labels[:2]) == (rule, first, then)


def test_every_strategy_is_ranked_once_and_controls_come_last():
    labels, _, reasons = ranked(RELATED)
    assert sorted(labels) == sorted(ALL)
    assert set(labels[-2:]) == {"scratch", "majority"}
    assert all(reasons.values())
    assert "no case behind these rules" in reasons["maml"]


def test_the_reason_has_the_facts_in_it():
    _, _, reasons = ranked(RELATED)
    assert "1,600 source rows" in reasons["multi_task"]
    assert "100 rows for each of the target's labels" in reasons["multi_task"]
    _, _, reasons = ranked(dataclasses.replace(RELATED, cut=0.61))
    assert "61% of the target's tokens" in reasons["tfidf"]
    _, _, reasons = ranked(dataclasses.replace(RELATED, overlap=0.25))
    assert "25% of the labels" in reasons["target_only"]


def test_the_reason_speaks_of_compute_where_it_is_many_times_the_least():
    pair = {"multi_task": ALL["multi_task"], "tfidf": ALL["tfidf"]}
    _, _, reasons = ranked(RELATED, pair, {"multi_task": 20.0, "tfidf": 2.0})
    assert "10 times the work of tfidf" in reasons["multi_task"]
    assert "times the work" not in reasons["tfidf"]


def test_strategies_of_one_family_keep_their_order():
    pair = {"b": TfIdf(penalty=2), "a": TfIdf()}
    assert ranked(RELATED, pair)[0] == ["b", "a"]


def test_rules_are_few_complete_and_have_a_source():
    assert 4 <= len(rules.RULES) <= 8
    assert rules.RULES[-1].holds(RELATED)
    for rule in rules.RULES:
        assert rule.source and rule.because and set(rule.order) <= set(rules.FAMILIES)
        assert len(set(rule.order)) == len(rule.order)


def test_the_cases_behind_the_rules_are_apart_from_those_they_are_tried_on():
    from tests.benchmarks.advisor_cases import DEVELOPMENT, HELD_OUT

    def places(experiments):
        for experiment in experiments:
            for target in experiment["targets"].values():
                table = target.get("data", target.get("train"))
                domains = table["where"].get("domain")
                for domain in domains if isinstance(domains, list) else [domains]:
                    yield table["dataset"], domain

    known, new = set(places(DEVELOPMENT)), set(places(HELD_OUT))
    assert not known & new
    whole = {dataset for dataset, domain in known | new if domain is None}
    assert all(
        len({place for place in known | new if place[0] == dataset}) == 1 for dataset in whole
    )
    few = [e for e in HELD_OUT if sum(table["rows"] for table in e["sources"].values()) < 500]
    assert len(few) == 1  # the rule about little source data is tried too
    assert sum(len(e["targets"]) * len(e["budgets"]) for e in HELD_OUT) >= 12
    named = " ".join(rule.source for rule in rules.RULES)
    assert not any(e["name"] in named for e in HELD_OUT)


def test_the_first_of_the_rest_is_explained_where_the_rules_own_choice_is_missing():
    pair = {"fine_tune": ALL["fine_tune"], "tfidf": ALL["tfidf"]}
    labels, rule, reasons = ranked(RELATED, pair)
    assert labels[0] == "fine_tune"
    assert f"by the rule “{rule}”, which would start with joint training" in reasons["fine_tune"]
    assert "would start with" not in reasons["tfidf"]
