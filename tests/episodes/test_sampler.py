import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task


def make_table(classes=8, rows=12, seed=0):
    """Rows of every class in a random order, each class within one of the domains 'a' and 'b'; no
    text.
    """
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), rows))
    return pd.DataFrame(
        {
            "intent": [f"intent {label}" for label in labels],
            "domain": np.where(labels % 2, "a", "b"),
            "score": np.arange(len(labels)) / 7,
        }
    )


def fields(episode):
    return [
        episode.support.tolist(),
        episode.query.tolist(),
        episode.classes,
        episode.domain,
        episode.index,
    ]


def message(*arguments, **options):
    with pytest.raises(DataError) as error:
        EpisodeSampler(*arguments, **options)
    return str(error.value)


def counts(table, episode, part):
    labels = table["intent"].iloc[getattr(episode, part)]
    return np.bincount(episode.encode(labels), minlength=episode.way).tolist()


def test_each_class_has_its_shot_and_query_rows_and_no_row_occurs_twice():
    table = make_table()
    for episode in EpisodeSampler(table, "intent", way=3, shot=2, num_query=4).sample(100):
        assert episode.way == len(set(episode.classes)) == 3 and episode.domain is None
        assert counts(table, episode, "support") == [2, 2, 2]
        assert counts(table, episode, "query") == [4, 4, 4]
        rows = np.concatenate([episode.support, episode.query])
        assert rows.dtype == np.int64 and len(set(rows)) == 18


def test_support_and_query_stand_class_by_class():
    table = make_table()
    episode = EpisodeSampler(table, "intent", way=3, shot=2, num_query=1).episode(0)
    assert episode.encode(table["intent"].iloc[episode.support]).tolist() == [0, 0, 1, 1, 2, 2]
    assert episode.encode(table["intent"].iloc[episode.query]).tolist() == [0, 1, 2]


def test_every_row_of_a_class_can_be_used_up():
    table = make_table(classes=2, rows=6)
    episode = EpisodeSampler(table, "intent", way=2, shot=2, num_query=4).episode(3)
    assert sorted([*episode.support, *episode.query]) == list(range(12))


def test_an_episode_depends_on_its_number_only():
    table = make_table()
    sampler = EpisodeSampler(table, "intent", way=(2, 4), shot=(1, 3), num_query=2, seed=5)
    ten = [fields(e) for e in sampler.sample(10)]
    assert [fields(e) for e in sampler.sample(4)] == ten[:4]
    assert [fields(e) for e in sampler.sample(3, start=6)] == ten[6:9]
    assert [fields(e) for e in itertools.islice(sampler, 10)] == ten
    assert fields(sampler.episode(7)) == ten[7]
    again = EpisodeSampler(table, Task("intent"), way=(2, 4), shot=(1, 3), num_query=2, seed=5)
    assert [fields(e) for e in again.sample(10)] == ten
    other = EpisodeSampler(table, "intent", way=(2, 4), shot=(1, 3), num_query=2, seed=6)
    assert not any(a[0] == fields(b)[0] for a, b in itertools.product(ten, other.sample(10)))
    assert len({str(e[:3]) for e in ten}) == 10


def test_texts_are_never_looked_at():
    table = make_table()
    options = {"way": 3, "shot": 2, "num_query": 2, "domain": "domain"}
    without = [fields(e) for e in EpisodeSampler(table, "intent", **options).sample(20)]
    for texts in ("same", [f"text {i}" for i in range(len(table))], None):
        with_texts = table.assign(text=texts)
        assert [
            fields(e) for e in EpisodeSampler(with_texts, "intent", **options).sample(20)
        ] == without


def test_positions_do_not_depend_on_the_index_nor_on_later_changes():
    table = make_table()
    sampler = EpisodeSampler(
        table.set_index(np.arange(len(table)) + 50), "intent", way=2, shot=1, num_query=1
    )
    assert fields(sampler.episode(0)) == fields(EpisodeSampler(table, "intent", 2, 1, 1).episode(0))
    before = sampler.table["intent"].tolist()
    table["intent"] = "changed"
    assert sampler.table["intent"].tolist() == before and sampler.table.index[0] == 0


def test_variable_way_and_shot_reach_both_ends():
    table = make_table()
    episodes = EpisodeSampler(table, "intent", way=(2, 5), shot=(1, 3), num_query=2).sample(200)
    assert {e.way for e in episodes} == {2, 3, 4, 5}
    shots = [counts(table, e, "support") for e in episodes]
    assert {tuple(set(s)) for s in shots} == {(1,), (2,), (3,)}
    assert all(set(counts(table, e, "query")) == {2} for e in episodes)


