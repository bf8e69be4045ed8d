"""Kinds that read tokens, trained together with others on one encoder."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel

TEXTS = ["Ada left Rome", "rain on the sea", "Carl saw Ada", "a cold day", "Rome is far", "no rain"]
TASKS = {
    "names": Task("names", kind="tagging"),
    "answers": Task("answers", kind="span"),
    "mood": Task("mood", kind="classification"),
}


@pytest.fixture(scope="module")
def table():
    names = [[(0, 3, "person"), (9, 13, "city")], [], [(9, 12, "person")], [], [(0, 4, "city")], []]
    answers = [[{"start": 0, "text": text.split()[0]}] for text in TEXTS]
    mood = ["glad", "sad", "glad", "sad", None, "sad"]
    return pd.DataFrame({"text": TEXTS, "names": names, "answers": answers, "mood": mood})


def trained(table, tasks):
    encoder = tiny.make_encoder(texts=TEXTS)
    model = TransferModel(encoder, [task.resolve(table) for task in tasks], max_length=12)
    model.compile(learning_rate=1e-3, run_eagerly=True)
    model.fit(table, batch_size=3, verbose=0)
    return model


@pytest.mark.parametrize("name", ["names", "answers"])
def test_others_of_weight_0_change_nothing(table, name):
    others = [dataclasses.replace(TASKS[n], loss_weight=0) for n in TASKS if n != name]
    alone, joint = trained(table, [TASKS[name]]), trained(table, [TASKS[name], *others])
    for own, other in zip(alone.encoder.weights, joint.encoder.weights, strict=True):
        assert np.array_equal(own, other)
    for part in ("kernel", "bias"):
        own, other = (getattr(model.heads[name], part).numpy() for model in (alone, joint))
        assert np.array_equal(own, other)


def test_tasks_of_texts_and_of_tokens_share_an_encoder(table):
    """The joint loss is the mean over labels, by hand from that of each task."""
    model = trained(table, list(TASKS.values()))
    logs = model.evaluate(table, return_dict=True, verbose=0)
    by_task = [logs[f"{name}_loss"] for name in TASKS]
    labels = table[list(TASKS)].notna().sum().to_numpy()
    assert labels.tolist() == [6, 6, 5]
    assert logs["loss"] == pytest.approx(np.average(by_task, weights=labels), rel=1e-5)
