"""Class weights of a tagging: factors of words by the type of their span."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from tests import tiny
from tf_transfer.errors import DataError
from tf_transfer.kinds import KINDS
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.spans import Spans
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import solve_heads

TEXTS = ["Ada left Rome", "Rome saw Carl", "rain"]
CELLS = [[(0, 3, "person"), (9, 13, "city")], [(0, 4, "city")], []]
WEIGHTS = {"city": 2.0, "O": 0.5}


def task(weights, classes=("city", "person")):
    return Task("names", kind="tagging", classes=classes, class_weight=weights)


def make_model(weights):
    return TransferModel(tiny.make_encoder(texts=TEXTS), task(weights), max_length=8)


@pytest.fixture
def table():
    return pd.DataFrame({"text": TEXTS, "names": CELLS})


@pytest.mark.parametrize(
    ("weights", "classes", "expected"),
    [
        (None, ("city", "person"), [1, 1, 1, 1, 1]),
        (WEIGHTS, ("city", "person"), [0.5, 2, 2, 1, 1]),
        ({0: 3.0}, ("city", "person"), [1, 3, 3, 1, 1]),
        ("balanced", ("city", "person"), [1, 0.75, 0.75, 1.5, 1.5]),
        ({"O": 2.0}, ("O", "person"), [1, 2, 2, 1, 1]),
    ],
)
def test_factors_of_tags(weights, classes, expected):
    y = Spans.of_rows([[(0, 1, 0), (2, 3, 1)], [(0, 4, 0)]], 2)
    assert KINDS["tagging"].output_factors(task(weights, classes), y).tolist() == expected


@pytest.mark.parametrize("weights", [{"town": 1.0}, {"O": -1.0}])
def test_factors_that_cannot_be_are_named(weights):
    y = Spans.of_rows([[]], 2)
    with pytest.raises(DataError, match="class_weight of task 'names'"):
        KINDS["tagging"].output_factors(task(weights), y)


def test_the_loss_by_hand(table):
    model = make_model(WEIGHTS)
    ((x, y, w),) = model.dataset(table, batch_size=3, note_labels=True)
    factors, by_hand = np.array([0.5, 2, 2, 1, 1]), []
    logits = model(x)["names"].numpy().astype(np.float64)
    for row, tags in enumerate(y["names"].numpy()):
        places = np.flatnonzero(tags != PADDED)
        chosen = tags[places]
        likely = log_softmax(logits[row, places], axis=1)[np.arange(len(places)), chosen]
        by_hand.append((-factors[chosen] * likely).mean())
    loss = model.compute_losses(y, model(x), w)[0]
    assert float(loss) == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_solved_heads_weigh_words_likewise(table):
    plain, weighted = make_model(None), make_model(WEIGHTS)
    y, _ = plain.tasks[0].encode(table)
    examples = [
        solve_heads._of_tokens(model, model.tasks[0], table, y, np.ones(3))
        for model in (plain, weighted)
    ]
    factors = np.array([0.5, 2, 2, 1, 1])[examples[0].labels]
    np.testing.assert_allclose(examples[1].weights, examples[0].weights * factors)


def test_a_saved_model_knows_its_factors(table, tmp_path):
    model = make_model("balanced")
    model.compile(run_eagerly=True)
    model.fit(table, verbose=0)
    model.save(tmp_path / "model")
    again = TransferModel.load(tmp_path / "model")
    assert np.array_equal(again.heads["names"].factors, model.heads["names"].factors)
    assert model.heads["names"].factors.numpy().tolist() == [1, 0.75, 0.75, 1.5, 1.5]


def test_keras_class_weight_is_for_whole_texts(table):
    with pytest.raises(DataError, match="of whole texts"):
        make_model(None).fit(table, class_weight={"city": 2.0}, verbose=0)


def test_rows_have_no_factor_of_their_own(table):
    _, w = encode_labels([task(WEIGHTS)], table)
    assert w["names"].tolist() == [1, 1, 1]