def test_unbalanced_support_with_balanced_query():
    table = make_table()
    episodes = EpisodeSampler(
        table, "intent", way=3, shot=(1, 6), num_query=4, balanced=False
    ).sample(200)
    shots = np.array([counts(table, e, "support") for e in episodes])
    assert shots.min() == 1 and shots.max() == 6
    assert stats.chisquare(np.bincount(shots.ravel())[1:]).pvalue > 0.01
    assert abs(np.corrcoef(shots[:, 0], shots[:, 1])[0, 1]) < 0.2
    assert all(counts(table, e, "query") == [4, 4, 4] for e in episodes)


def test_classes_rows_and_orders_are_drawn_uniformly():
    table = make_table(classes=6, rows=10)
    episodes = EpisodeSampler(table, "intent", way=3, shot=2, num_query=3, seed=1).sample(2000)
    names = sorted(table["intent"].unique())
    for place in range(3):
        observed = np.bincount([names.index(e.classes[place]) for e in episodes], minlength=6)
        assert stats.chisquare(observed).pvalue > 0.01
    for part in ("support", "query"):
        rows = np.bincount(np.concatenate([getattr(e, part) for e in episodes]), minlength=60)
        assert rows.min() / rows.mean() > 0.7 and rows.max() / rows.mean() < 1.3
        assert stats.chisquare(rows).pvalue > 0.01
    pairs = itertools.permutations(names, 3)
    orders = np.array([sum(e.classes == order for e in episodes) for order in pairs])
    assert stats.chisquare(orders).pvalue > 0.01


@pytest.mark.parametrize(
    ("classes", "values"),
    [
        (("b", "a"), [" a ", "b"]),
        ((3, 1), np.array([1.0, 3.0])),
        ((3, 1), ["1", "3"]),
        (("3", "1"), np.array([1.0, 3.0])),
        ((True, False), np.array([False, True])),
        ((True, False), pd.Series(["False", "True"], index=[8, 9])),
    ],
)
def test_labels_are_renumbered_and_back(classes, values):
    episode = Episode(np.arange(2), np.arange(2, 4), classes, None, 0)
    labels = episode.encode(values)
    assert labels.dtype == np.int32 and labels.tolist() == [1, 0]
    assert episode.decode(labels).tolist() == [classes[1], classes[0]]
    assert list(map(type, episode.decode(labels))) == [type(classes[0])] * 2


def test_labels_of_another_episode_are_refused():
    episode = Episode(np.arange(2), np.arange(2, 4), ("a", "None"), None, 4)
    for value in ("c", None, np.nan):
        with pytest.raises(
            DataError, match="episode 4 must be among its classes 'a', 'None'"
        ) as error:
            episode.encode(pd.Series(["a", value], dtype=object))
        assert "in row 1" in str(error.value) and "table[label].iloc[episode.support]" in str(
            error.value
        )
    for label in (2, -1):
        with pytest.raises(DataError, match=rf"must be in \[0, 2\)\.\nReceived {label}\."):
            episode.decode(np.array([0, label]))


def test_rows_without_a_label_never_enter():
    table = make_table(classes=3, rows=12)
    missing = table.groupby("intent").head(6).index
    table.loc[missing[::2], "intent"] = None
    table.loc[missing[1::2], "intent"] = " "
    for episode in EpisodeSampler(table, "intent", way=3, shot=2, num_query=4).sample(20):
        assert not set(missing) & {*episode.support, *episode.query}


def test_a_class_of_the_task_without_rows_is_not_drawn():
    table = make_table(classes=3)
    task = Task("intent", classes=("intent 2", "elsewhere", "intent 1", "intent 0"))
    sampler = EpisodeSampler(table, task, way=3, shot=1, num_query=1)
    assert sampler.classes == ("intent 2", "intent 1", "intent 0")
    assert {c for e in sampler.sample(20) for c in e.classes} == set(sampler.classes)


def test_regression_draws_labelled_rows_in_total():
    table = make_table()
    table.loc[::3, "score"] = np.nan
    sampler = EpisodeSampler(table, "score", way=None, shot=(2, 7), num_query=9)
    episodes = sampler.sample(300)
    assert sampler.classes == () and {len(e.support) for e in episodes} == set(range(2, 8))
    for episode in episodes:
        rows = [*episode.support, *episode.query]
        assert len(episode.query) == 9 and len(set(rows)) == len(rows)
        assert episode.classes == () and episode.way == 0
        assert table["score"].iloc[rows].notna().all()
    assert {r for e in episodes for r in e.support} == set(np.flatnonzero(table["score"].notna()))


