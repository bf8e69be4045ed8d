"""Meta-learning of kinds that read tokens: tags of words, and answers in a text."""

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors, table_batch
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.tasks import Task
from tf_transfer.meta_gradients.gradient_check import gradcheck
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import ANIL, MAML, MetaSGD, Reptile

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
    texts = (*NAMES["person"], *NAMES["city"], "so left")
    encoder = tiny.make_encoder(texts=texts, width=8)
    return TransferModel(encoder, [TASKS[name] for name in names], max_length=16, **options)


@pytest.fixture(scope="module")
def sampler():
    options = {"shot": 3, "num_query": 3, "seed": 1}
    return EpisodeSampler(make_table(24, 0), None, domain="domain", **options)


@pytest.mark.parametrize(
    ("strategy", "tasks"),
    [
        (MAML(inner_steps=2, inner_lr=0.1), ["names"]),
        (MAML(inner_steps=1, inner_lr=0.1, rows_a_part=2), ["answers"]),
        (ANIL(inner_steps=2, inner_lr=0.1), ["names", "answers", "mood"]),
        (MetaSGD(inner_steps=1, inner_lr=0.1), ["names"]),
    ],
)
def test_meta_gradients_are_those_of_central_differences(sampler, strategy, tasks):
    check = gradcheck(strategy, make_model(*tasks, dropout=0.0), sampler.episode(0))
    assert check.relative_error <= 1e-6, check
    assert (check.table["numeric"].abs() > 1e-9).mean() > 0.5


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
        assert np.array_equal(y["mood"][number], labels["mood"])
        assert np.array_equal(w["names"][number], weights["names"])


@pytest.mark.parametrize(
    "strategy",
    [
        MAML(steps=3, meta_batch=2, inner_steps=1, shot=3, num_query=3, adapt_steps=2),
        ANIL(steps=3, meta_batch=2, inner_steps=2, shot=3, num_query=3),
        Reptile(steps=3, meta_batch=2, inner_steps=2, shot=3, num_query=3),
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
