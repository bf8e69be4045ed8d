"""The share of words that training has hardly seen, by hand."""

import numpy as np
import pytest

from tests.experiments import make_experiment, make_table
from tests.experiments.test_prepared import prepare
from tf_transfer.data.rare_words import rare_word_shares
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import draw_support


def test_words_in_at_most_one_text_are_rare():
    tests = ["Kettle lamp", "kettle kettle drum", "river", "...", "lamp scarf drum river"]
    known = ["kettle kettle", "lamp lamp lamp", "KETTLE drum"]
    supports = [["lamp"], ["drum", "drum"]]
    # Texts with kettle 2, lamp 1, drum 1 in the sources. Seed 0 adds lamp 1, seed 1 adds drum 2.
    first = [0, 1 / 2, 1, 0, 3 / 4]
    second = [1 / 2, 0, 1, 0, 3 / 4]
    found = rare_word_shares(tests, known, supports)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx(np.mean([first, second], axis=0).tolist())


def test_without_a_word_or_a_source_nothing_fails():
    assert rare_word_shares(["...", "!"], ["a b"], [["c"]]).tolist() == [0, 0]
    assert rare_word_shares(["lamp"], [], [["lamp", "lamp"]]).tolist() == [0]


def test_every_budget_counts_the_labels_of_its_own_seeds():
    few = {"films": make_table(2, seed=1)}
    experiment = load_experiment(make_experiment(sources=few))
    data = prepare(sources=few)
    found = data.rare_words(experiment, "tweets")
    assert {b: s.shape for b, s in found.items()} == {6: (30,), 12: (30,)}
    assert (found[12] <= found[6]).all()
    assert found[12].sum() < found[6].sum()
    target, known = (
        data.targets["tweets"],
        [t for table in data.sources.values() for t in table["text"]],
    )
    supports = [draw_support(target.train, "tweets", 6, seed)["text"] for seed in (0, 1)]
    np.testing.assert_array_equal(found[6], rare_word_shares(target.test["text"], known, supports))