def test_rows_only_draws_rows_with_any_labels():
    table = make_table()
    table.loc[::2, "intent"] = None
    episodes = EpisodeSampler(table, shot=4, num_query=6).sample(200)
    assert all(len(e.support) == 4 and len({*e.support, *e.query}) == 10 for e in episodes)
    assert {r for e in episodes for r in e.support} == set(range(len(table)))


@pytest.mark.parametrize("task", ["intent", "score", None])
def test_each_episode_is_of_one_domain(task):
    table = make_table()
    table.loc[:5, "domain"] = None
    table.loc[6:8, "domain"] = " "
    sampler = EpisodeSampler(table, task, way=2, shot=1, num_query=2, domain="domain")
    episodes = sampler.sample(400)
    assert set(sampler.domains) == {"a", "b"}
    for episode in episodes:
        rows = [*episode.support, *episode.query]
        assert set(table["domain"].iloc[rows]) == {episode.domain}
    assert stats.binomtest(sum(e.domain == "a" for e in episodes), 400).pvalue > 0.01


def test_domains_are_equally_likely_whatever_their_size():
    table = pd.DataFrame({"domain": [1.0] * 900 + [2.0] * 100 + [np.nan] * 5})
    episodes = EpisodeSampler(table, shot=1, num_query=1, domain="domain").sample(400)
    drawn = [e.domain for e in episodes]
    assert set(map(type, drawn)) == {int}
    assert stats.binomtest(drawn.count(1), 400).pvalue > 0.01


def test_drop_small_leaves_out_classes_and_domains():
    table = pd.DataFrame(
        [("a", c) for c in "uvw" for _ in range(5)]
        + [("a", "x")] * 4
        + [("b", c) for c in "uv" for _ in range(5)]
        + [("b", c) for c in "wxyz" for _ in range(4)],
        columns=["domain", "intent"],
    )
    options = {"way": 3, "shot": 2, "num_query": 3, "drop_small": True}
    sampler = EpisodeSampler(table, "intent", domain="domain", **options)
    assert sampler.domains == ("a",) and sampler.classes == ("u", "v", "w")
    assert {e.domain for e in sampler.sample(20)} == {"a"}
    whole = EpisodeSampler(table, "intent", **options)
    assert whole.classes == ("u", "v", "w", "x")
    rows = EpisodeSampler(table, None, shot=10, num_query=10, domain="domain", drop_small=True)
    assert rows.domains == ("b",)


def small_class():
    return pd.DataFrame({"intent": ["pay"] * 30 + ["refund"] * 12 + ["lost"] * 13})


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (
            ("intent", 2),
            {},
            "`shot` + `num_query` must not exceed the labelled rows of any class.\n"
            "Received shot=5, num_query=15; class 'refund' has 12 rows (one of 2 that are too "
            "small).\n"
            "Lower num_query to 7, or leave such classes out with drop_small=True.",
        ),
        (
            ("intent", 2, (1, 11), 2),
            {},
            "`shot` + `num_query` must not exceed the labelled rows of any class.\n"
            "Received shot=(1, 11), num_query=2; class 'refund' has 12 rows.\n"
            "Lower num_query to 1, or leave such classes out with drop_small=True.",
        ),
        (
            ("intent", 2, 20, 3),
            {},
            "`shot` + `num_query` must not exceed the labelled rows of any class.\n"
            "Received shot=20, num_query=3; class 'refund' has 12 rows (one of 2 that are too "
            "small).\n"
            "Lower shot and num_query to 12 together, or leave such classes out with "
            "drop_small=True.",
        ),
        (
            ("intent", 2),
            {"drop_small": True},
            "`way` must not exceed the classes of the table.\n"
            "Received way=2; the table has 1 classes of at least 20 rows.\n"
            "Add rows of other classes, or lower shot or num_query.",
        ),
        (
            ("intent", (2, 4), 1, 1),
            {},
            "`way` must not exceed the classes of the table.\n"
            "Received way=(2, 4); the table has 3 classes.\nLower way to 3.",
        ),
        (
            (None, None, 50, 15),
            {},
            "`shot` + `num_query` must not exceed the rows of the table.\n"
            "Received shot=50, num_query=15; the table has 55 rows.\nLower num_query to 5.",
        ),
        (
            (None, None, 50, 15),
            {"drop_small": True},
            "`shot` + `num_query` must not exceed the rows of the table.\n"
            "Received shot=50, num_query=15; the table has 55 rows.\nLower num_query to 5.",
        ),
    ],
)
def test_too_few_rows_or_classes_name_the_class_and_the_remedy(arguments, options, expected):
    assert message(small_class(), *arguments, **options) == expected


