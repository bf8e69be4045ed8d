"""Meta-learning of kinds that read tokens: tags of words, and answers in a text."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.comparison.compare import compare
from tf_transfer.devices.backend import tf
from tf_transfer.episodes.class_splits import check_class_disjoint, split_classes
from tf_transfer.episodes.files import freeze_episodes, load_episodes
from tf_transfer.episodes.greedy import draw_rows
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors, table_batch
from tf_transfer.errors import DataError, LabelWarning
from tf_transfer.evaluation.episodes import episode_tables, evaluate_episodes
from tf_transfer.kinds import KINDS
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.tasks import Task
from tf_transfer.kinds.words import Words
from tf_transfer.meta_gradients.gradient_check import gradcheck
from tf_transfer.meta_gradients.head_adapter import HeadAdapter, head_loss, head_variables
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import (
    ANIL,
    MAML,
    MetaSGD,
    ProtoMAML,
    ProtoNet,
    Reptile,
    TargetOnly,
)
from tf_transfer.strategies.proto_net import prototype_head
from tf_transfer.strategies.reptile import _of_one_length

NAMES = {"person": ("Ada", "Carl", "Eve"), "city": ("Rome", "Oslo", "Bern")}
TASKS = {
    "names": Task("names", kind="tagging", classes=("city", "person")),
    "answers": Task("answers", kind="span"),
    "mood": Task("mood", kind="classification", classes=("glad", "sad")),
}


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """A person goes to a city; the answer is the city."""
    draws = np.random.default_rng(seed)
    table = []
    for _ in range(rows):
        person, city = (draws.choice(NAMES[kind]) for kind in ("person", "city"))
        text = " so" * int(draws.integers(0, 4)) + f" {person} left {city}"
        first, second = text.index(person), text.index(city)
        names = [(first, first + len(person), "person"), (second, second + len(city), "city")]
        answers = [{"start": second, "text": city}]
        table.append((text.strip(), _moved(names, text), _moved_answers(answers, text)))
    frame = pd.DataFrame(table, columns=["text", "names", "answers"])
    return frame.assign(mood=["glad", "sad"] * (rows // 2), domain=["a", "b"] * (rows // 2))


def _moved(spans, text):
    lost = len(text) - len(text.strip())
    return [(start - lost, end - lost, kind) for start, end, kind in spans]


def _moved_answers(answers, text):
    lost = len(text) - len(text.strip())
    return [each | {"start": each["start"] - lost} for each in answers]


def make_model(*names, **options):
    texts = (*NAMES["person"], *NAMES["city"], "so left today Monday May")
    encoder = tiny.make_encoder(texts=texts, width=8)
    tasks = [TASKS[name] for name in names] or [slots((0, 1))]
    return TransferModel(encoder, tasks, max_length=16, **options)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def sampler():
    options = {"shot": 3, "num_query": 3, "seed": 1}
    return EpisodeSampler(make_table(24, 0), None, domain="domain", **options)


@pytest.mark.parametrize(
    ("strategy", "tasks"),
    [
        (MAML(inner_steps=2, inner_lr=0.1), ["names"]),
        slow(MAML(inner_steps=1, inner_lr=0.1, rows_a_part=2), ["answers"]),
        (ANIL(inner_steps=2, inner_lr=0.1), ["names", "answers", "mood"]),
        slow(MetaSGD(inner_steps=1, inner_lr=0.1), ["names"]),
    ],
)
def test_meta_gradients_are_those_of_central_differences(sampler, strategy, tasks):
    check = gradcheck(strategy, make_model(*tasks, dropout=0.0), sampler.episode(0))
    assert check.relative_error <= 1e-6, check
    assert (check.table["numeric"].abs() > 1e-9).mean() > 0.5


@pytest.mark.parametrize(
    "strategy",
    [ProtoNet(), slow(ProtoMAML(inner_steps=1, inner_lr=0.01, rows_a_part=3))],
)
def test_meta_gradients_of_episodes_of_types(strategy):
    sampler = EpisodeSampler(make_slots(60), slots(), way=2, shot=1, num_query=1)
    check = gradcheck(strategy, make_model(dropout=0.0), sampler.episode(0))
    assert check.relative_error <= 1e-6, check


def test_other_words_of_a_type_stand_in_for_each_other():
    """Outside, first and other word of one type; no example is of another word."""
    vectors, labels = tf.constant([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]), tf.constant([0, 1, 1])
    stand_ins = KINDS["tagging"].stand_ins(slots(("city", "day")))
    assert stand_ins == [0, 2, 1, 4, 3]
    kernel, bias = prototype_head(vectors, labels, tf.ones(3), 3, stand_ins=stand_ins[:3])
    assert kernel.numpy().tolist() == [[0, 6, 6], [0, 0, 0]] and bias.numpy().tolist() == [
        0,
        -9,
        -9,
    ]


def test_episodes_are_scored_by_their_spans():
    """Prototypes by hand: the nearest mean of the words of each tag."""
    table = make_slots(80)
    sampler = EpisodeSampler(table, slots(), way=2, shot=2, num_query=2)
    model = make_model()
    model.resolve(table)
    episodes = sampler.sample(3)
    strategies = {"proto_net": ProtoNet(uses_source=False), "fine_tune": TargetOnly(adapt_steps=1)}
    candidates = {name: (strategy, model) for name, strategy in strategies.items()}
    values = evaluate_episodes(candidates, sampler, episodes).values
    assert values["f1_micro"].notna().all() and (values["f1_micro"] >= 0).all()
    task, support, query = episode_tables(sampler, episodes[0])
    tokens = [model.tokenise(part, spans=True) for part in (support, query)]
    own, other = (model.encode_tokens(part).astype(np.float64) for part in tokens)
    y, _ = task.encode(support)
    tags = KINDS["tagging"].targets(task, y, tokens[0])
    means = {tag: own[tags == tag].mean(0) for tag in range(5) if (tags == tag).any()}
    scores = np.zeros((len(other), 5))
    for tag in (0, 1, 2, 3, 4):
        mean = means.get(tag, means[tag - 1 if tag in (2, 4) else tag])
        scores[:, tag] = -((other - mean) ** 2).sum(1)
    words = Words.of(tokens[1])
    expected = words.spans(words.best_tags(scores[words.tokens]), 2)
    adapted = strategies["proto_net"].adapt(model, support)
    said = adapted.predict(query, verbose=0)["slots"].scores
    assert [row.tolist() for row in said] == [row.tolist() for row in expected]


def test_first_order_is_another_gradient(sampler):
    strategy = MAML(inner_steps=2, inner_lr=0.1, first_order=True)
    assert gradcheck(strategy, make_model("names"), sampler.episode(0)).relative_error > 1e-4


def test_episodes_have_the_tags_of_their_rows(sampler):
    model = make_model("names", "answers", "mood")
    tensors = EpisodeTensors(model, sampler)
    episodes = sampler.sample(2)
    (x, y, w), _ = tensors(episodes)
    assert y["names"].shape == y["answers"].shape == x["input_ids"].shape
    for number, episode in enumerate(episodes):
        rows = sampler.table.iloc[episode.support].reset_index(drop=True)
        own, labels, weights = table_batch(model, rows)
        length = own["input_ids"].shape[1]
        for name in ("names", "answers"):
            assert np.array_equal(y[name][number][:, :length], labels[name])
            assert np.all(y[name][number][:, length:] == PADDED)
            assert np.all(y[name][number][x["attention_mask"][number] == 0] == PADDED)
        assert np.array_equal(y["mood"][number], labels["mood"])
        assert np.array_equal(w["names"][number], weights["names"])


@pytest.mark.parametrize(
    "strategy",
    [
        MAML(steps=3, meta_batch=2, inner_steps=1, shot=3, num_query=3, adapt_steps=2),
        slow(ANIL(steps=3, meta_batch=2, inner_steps=2, shot=3, num_query=3)),
        slow(Reptile(steps=3, meta_batch=2, inner_steps=2, shot=3, num_query=3)),
    ],
)
def test_tables_train_and_a_target_is_adapted_to(strategy):
    model = make_model("names", "answers", "mood")
    sources = {name: make_table(16, seed) for seed, name in enumerate("ab")}
    before = [v.numpy() for v in model.trained_variables]
    fitted = strategy.fit(model, sources)
    assert any((v.numpy() != old).any() for v, old in zip(model.trained_variables, before))
    adapted = strategy.adapt(fitted, make_table(12, 3))
    scores = adapted.evaluate(make_table(12, 4))
    assert scores["test", "names", "f1_micro"] >= 0.9
    assert 0 <= scores["test", "answers", "f1_words"] <= 1


def test_an_episode_of_types_has_enough_of_each_and_no_other():
    """By the rules of Few-NERD's greedy sampling, counted from the cells."""
    table = make_slots(60)
    sampler = EpisodeSampler(table, slots(), way=2, shot=2, num_query=3, seed=4)
    for episode in sampler.sample(12):
        assert not set(episode.support) & set(episode.query)
        for rows, shot in ((episode.support, 2), (episode.query, 3)):
            counts = Counter(kind for cell in table["slots"].iloc[rows] for *_, kind in cell)
            assert set(counts) == set(episode.classes)
            assert all(shot <= count <= 2 * shot for count in counts.values())
    assert len({episode.classes for episode in sampler.sample(12)}) > 1
    again = EpisodeSampler(table, slots(), way=2, shot=2, num_query=3, seed=4).episode(7)
    assert np.array_equal(again.support, sampler.episode(7).support)


