"""Strategies on the same episodes: scores and intervals against scikit-learn and scipy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score

from tests import tiny
from tests.benchmarks.fewshot import Neighbours
from tf_transfer.episodes.class_splits import classes_of
from tf_transfer.episodes.fingerprint import check_rows
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError
from tf_transfer.evaluation.episodes import EpisodeComparison, episode_tables, evaluate_episodes
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import MAML, LinearProbe, ProtoMAML, ProtoNet

PROBE = LinearProbe(uses_source=False)


@pytest.fixture(scope="module")
def sampler():
    words = ["ant", "bee", "cat", "dog", "eel"]
    rows = [{"text": f"{w} {'so ' * n}", "animal": w} for w in words for n in range(6)]
    return EpisodeSampler(pd.DataFrame(rows), "animal", way=3, shot=2, num_query=3, seed=1)


@pytest.fixture(scope="module")
def model():
    encoder = tiny.make_encoder(texts=("ant bee cat dog eel so",))
    return TransferModel(
        encoder, Task("animal", kind="classification", classes=(0, 1, 2)), max_length=12
    )


@pytest.fixture(scope="module")
def found(sampler, model):
    before = tiny.snapshot(model)
    candidates = {
        "probe": (PROBE, model),
        "prototypes": (ProtoNet(), model),
        "far": (MAML(inner_lr=1e25), model),
    }
    result = evaluate_episodes(candidates, sampler, sampler.sample(5))
    assert tiny.same(before, tiny.snapshot(model))
    return result


@pytest.mark.slow
def test_every_strategy_is_scored_on_every_episode(found, sampler, model):
    assert found.strategies == ["probe", "prototypes", "far"]
    assert found.values.groupby("strategy")["episode"].apply(list).to_dict()["probe"] == [
        0,
        1,
        2,
        3,
        4,
    ]
    for strategy, name in ((PROBE, "probe"), (ProtoNet(), "prototypes")):  # noqa: B007 (in the query)
        task, support, query = episode_tables(sampler, sampler.episode(3))
        prediction = strategy.adapt(model, support).predict(query, verbose=0)[task.name]
        labels = prediction.labels
        row = found.values.query("strategy == @name and episode == 3").iloc[0]
        assert row["accuracy"] == pytest.approx(
            accuracy_score(query["animal"].astype(int), labels.astype(int))
        )
        auroc = roc_auc_score(query["animal"].astype(int), prediction.scores, multi_class="ovr")
        assert row["auroc"] == pytest.approx(auroc)


def test_episodes_of_fewer_classes_than_the_head_has(sampler, model):
    several = EpisodeSampler(sampler.table, "animal", way=(2, 3), shot=1, num_query=2, seed=0)
    episodes = [next(e for e in several.sample(8) if e.way == way) for way in (2, 3)]
    candidates = {
        "prototypes": (ProtoNet(), model),
        "descent": (ProtoMAML(inner_steps=2, inner_lr=0.1), model),
    }
    found = evaluate_episodes(candidates, several, episodes)
    assert found.values["accuracy"].between(0, 1).all() and not found.values["diverged"].any()
    assert found.table("accuracy").loc["prototypes", "mean"] > 0.5  # above chance


def test_classes_of_meta_training_are_refused(sampler, model):
    seen = Fitted(model, classes=classes_of({"training": sampler}))
    with pytest.raises(DataError, match="must have no class in common"):
        evaluate_episodes({"prototypes": (ProtoNet(), seen)}, sampler, sampler.sample(1))


def test_labels_are_the_episodes_own_numbers(sampler):
    episode = sampler.episode(2)
    task, support, query = episode_tables(sampler, episode)
    assert task.classes == (0, 1, 2)
    for table, rows in ((support, episode.support), (query, episode.query)):
        named = [episode.classes[i] for i in table["animal"]]
        assert named == sampler.table["animal"].iloc[rows].tolist()


def test_a_strategy_that_diverges_is_counted_and_has_no_score(found):
    table = found.table("accuracy")
    assert table["diverged"].to_dict() == {"probe": 0, "prototypes": 0, "far": 5}
    assert (
        np.isnan(table.loc["far", "mean"])
        and found.values.query("strategy == 'far'")["accuracy"].isna().all()
    )


def made(**values):
    rows = [{"strategy": s, "episode": i, "diverged": np.isnan(v), "seconds": 1.0, "accuracy": v}
            for s, found in values.items() for i, v in enumerate(found)]  # fmt: skip
    return EpisodeComparison(pd.DataFrame(rows))


def test_intervals_are_scipys():
    draws = np.random.default_rng(0)
    a, b = draws.uniform(size=(2, 30))
    result = made(a=a, b=b)
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    row = result.table().loc["a"]
    np.testing.assert_allclose([row["low"], row["high"]], expected)
    assert (row["mean"], row["median"]) == (pytest.approx(a.mean()), pytest.approx(np.median(a)))
    gap = result.differences("b", confidence=0.9).loc["a"]
    np.testing.assert_allclose(
        [gap["low"], gap["high"]], stats.ttest_rel(a, b).confidence_interval(0.9)
    )
    assert gap["difference"] == pytest.approx((a - b).mean())


def test_differences_are_over_the_episodes_that_both_finished():
    gap = made(a=[0.5, np.nan, 0.9], b=[0.4, 0.1, 0.6]).differences("b").loc["a"]
    assert (gap["difference"], gap["episodes"]) == (pytest.approx(0.2), 2)


def test_it_prints_and_renders(found):
    assert "prototypes" in str(found) and "<table" in found._repr_html_()


def test_bad_input(found, sampler, model):
    with pytest.raises(DataError, match="needs strategies and episodes"):
        evaluate_episodes({}, sampler, sampler.sample(1))
    with pytest.raises(DataError, match="accurac"):
        found.table("accurac")
    with pytest.raises(DataError, match="prob"):
        found.differences("prob")
    with pytest.raises(DataError, match="confidence"):
        found.table(confidence=95)
    rows = EpisodeSampler(sampler.table, None, shot=2, num_query=2)
    with pytest.raises(DataError, match="task=None"):
        evaluate_episodes({"probe": (PROBE, model)}, rows, rows.sample(1))
    with pytest.raises(
        DataError, match=r"A candidate must be(.|\n)*Received LinearProbe\(.* for 'probe'"
    ):
        evaluate_episodes({"probe": PROBE}, sampler, sampler.sample(1))
    with pytest.raises(DataError, match=r"must be a list of Episode.\nReceived 5.\nDraw"):
        evaluate_episodes({"probe": (PROBE, model)}, sampler, 5)
    with pytest.raises(DataError, match=r"index of its own.*\nReceived 2 more than once"):
        evaluate_episodes(
            {"probe": (PROBE, model)}, sampler, [*sampler.sample(3), sampler.episode(2)]
        )


def test_episodes_of_another_table_are_refused(sampler, model):
    candidates = {"prototypes": (ProtoNet(), model)}
    shuffled = EpisodeSampler(
        sampler.table.sample(frac=1, random_state=0), "animal", way=3, shot=2, num_query=3
    )
    with pytest.raises(DataError, match="Received episode 0 with rows of another table"):
        evaluate_episodes(candidates, sampler, shuffled.sample(1))
    frozen = [dataclasses.replace(e, sampler=None) for e in sampler.sample(8)]  # as from a file
    short = EpisodeSampler(sampler.table.head(24), "animal", way=3, shot=2, num_query=3)
    with pytest.raises(DataError, match=r"with (rows of another table|the unknown classes 'eel')"):
        evaluate_episodes(candidates, short, frozen)
    same = EpisodeSampler(sampler.table.assign(text="x"), "animal", way=2, shot=1, num_query=1)
    check_rows(same, [*sampler.sample(1), *frozen])
    for labels in ([0, 1, 2] * 6, [True, False] * 9):
        plain = pd.DataFrame({"text": "x", "label": labels})
        spelt = plain.assign(label=[f"{label} " for label in labels])
        one, other = (
            EpisodeSampler(t, Task("label", kind="classification"), 2, 1, 1) for t in (plain, spelt)
        )
        check_rows(one, other.sample(1))


def test_a_task_is_known_by_its_labels(sampler, model):
    task = Task("kind", label="animal", kind="classification", classes=(0, 1, 2))
    named = TransferModel(model.encoder.copy(), task, max_length=12)
    assert (
        evaluate_episodes({"p": (ProtoNet(), named)}, sampler, sampler.sample(1))
        .values["accuracy"]
        .notna()
        .all()
    )
    other = TransferModel(model.encoder.copy(), Task("stars", kind="regression"), max_length=12)
    table = sampler.table.assign(size=np.arange(30.0), stars=np.arange(30.0))
    numbers = EpisodeSampler(table, Task("size", kind="regression"), shot=3)
    with pytest.raises(DataError, match="labels in column 'size'"):
        evaluate_episodes({"m": (PROBE, other)}, numbers, numbers.sample(1))


def test_one_strategy_has_no_differences():
    assert list(made(a=[0.5, 0.7]).differences("a").columns) == [
        "difference",
        "low",
        "high",
        "episodes",
    ]


def test_the_benchmarks_nearest_neighbour_is_scored_as_a_strategy(sampler, model):
    """It is no strategy of the package, and stands beside them in `tests.benchmarks.fewshot`."""
    values = evaluate_episodes({"knn": (Neighbours(), model)}, sampler, sampler.sample(2)).values
    assert values["accuracy"].between(0, 1).all() and not values["diverged"].any()