def test_too_few_rows_or_classes_within_a_domain():
    table = make_table(classes=5, rows=12)
    assert message(table, "intent", 2, 5, 8, domain="domain") == (
        "`shot` + `num_query` must not exceed the labelled rows of any class.\n"
        "Received shot=5, num_query=8; class 'intent 0' of domain 'b' has 12 rows (one of 5 that "
        "are too small).\n"
        "Lower num_query to 7, or leave such classes out with drop_small=True."
    )
    assert message(table, "intent", 3, 1, 1, domain="domain") == (
        "`way` must not exceed the classes of any domain.\n"
        "Received way=3; domain 'a' has 2 classes.\n"
        "Lower way to 2, or leave such domains out with drop_small=True."
    )
    assert message(table, "intent", 4, 1, 1, domain="domain", drop_small=True) == (
        "`way` must not exceed the classes of any domain.\n"
        "Received way=4; domain 'b' has 3 classes of at least 2 rows.\n"
        "Lower way to 3, or lower shot or num_query."
    )
    assert message(table, "score", None, 20, 10, domain="domain") == (
        "`shot` + `num_query` must not exceed the labelled rows of any domain.\n"
        "Received shot=20, num_query=10; domain 'a' has 24 rows.\n"
        "Lower num_query to 4, or leave such domains out with drop_small=True."
    )
    assert "domain 'b' has 36 rows" in message(
        table, "score", None, 40, 10, domain="domain", drop_small=True
    )
    table["domain"] = None
    assert message(table, "intent", 2, 1, 1, domain="domain") == (
        "Column 'domain' must name the domain of some rows.\nReceived none in 60 rows."
    )


WHOLE = "`{}` must be a whole number of at least {}.\nReceived {!r}."
RANGE = (
    "`{0}` must be a whole number of at least {1}, or two of them (low, high), low <= high.\n"
    "Received {0}={2!r}.\nGive for instance {0}=5 or {0}=({1}, 10)."
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        *(
            ({"way": way}, RANGE.format("way", 2, way))
            for way in (1, None, 2.0, True, (3, 2), (1, 3), (2, 3, 4), "2")
        ),
        *(
            ({"shot": shot}, RANGE.format("shot", 1, shot))
            for shot in (0, (0, 2), (3, 1), [1], None)
        ),
        *(({"num_query": n}, WHOLE.format("num_query", 1, n)) for n in (0, -1, (1, 2), 1.5)),
        *(({"seed": n}, WHOLE.format("seed", 0, n)) for n in (-1, None)),
        (
            {"balanced": False},
            "balanced=False draws a shot for each class, so it needs a classification and a range "
            "of shots.\n"
            "Received shot=1 and a classification.\nGive for instance shot=(1, 10), or leave "
            "balanced=True.",
        ),
        (
            {"task": "score", "shot": (1, 2), "balanced": False},
            "Received shot=(1, 2) and a regression.",
        ),
        ({"task": None, "shot": (1, 2), "balanced": False}, "Received shot=(1, 2) and task=None."),
        (
            {"task": ["intent"]},
            "`task` must be a Task or the column of its labels.\nReceived ['intent'].",
        ),
        ({"task": "intend"}, "Did you mean 'intent'?"),
        ({"task": Task("intend", kind="regression")}, "must have a column 'intend'"),
        ({"domain": "domains"}, "Did you mean 'domain'?"),
        (
            {"domain": "lists"},
            "Column 'lists' must hold one value in a row.\nReceived lists in some.",
        ),
        (
            {"task": "lists"},
            "A task must be a classification, tagging, regression or span here.\n"
            "Received 'lists': multilabel.\n"
            "Give Task('lists', kind='classification') if it is one, or task=None to draw rows of "
            "any labels.",
        ),
    ],
)
def test_bad_arguments(options, expected):
    table = make_table()
    table["lists"] = [["x"], ["y"]] * (len(table) // 2)
    assert expected in message(
        table, **({"task": "intent", "way": 2, "shot": 1, "num_query": 1} | options)
    )


def test_bad_numbers_of_episodes():
    sampler = EpisodeSampler(make_table(), "intent", 2, 1, 1)
    for call, expected in (
        (lambda: sampler.episode(-1), WHOLE.format("index", 0, -1)),
        (lambda: sampler.episode(1.0), WHOLE.format("index", 0, 1.0)),
        (lambda: sampler.sample(0), WHOLE.format("count", 1, 0)),
        (lambda: sampler.sample(1, start=-2), WHOLE.format("start", 0, -2)),
    ):
        with pytest.raises(DataError) as error:
            call()
        assert str(error.value) == expected