def test_rows_are_taken_until_each_class_is_there():
    draws = np.random.default_rng(0)
    for _ in range(200):
        counts, shots = draws.integers(0, 3, (20, 3)), draws.integers(1, 4, 3)
        chosen = draw_rows(draws, np.arange(100, 120), counts, shots)
        if chosen is not None:
            total = counts[chosen - 100].sum(0)
            without_last = counts[chosen[:-1] - 100].sum(0)
            assert (shots <= total).all() and (total <= 2 * shots).all()
            assert (without_last < shots).any()
    assert draw_rows(draws, np.arange(2), np.eye(2, 3, dtype=int), np.ones(3, int)) is None


def test_heads_on_kept_features_have_the_loss_of_the_whole_model():
    model, table = make_model("names", "answers", "mood"), make_table(6, 0)
    x, y, w = table_batch(model, table)
    batch = HeadAdapter(model, 1).batch(table)
    heads = head_variables(model)
    expected = model.compute_losses(y, model(x), w)[0]
    np.testing.assert_allclose(head_loss(model, heads, heads, batch, False), expected, rtol=1e-6)


def test_batches_of_one_length_pad_their_tags():
    model = make_model("names", "mood")
    table = make_table(2, 0).iloc[:1]
    tables = table.assign(text=table["text"] + " so" * 10), table
    long, short = (table_batch(model, each) for each in tables)
    lengths = [x["input_ids"].shape[1] for x, _, _ in (long, short)]
    assert lengths[0] != lengths[1]
    for (x, y, _), length in zip(_of_one_length(long, short, ["names"]), lengths):
        assert y["names"].shape == x["input_ids"].shape == (1, max(lengths))
        assert np.all(y["names"][:, length:] == PADDED) and y["mood"].shape == (1,)


