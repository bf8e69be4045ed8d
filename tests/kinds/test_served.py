"""Spans and answers from what an exported model returns, without the model."""

import json

import numpy as np
import pandas as pd
import pytest
import transformers

from tests import tiny
from tf_transfer.devices.backend import tf
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.model.served import decode_served

TEXTS = ["Ada left Rome with 🙂 Carl", "rain", "the sea in May, so cold"]
QUESTIONS = ["who left", "what", "when"]
TASKS = [
    Task("names", kind="tagging", classes=("city", "person")),
    Task("answers", kind="span"),
    Task("mood", kind="classification", classes=("glad", "sad")),
]


@pytest.fixture(scope="module")
def model():
    encoder = tiny.make_encoder(texts=(*TEXTS, *QUESTIONS))
    model = TransferModel(encoder, TASKS, text_pair="question", max_length=16)
    draws = np.random.default_rng(0)
    for head in model.heads.values():
        head.kernel.assign(draws.normal(0, 2, head.kernel.shape))
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "1"
    model.export(folder)
    return folder


@pytest.fixture
def table():
    return pd.DataFrame({"text": TEXTS, "question": QUESTIONS})


def served(folder, **padding):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    options = {"padding": True, "truncation": True, "return_tensors": "tf"} | padding
    loaded = tf.saved_model.load(str(folder))
    return loaded.serve(dict(tokenizer(TEXTS, QUESTIONS, **options)))


@pytest.mark.parametrize("padding", [{}, {"padding": "max_length"}])
def test_what_is_served_says_what_the_model_says(model, folder, table, padding):
    said, expected = decode_served(folder, table, served(folder, **padding)), model.predict(table)
    assert expected["names"].scores.lengths.sum() > 0
    for name in ("names", "answers"):
        own, other = (each[name].scores for each in (said, expected))
        assert [row.tolist() for row in own] == [row.tolist() for row in other]
    np.testing.assert_allclose(said["mood"].scores, expected["mood"].scores, rtol=1e-5)
    assert list(said.to_frame()) == list(expected.to_frame())


def test_what_does_not_fit_is_named(folder, table, tmp_path):
    scores = served(folder)
    with pytest.raises(DataError, match="of the rows that were served"):
        decode_served(folder, table.head(2), scores)
    with pytest.raises(DataError, match="must be of every token"):
        decode_served(folder, table, {"names": scores["names"][:, :3]})
    with pytest.raises(DataError, match="task of the export"):
        decode_served(folder, table, {"name": scores["names"]})
    with pytest.raises(CheckpointError, match="must hold an exported model"):
        decode_served(tmp_path, table, scores)
    (tmp_path / "tasks.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(CheckpointError, match="must be of the format"):
        decode_served(tmp_path, table, scores)
