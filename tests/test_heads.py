"""Each kind of head against scikit-learn and by hand."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from tests.tiny import TASKS
from tf_transfer.devices.backend import tf
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.heads import Head

MOOD, THEMES, STARS = TASKS
DRAWS = np.random.default_rng(0)
LOGITS = DRAWS.normal(size=(50, 3)).astype(np.float32)
Y = DRAWS.integers(0, 3, 50)


@pytest.fixture(params=TASKS, ids=lambda t: t.kind)
def head(request):
    return Head(request.param, 16, seed=1)


def test_classification_against_scikit_learn():
    head = Head(MOOD, 16)
    losses = head.losses_of(tf.constant(Y), tf.constant(LOGITS)).numpy()
    prediction = head.decode(LOGITS)
    assert losses.shape == (50,)
    assert losses.mean() == pytest.approx(log_loss(Y, softmax(LOGITS, axis=1)), rel=1e-6)
    np.testing.assert_allclose(prediction.scores, softmax(LOGITS.astype(float), axis=1), rtol=1e-12)
    assert prediction.labels.tolist() == [MOOD.classes[i] for i in LOGITS.argmax(1)]


def test_multilabel_against_scikit_learn():
    head = Head(THEMES, 16)
    logits, y = LOGITS[:, :2], (LOGITS[:, 1:] > 0).astype(np.float32)
    losses = head.losses_of(tf.constant(y), tf.constant(logits)).numpy()
    expected = np.mean([log_loss(y[:, c], expit(logits[:, c])) for c in range(2)])
    assert losses.shape == (50,)
    assert losses.mean() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(head.decode(logits).scores, expit(logits.astype(float)), rtol=1e-12)


def test_regression_is_standardised_inside_and_reported_in_its_unit():
    head = Head(STARS, 16)
    y = np.array([100.0, 200.0, 300.0], np.float32)
    head.note_labels(y)
    output = np.float32((y - 200) / np.std([100, 200, 300]))
    np.testing.assert_allclose(head.losses_of(tf.constant(y), tf.constant(output)), 0, atol=1e-12)
    np.testing.assert_allclose(
        head.losses_of(tf.constant(y), tf.constant(output + 2)), 4, rtol=1e-6
    )
    np.testing.assert_allclose(head.decode(output).scores, y, rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e8, 1.6e9, -1e12])
def test_labels_far_from_0_are_standardised_in_double_precision(offset):
    head, y = Head(STARS, 16), offset + np.arange(16.0)
    head.note_labels(y)
    assert head.scale.numpy().tolist() == [
        y.mean(),
        pytest.approx(np.std(np.arange(16.0)), rel=1e-12),
        1.0,
    ]
    output = DRAWS.normal(size=16).astype(np.float32)
    expected = np.square((np.arange(16.0) - 7.5) / np.std(np.arange(16.0)) - output)
    np.testing.assert_allclose(
        head.losses_of(tf.constant(y), tf.constant(output)), expected, rtol=1e-5
    )
    scores = 7.5 + np.std(np.arange(16.0)) * output.astype(float)
    for found in (head.decode(output).scores, head.scores(tf.constant(output)).numpy()[:, 0]):
        np.testing.assert_allclose(found - offset, scores, atol=1e-3)


def test_a_scale_in_single_precision_can_be_read():
    """Of a model that was saved before."""
    head = Head(STARS, 16)
    head.scale.assign(np.float32([2.5, 0.5, 1.0]))
    assert head.scale.numpy().tolist() == [2.5, 0.5, 1.0]


def test_the_first_scale_stays():
    head = Head(STARS, 16)
    head.note_labels(np.array([], np.float32))
    assert head.scale.numpy().tolist() == [0, 1, 0]
    head.note_labels(np.array([7.0, 7.0]))
    assert head.scale.numpy().tolist() == [7, 1, 1]  # equal labels: no deviation to divide by
    head.note_labels(np.array([1.0, 2.0]))
    assert head.scale.numpy().tolist() == [7, 1, 1]
    head.restart(0)
    assert head.scale.numpy().tolist() == [0, 1, 0]


def test_scores_are_what_decode_gives(head):
    if head.task.kind == "regression":
        head.note_labels(np.array([2.0, 6.0]))
    vectors = tf.constant(DRAWS.normal(size=(5, 16)), tf.float32)
    output = head(vectors)
    scores = head.scores(output).numpy()
    assert scores.shape == (5, head.task.outputs)
    decoded = head.decode(output.numpy()).scores
    np.testing.assert_allclose(scores, decoded.reshape(scores.shape), rtol=1e-5)


def test_weights_follow_from_seed_and_name(head):
    again, other = Head(head.task, 16, seed=1), Head(head.task, 16, seed=2)
    assert np.array_equal(head.kernel, again.kernel)
    assert not np.array_equal(head.kernel, other.kernel)
    other.restart(1)
    assert np.array_equal(head.kernel, other.kernel)
    assert not head.bias.numpy().any()
    assert 0 < np.abs(head.kernel).max() <= np.float32(0.04)


def test_tasks_of_different_names_start_apart():
    first, second = (Head(Task(n, kind="regression"), 16) for n in ("a", "b"))
    assert not np.array_equal(first.kernel, second.kernel)


def test_dropout_needs_a_seed():
    head = Head(STARS, 400, dropout=0.5)
    head.kernel.assign(np.ones((400, 1)))
    ones = tf.ones((1, 400))
    assert float(head(ones)[0]) == 400
    masked = float(head(ones, dropout_seed=tf.constant([1, 2]))[0])
    assert masked == float(head(ones, dropout_seed=tf.constant([1, 2]))[0])
    assert masked != 400
    assert abs(masked - 400) < 4 * np.sqrt(400)  # 400 draws of 0 or 2: deviation 20