def test_types_without_rows_of_their_own_are_said():
    table = make_slots(30)
    table["slots"] = [[(0, 1, "city"), (2, 3, "day"), (4, 5, "person")]] * 30
    sampler = EpisodeSampler(table, slots(), way=2, num_query=3)
    with pytest.raises(DataError, match="rows that have its types and no others"):
        sampler.episode(0)


def slots(classes=("city", "day", "person")):
    return Task("slots", kind="tagging", classes=classes)


def make_slots(rows: int, seed: int = 0) -> pd.DataFrame:
    """Each text has spans of one or two of three types."""
    draws, words, cells = np.random.default_rng(seed), [], []
    names = NAMES | {"day": ("today", "Monday", "May")}
    for _ in range(rows):
        text, spans = "so", []
        for kind in draws.permutation(list(names))[: draws.integers(1, 3)]:
            name = draws.choice(names[kind])
            spans.append((len(text) + 1, len(text) + 1 + len(name), str(kind)))
            text += f" {name}"
        words.append(text), cells.append(spans)
    return pd.DataFrame({"text": words, "slots": cells})


def test_types_are_dealt_out_to_splits(tmp_path):
    table = make_slots(60)
    with pytest.warns(LabelWarning, match="rows are left out: they have spans of types of two"):
        parts = split_classes(table, slots(), validation=1, test=1, seed=1)
    kinds = [{kind for cell in part["slots"] for *_, kind in cell} for part in parts]
    assert sorted(map(len, kinds)) == [1, 1, 1] and set.union(*kinds) == set(slots().classes)
    check_class_disjoint(dict(zip("abc", parts)), slots())
    with pytest.raises(DataError, match="no class in common"):
        check_class_disjoint({"a": parts[0], "b": table}, slots())
    sampler = EpisodeSampler(table, slots(), way=2, shot=1, num_query=1)
    freeze_episodes(sampler, 3, tmp_path / "episodes.json")
    again = load_episodes(tmp_path / "episodes.json", table)
    for own, other in zip(sampler.sample(3), again, strict=True):
        assert np.array_equal(own.query, other.query) and own.classes == other.classes
    moved = table.assign(slots=[[(a, b, "city") for a, b, _ in cell] for cell in table["slots"]])
    with pytest.raises(DataError, match="replayed on the table"):
        load_episodes(tmp_path / "episodes.json", moved)


def test_an_episode_numbers_its_types_anew():
    table = make_slots(60)
    sampler = EpisodeSampler(table, slots(), way=2, shot=1, num_query=1)
    model = make_model()
    episodes = [e for e in sampler.sample(20) if e.classes == ("person", "city")][:1]
    (_, y, w), _ = EpisodeTensors(model, sampler)(episodes)
    rows = table.iloc[episodes[0].support].reset_index(drop=True)
    numbered = rows.assign(
        slots=[[(a, b, {"person": 0, "city": 1}[k]) for a, b, k in cell] for cell in rows["slots"]]
    )
    _, labels, _ = table_batch(model, numbered)
    kept = len(rows)
    assert np.array_equal(y["slots"][0][:kept], labels["slots"])
    assert w["slots"][0].numpy().tolist() == [1.0] * kept + [0.0] * (2 - kept)
    task, support, _ = episode_tables(sampler, episodes[0])
    assert support["slots"].tolist() == numbered["slots"].tolist() and task.classes == (0, 1)


@pytest.fixture(scope="module")
def folder_of_encoder(tmp_path_factory):
    encoder, folder = make_model().encoder, tmp_path_factory.mktemp("encoders") / "names"
    encoder.transformer.save_pretrained(folder, safe_serialization=True)
    encoder.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "column", "names"),
    [
        ("tagging", "names", ["maml", "anil", "meta_sgd", "reptile", "proto_net", "proto_maml"]),
        ("span", "answers", ["maml", "anil", "meta_sgd", "reptile"]),
    ],
)
def test_a_comparison_gives_a_verdict_on_each(folder_of_encoder, tmp_path, kind, column, names):
    def rows(count, seed):
        table = make_table(count, seed)[["text", column]]
        return table.assign(text=[f"{text} {place}" for place, text in enumerate(table["text"])])

    outer = {"steps": 2, "meta_batch": 2, "shot": 2, "num_query": 2}
    content = {
        "name": "meta-learners",
        "encoder": {"name": str(folder_of_encoder), "max_length": 16},
        "tasks": [{"name": column, "kind": kind}],
        "sources": {"a": rows(16, 1), "b": rows(16, 2)},
        "targets": {"c": {"train": rows(12, 3), "test": rows(24, 4)}},
        "strategies": ["target_only", *({name: outer} for name in names)],
        "budgets": [6],
        "seeds": 2,
        "drop_leaks": False,
    }
    comparison = compare(content, tmp_path / "run")
    verdicts = comparison.verdicts().query("transfer").set_index("strategy")
    assert set(verdicts.index) == set(names)
    assert verdicts["verdict"].isin(["helped", "hurt", "undecided"]).all()
    comparison.save()
