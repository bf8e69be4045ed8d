"""The meta-learning strategies: what each one's gradient is, by an independent way, and their bad
input.
"""

import contextlib
import dataclasses
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestCentroid

from tests import tiny
from tf_transfer.devices import workers
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.freezing import freeze
from tf_transfer.episodes.class_splits import check_new_classes
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors
from tf_transfer.errors import CheckpointError, DataError, DistributionError, TrainingError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds.tasks import Task
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts
from tf_transfer.meta_gradients.gradient_check import double_precision, gradcheck
from tf_transfer.meta_gradients.memory_estimate import kept_bytes
from tf_transfer.meta_gradients.meta_learner import MetaLearner
from tf_transfer.model.checkpoints import load_state, save_state
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import (
    ANIL,
    MAML,
    LinearProbe,
    Majority,
    MetaSGD,
    ProtoMAML,
    ProtoNet,
    Reptile,
    TargetOnly,
    meta,
    second_order,
    target_training,
)
from tf_transfer.strategies.episode_sources import training_sampler
from tf_transfer.strategies.meta import _task_of_support
from tf_transfer.strategies.outer_loop import OuterLoop
from tf_transfer.strategies.proto_net import prototype_head
from tf_transfer.strategies.validation import Validation
from tf_transfer.training.callbacks.resume import Resume

WORDS = {f"c{i}": w for i, w in enumerate(["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"])}


def make_intents(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    """Eight classes of ten rows; a class's word is in its texts, somewhere."""
    draws, labels = np.random.default_rng(seed), list(WORDS) * (rows // len(WORDS))
    texts = [" ".join(draws.permutation([WORDS[c], "so", "and", "then"])) for c in labels]
    return pd.DataFrame({"text": texts, "intent": labels})


def make_sampler(**options):
    return EpisodeSampler(
        make_intents(), "intent", **{"way": 3, "shot": 2, "num_query": 2} | options
    )


def make_model(classes=3, family="bert", layers=1, **options):
    encoder = tiny.make_encoder(family, texts=tuple(WORDS.values()), layers=layers, **options)
    classes = tuple(range(classes)) if classes else ()
    return TransferModel(
        encoder, Task("intent", kind="classification", classes=classes), max_length=12, seed=1
    )


def far_from_zero(**options):
    """A model of larger weights than the initial ones, so that no gradient is tiny."""
    found = make_model(**options)
    draws = np.random.default_rng(0)
    for variable in found.encoder.state:
        variable.assign_add(0.2 * draws.normal(size=variable.shape))
    found.heads["intent"].kernel.assign(draws.normal(size=found.heads["intent"].kernel.shape))
    return found


@pytest.fixture(scope="module")
def model():
    found = far_from_zero()
    found.first = tiny.snapshot(found)
    return found


@pytest.fixture
def fresh(model):
    tiny.restore(model, model.first)
    return model


@pytest.fixture(scope="module")
def sampler():
    return make_sampler()


def slow(strategy):
    return pytest.param(strategy, marks=pytest.mark.slow)


GRADIENTS = [
    MAML(inner_steps=3, inner_lr=0.05),
    slow(MAML(inner_steps=3, inner_lr=0.05, memory_gb=1e-9)),
    slow(MAML(inner_steps=2, inner_lr=0.05, multi_step=True, inner_freeze="embeddings")),
    slow(MetaSGD(inner_steps=2, inner_lr=0.05)),
    slow(MetaSGD(inner_steps=2, inner_lr=0.05, memory_gb=1e-9)),
    MetaSGD(inner_steps=1, inner_lr=0.05, rates="weight", inner_freeze="all"),
    ANIL(inner_steps=3, inner_lr=0.1),
    slow(ANIL(inner_steps=2, inner_lr=0.1, multi_step=True)),
    ProtoNet(),
    slow(ProtoNet(distance="cosine")),
    slow(ProtoMAML(inner_steps=2, inner_lr=0.01, multi_step=True)),
    ProtoMAML(inner_steps=2, inner_lr=0.01, distance="cosine"),
]


@pytest.mark.parametrize("strategy", GRADIENTS, ids=lambda s: s.name)
def test_the_meta_gradient_agrees_with_central_differences(fresh, sampler, strategy):
    found = gradcheck(strategy, fresh, sampler.episode(0))
    assert found.relative_error < 1e-6, found
    assert tiny.same(tiny.snapshot(fresh), fresh.first)


def test_gradcheck_sees_a_gradient_of_first_order(fresh, sampler):
    found = gradcheck(
        MAML(inner_steps=3, inner_lr=0.05, first_order=True), fresh, sampler.episode(0), sampler
    )
    assert found.relative_error > 1e-3
    assert len(found.parts()) > 5
    with pytest.raises(DataError, match="reptile, which has none"):
        gradcheck(Reptile(), fresh, sampler.episode(0), sampler)


@pytest.mark.slow
def test_gradcheck_of_a_family_that_casts_to_single_precision(sampler):
    found = gradcheck(ProtoNet(), make_model(family="deberta-v2", width=8), sampler.episode(0))
    assert found.relative_error < 1e-6, found


def test_gradcheck_of_an_episode_that_does_not_fit(fresh, sampler):
    with pytest.raises(DataError, match=r"a head of 3 classes, and an episode of 4 classes"):
        gradcheck(ProtoNet(), fresh, make_sampler(way=4).episode(0))
    with pytest.raises(DataError, match=r"Received episode 0.*\n?Give the sampler too"):
        gradcheck(ProtoNet(), fresh, dataclasses.replace(sampler.episode(0), sampler=None))
    with pytest.raises(
        DataError,
        match=r"drawn from the sampler's table, of 24 rows.\nReceived episode 0 with rows of a",
    ):
        gradcheck(
            ProtoNet(),
            fresh,
            sampler.episode(0),
            EpisodeSampler(make_intents(24), "intent", 3, 1, 1),
        )


@pytest.mark.slow
def test_gradcheck_of_learned_rates(fresh, sampler):
    strategy, rates = MetaSGD(inner_steps=1, inner_lr=0.05), []
    for variable in strategy.extra_variables(fresh):
        rates.append(0.01 * (1 + len(rates)) + tf.zeros_like(variable))
    of_start, of_learned = (
        gradcheck(strategy, m, sampler.episode(0)) for m in (fresh, Fitted(fresh, tuple(rates)))
    )
    assert of_learned.relative_error < 1e-6
    with pytest.raises(DataError, match=rf"Received 2 rates for {len(rates)} weights"):
        gradcheck(strategy, Fitted(fresh, tuple(rates[:2])), sampler.episode(0))
    assert not np.allclose(of_start.table["analytic"], of_learned.table["analytic"], rtol=1e-3)


def gradients_of(strategy, model, sampler, episodes):
    learner = strategy._learner(model)  # kept with the model: traced once
    losses, gradients, inner = learner.meta_gradients(*EpisodeTensors(model, sampler)(episodes))
    return losses.numpy(), [g.numpy() for g in gradients], inner.numpy()


def test_a_meta_batch_is_the_mean_of_its_episodes(fresh, sampler):
    strategy, episodes = MAML(inner_steps=2, inner_lr=0.05), sampler.sample(3)
    losses, mean, inner = gradients_of(strategy, fresh, sampler, episodes)
    learner = strategy._learner(fresh)
    tensors = EpisodeTensors(fresh, sampler)
    alone = [learner.meta_gradients(*tensors([e])) for e in episodes]
    np.testing.assert_allclose(losses, [a[0].numpy()[0] for a in alone], rtol=1e-5)
    assert inner.shape == (3, 2)
    for i, gradient in enumerate(mean):
        np.testing.assert_allclose(
            gradient, np.mean([a[1][i] for a in alone], 0), rtol=1e-3, atol=1e-6
        )


@pytest.fixture(scope="module")
def wide():
    """A learner in double precision whose model has dropout; 9 support and 21 query rows."""
    with double_precision():
        model, sampler = (
            far_from_zero(dropout=0.3, width=8).copy(),
            make_sampler(shot=3, num_query=7),
        )
    episode = (
        tf.nest.map_structure(lambda t: t[0], b)
        for b in EpisodeTensors(model, sampler)([sampler.episode(0)])
    )
    return MetaLearner(model, None), *episode


@pytest.mark.parametrize(
    "given", [[0, 0, 0], [2], [None, None]], ids=["one class", "one row", "no label"]
)
def test_a_few_labels_of_known_classes_are_of_the_models_own_task(model, given):
    """Few labels may be of one class by chance; that is no task of its own, which would need
    two.
    """
    support = pd.DataFrame(
        {"text": ["ant so"] * len(given), "intent": pd.Series(given, dtype=object)}
    )
    assert _task_of_support(model.tasks[0], support) is model.tasks[0]


def test_a_strategy_adapts_to_labels_of_one_class(model):
    support = pd.DataFrame({"text": ["ant so", "ant then"], "intent": [1, 1]})
    adapted = ProtoNet().adapt(model, support)
    assert adapted.predict(support, verbose=0)["intent"].scores.shape == (2, 3)


@pytest.mark.parametrize(
    "strategy",
    [
        slow(ANIL(inner_steps=2, inner_lr=0.1)),
        slow(ANIL(inner_steps=2, inner_lr=0.1, inner_dropout=True)),
        ProtoNet(),
        ProtoNet(distance="cosine"),
        slow(ProtoMAML(inner_steps=1, inner_lr=0.01)),
        ProtoMAML(inner_steps=1, inner_lr=0.01, first_order=True, distance="cosine"),
    ],
    ids=[
        "anil",
        "anil-dropout",
        "proto_net",
        "proto_net-cosine",
        "proto_maml",
        "proto_maml-cosine",
    ],
)
def test_an_episode_in_parts_has_the_gradient_of_one_pass(wide, strategy):
    with double_precision():
        whole, parts = (
            dataclasses.replace(strategy, rows_a_part=rows).episode_gradient(*wide)
            for rows in (64, 5)
        )
        loss = dataclasses.replace(strategy, rows_a_part=5).episode_loss(*wide)
    np.testing.assert_allclose([parts[0], loss], whole[0], rtol=1e-10)
    np.testing.assert_allclose(parts[2], whole[2], rtol=1e-10)
    assert len(parts[1]) == len(wide[0].variables) and max(np.abs(g).max() for g in whole[1]) > 0.01
    for a, b in zip(parts[1], whole[1]):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("rows", "calls", "most"), [(30, 2, 21), (29, 4, 21), (20, 6, 11), (5, 14, 5)]
)
def test_the_encoder_computes_so_many_rows_at_once(wide, monkeypatch, rows, calls, most):
    """An episode that fits is computed once; another once more on the way back."""
    learner, support, query = wide
    call, seen = type(learner.model.encoder).call, []

    def counted(x, training):
        seen.append(len(x["input_ids"]))
        return call(learner.model.encoder, x, training=training)

    monkeypatch.setattr(learner.model.encoder, "call", counted)
    with double_precision():
        _, vectors, pull_back = learner.vectors(support, query, rows=rows)
        pull_back(vectors)
    assert (len(seen), max(seen)) == (calls, most)


@pytest.mark.slow
def test_the_graph_does_not_grow_with_the_parts(wide):
    learner, support, query = wide

    def size(rows):
        def run():
            _, vectors, pull_back = learner.vectors(support, query, rows=rows)
            return pull_back(vectors)

        graph = tf.function(run, autograph=False).get_concrete_function().graph.as_graph_def()
        return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)

    with double_precision():
        assert size(3) == size(5)  # 3 + 7 parts and 2 + 5


def test_the_multi_step_loss_is_the_mean_over_numbers_of_inner_steps(wide):
    with double_precision():
        one, two, both = (
            ANIL(inner_lr=0.1, **options).episode_gradient(*wide)[:2]
            for options in (
                {"inner_steps": 1},
                {"inner_steps": 2},
                {"inner_steps": 2, "multi_step": True},
            )
        )
    assert abs(one[0] - two[0]) > 1e-4
    for found, a, b in zip(tf.nest.flatten(both), tf.nest.flatten(one), tf.nest.flatten(two)):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-8, atol=1e-11)


def test_parts_are_of_equal_size():
    for rows, most, parts, filled in ((24, 5, 5, 25), (65, 64, 2, 66), (6, 6, 1, 6)):
        batch = (
            {"input_ids": tf.ones((rows, 2), tf.int32)},
            {"intent": tf.zeros(rows)},
            {"intent": tf.ones(rows)},
        )
        (x, y, w), found = in_parts(batch, most)
        assert (
            found == parts and len(x["input_ids"]) == len(y["intent"]) == len(w["intent"]) == filled
        )
        assert float(tf.reduce_sum(w["intent"])) == rows


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_outer_steps_are_those_of_keras_traced_once(fresh, sampler, kind):
    strategy = ProtoNet(outer_optimizer=kind, learning_rate=0.1, clip_norm=0.5)
    learner, optimizer = strategy._learner(fresh), strategy._optimizer(fresh)
    twins = [tf.Variable(v) for v in learner.parameters]
    theirs = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[kind](
        0.1, global_clipnorm=0.5
    )
    update, draws = learner.updater(optimizer), np.random.default_rng(0)
    norms = []
    for size in (0.001, 10.0, 0.1):
        gradients = [tf.constant(size * draws.normal(size=v.shape), tf.float32) for v in twins]
        norms.append(float(tf.linalg.global_norm(gradients)))
        update(*gradients)
        theirs.apply_gradients(zip(gradients, twins))
        optimizer.learning_rate = theirs.learning_rate = 0.03  # as a callback does
    assert norms[0] < strategy.clip_norm < norms[2]
    assert update.experimental_get_tracing_count() == 1
    assert all(
        not np.array_equal(v.numpy(), first)
        for v, first in zip(fresh.state, fresh.first)
        if v.shape.rank == 2
    )
    for ours, twin in zip(learner.parameters, twins, strict=True):
        # 1 - beta_2 has four digits
        np.testing.assert_allclose(ours.numpy(), twin.numpy(), rtol=1e-4, atol=1e-5)


def test_reptile_with_one_inner_step_is_gradient_descent(fresh, sampler):
    """θ + 1 · (θ₁ − θ) = θ − inner_lr ∇L, with L the loss on all the episode's rows."""
    strategy = Reptile(inner_steps=1, inner_lr=0.1, learning_rate=1.0, steps=1, meta_batch=1)
    support, query = EpisodeTensors(fresh, sampler)([sampler.episode(0)])
    batch = tf.nest.map_structure(lambda a, b: tf.concat([a[0], b[0]], 0), support, query)
    loss = BatchLoss(fresh, fresh.trained_variables, batch)
    with tf.GradientTape() as tape:
        value = loss([tf.convert_to_tensor(v) for v in fresh.trained_variables])
        again = fresh.compute_losses(batch[1], fresh(batch[0]), batch[2])[0]
    np.testing.assert_allclose(value, again, rtol=1e-6)
    gradients = tape.gradient(again, fresh.trained_variables)
    expected = [
        v.numpy() - 0.1 * tf.convert_to_tensor(g).numpy()
        for v, g in zip(fresh.trained_variables, gradients)
    ]
    strategy.fit(fresh, sampler)
    for variable, value in zip(fresh.trained_variables, expected):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-4, atol=1e-6)


def test_the_prototype_head_is_the_nearest_class_mean():
    draws = np.random.default_rng(0)
    x, y = draws.normal(size=(12, 6)), np.arange(12) % 3
    kernel, bias = prototype_head(tf.constant(x), tf.constant(y), tf.ones(12), 4)
    means = np.stack([x[y == c].mean(0) for c in range(3)])
    np.testing.assert_allclose(kernel[:, :3], 2 * means.T)
    np.testing.assert_allclose(bias[:3], -(means**2).sum(1))
    new = draws.normal(size=(50, 6))
    logits = new @ kernel.numpy() + bias.numpy()
    assert np.array_equal(logits.argmax(1), NearestCentroid().fit(x, y).predict(new))


def test_by_cosines_the_logit_is_the_scaled_cosine_of_a_text_as_long_as_the_supports():
    draws = np.random.default_rng(0)
    x, y = draws.normal(size=(12, 6)) * draws.uniform(0.1, 10, (12, 1)), np.arange(12) % 3
    weights = np.arange(12) > 2  # a row of weight 0 counts neither for a mean nor for the length
    kernel, bias = prototype_head(
        tf.constant(x), tf.constant(y), tf.constant(weights), 3, cosine_scale=7.0
    )
    means = np.stack([x[(y == c) & weights].mean(0) for c in range(3)])
    new = draws.normal(size=(50, 6))
    new *= np.linalg.norm(x[weights], axis=1).mean() / np.linalg.norm(new, axis=1, keepdims=True)
    np.testing.assert_allclose(
        new @ kernel.numpy() + bias.numpy(), 7 * cosine_similarity(new, means)
    )
    new *= draws.uniform(0.1, 10, (50, 1))
    logits = new @ kernel.numpy() + bias.numpy()
    assert np.array_equal(logits.argmax(1), cosine_similarity(new, means).argmax(1))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_vector_of_zeros_has_gradients_by_cosines(weight):
    x = tf.constant([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        kernel, _ = prototype_head(
            x, tf.constant([0, 0, 1]), tf.constant([weight, 1.0, 1.0]), 2, cosine_scale=10.0
        )
    assert np.isfinite(kernel).all() and np.isfinite(tape.gradient(kernel, x)).all()


@pytest.mark.parametrize("cosine_scale", [None, 10.0])
@pytest.mark.parametrize("norm", [1.0, 1e3, 1e12])
def test_a_class_without_a_row_has_probability_0(norm, cosine_scale):
    """Whatever the vectors' norm: of large ones that are far from all means every logit is far
    below 0.
    """
    x = tf.constant(norm * np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    kernel, bias = prototype_head(x, tf.constant([0, 0, 1, 1, 2, 2]), tf.ones(6), 4, cosine_scale)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.matmul(-x, kernel) + bias
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.constant([0, 0, 1, 1, 2, 2]), logits
        )
    assert not np.any(tf.nn.softmax(logits)[:, 3]) and np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_rows_of_weight_zero_are_in_no_class_mean():
    x = tf.constant([[1.0, 0.0], [3.0, 0.0], [100.0, 100.0]])
    kernel, _ = prototype_head(x, tf.constant([0, 0, 0]), tf.constant([1.0, 1.0, 0.0]), 2)
    assert kernel[:, 0].numpy().tolist() == [4.0, 0.0]


def test_inner_dropout_is_off_unless_asked_for(sampler):
    noisy = make_model(dropout=0.5)
    batch = tf.nest.map_structure(
        lambda t: t[0], EpisodeTensors(noisy, sampler)([sampler.episode(0)])[0]
    )
    weights = [tf.convert_to_tensor(v) for v in noisy.trained_variables]
    plain, dropped = (
        float(BatchLoss(noisy, noisy.trained_variables, batch, dropout=d)(weights))
        for d in (False, True)
    )
    assert plain == pytest.approx(
        float(noisy.compute_losses(batch[1], noisy(batch[0]), batch[2])[0]), rel=1e-5
    )
    assert abs(dropped - plain) > 1e-4
    # the masks of one part
    loss = BatchLoss(noisy, noisy.trained_variables, *in_parts(batch, 4), dropout=True)
    assert sum(float(loss(weights, part)) for part in range(loss.parts)) == pytest.approx(
        dropped, rel=1e-5
    )


# -- fit and adapt ---------------------------------------------------------------------------------


LEARNERS = [
    MAML(steps=30, inner_steps=3, inner_lr=0.1, learning_rate=0.01),
    ANIL(steps=30, inner_lr=0.1, learning_rate=0.01),
    MetaSGD(steps=30, inner_steps=3, inner_lr=0.1, learning_rate=0.01),
    Reptile(steps=30, inner_steps=5, inner_lr=0.2),
    ProtoNet(steps=30, learning_rate=0.01),
    ProtoMAML(steps=30, inner_steps=2, learning_rate=0.01),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [pytest.param(s, id=s.name) for s in LEARNERS],
)
def test_training_lowers_the_query_loss_of_new_episodes(strategy):
    model = far_from_zero(layers=2)
    new = EpisodeSampler(make_intents(seed=9), "intent", way=3, shot=2, num_query=2, seed=5)
    before = gradients_of(
        ProtoNet() if isinstance(strategy, ProtoNet) else strategy, model, new, new.sample(10)
    )[0]
    fitted = strategy.fit(model, make_sampler(seed=2))
    after = gradients_of(strategy, model, new, new.sample(10))[0]
    assert after.mean() < 0.9 * before.mean()
    assert fitted.model is model


@pytest.mark.slow
def test_learned_rates_are_kept_with_the_weights(fresh, tmp_path):
    """As a run that was stopped does: what was fitted comes back from a file and adapts to the same
    bits.
    """
    strategy, support = (
        MetaSGD(inner_steps=2, inner_lr=0.1),
        make_intents(24).query("intent in ['c1', 'c4', 'c6']"),
    )
    fitted = strategy.fit(fresh, make_sampler(seed=2), steps=1)
    save_state(fitted.model, tmp_path / "state", {}, fitted.rates)
    other = make_model()
    _, learned = load_state(other, tmp_path / "state")
    found = [
        tiny.snapshot(strategy.adapt(f, support)) for f in (fitted, Fitted(other, tuple(learned)))
    ]
    assert tiny.same(*found)
    assert all(np.ptp([float(r), 0.1]) > 0 for r in learned[-2:])  # the rates of the head did learn


@pytest.mark.parametrize(
    "strategy",
    [slow(MAML(inner_steps=4, inner_lr=0.2)), ProtoNet(), slow(ProtoMAML(inner_steps=1))],
)
def test_adapting_to_classes_with_names(fresh, strategy):
    """The support's three classes take the places of the episodes' numbers."""
    table = make_intents()
    support = table[table["intent"].isin(["c1", "c4", "c6"])]
    adapted = strategy.adapt(fresh, support)
    assert adapted.tasks[0].classes == ("c1", "c4", "c6")
    found = adapted.predict(support, verbose=0)["intent"]
    assert set(found.labels) <= {"c1", "c4", "c6"}
    assert tiny.same(tiny.snapshot(fresh), fresh.first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        ProtoNet(steps=2, meta_batch=2),
        ProtoMAML(steps=2, meta_batch=2, inner_steps=1, first_order=True),
    ],
    ids=lambda s: s.name,
)
def test_prototypes_learn_from_episodes_of_several_ways(strategy):
    """In one of few classes the head's other outputs count for nothing: adapted to it, a model has
    no such.
    """
    model, sampler = make_model(classes=0), make_sampler(way=(2, 4), seed=2)
    episodes = sampler.sample(3)
    assert len({e.way for e in episodes}) == 3
    fitted = strategy.fit(model, sampler)
    assert model.tasks[0].outputs == 4
    losses = (
        strategy._learner(model).query_losses(*EpisodeTensors(model, sampler)(episodes)).numpy()
    )
    for loss, episode in zip(losses, episodes):
        support, query = (
            sampler.table.iloc[rows].reset_index(drop=True)
            for rows in (episode.support, episode.query)
        )
        adapted = strategy.for_episodes().adapt(model, support)
        assert set(adapted.tasks[0].classes) == set(episode.classes)
        assert adapted.evaluate({"q": query})["q", "intent", "log_loss"] == pytest.approx(
            loss, rel=1e-3
        )
    with pytest.raises(
        DataError, match="Splits 'training' and 'test' must have no class in common"
    ):
        check_new_classes(fitted.classes, sampler)


def test_prototypes_take_any_number_of_classes(fresh):
    adapted = ProtoNet().adapt(fresh, make_intents())
    assert adapted.tasks[0].outputs == 8
    with pytest.raises(DataError, match=r"head of 3 classes.*\n?.*support of 8 classes"):
        MAML().adapt(fresh, make_intents())


@pytest.mark.parametrize(
    "strategy",
    [
        slow(MAML(inner_steps=3, inner_lr=0.1)),
        ANIL(inner_steps=3, inner_lr=0.1),
        slow(Reptile(inner_steps=3, inner_lr=0.1)),
        ProtoNet(),
        ProtoNet(distance="cosine", cosine_scale=5.0),
        slow(ProtoMAML(inner_steps=2, inner_lr=0.1, first_order=True, distance="cosine")),
    ],
    ids=lambda s: f"{s.name}-{getattr(s, 'distance', '')}",
)
def test_validation_scores_the_query_after_adapting_to_the_support(fresh, sampler, strategy):
    """The inner loop alone on an episode's support ends where the inner loops of validation and of
    training do.
    """
    episode, learner = sampler.episode(0), strategy._learner(fresh)
    support, query = (
        sampler.table.iloc[rows].reset_index(drop=True) for rows in (episode.support, episode.query)
    )
    for table in (support, query):
        table["intent"] = episode.encode(table["intent"])
    adapted = strategy.for_episodes().adapt(fresh, support)
    loss = adapted.evaluate({"q": query})["q", "intent", "log_loss"]
    assert Validation(fresh, sampler, 1).loss(learner, 2) == pytest.approx(loss, rel=1e-4)
    if strategy.name == "maml":
        assert gradients_of(strategy, fresh, sampler, [episode])[0][0] == pytest.approx(
            loss, rel=1e-4
        )


def test_validation_takes_no_gradient_and_counts_a_diverged_episode_as_infinitely_bad(
    fresh, sampler
):
    losses = iter([[1.0, 2.0], [3.0], [1.0, np.nan], [3.0], [1.0, np.inf], [3.0]])
    learner = types.SimpleNamespace(
        query_losses=lambda support, query: tf.constant(next(losses)), replicas=1
    )
    check = Validation(fresh, sampler, 3)
    assert [check.loss(learner, 2) for _ in range(3)] == [2.0, np.inf, np.inf]


def test_replicas_take_equal_shares_of_the_last_episodes_of_a_validation(fresh, sampler):
    def losses(support, query):
        shares.append(len(support[0]["input_ids"]))
        return tf.range(1.0, shares[-1] + 1)

    shares = []
    learner = types.SimpleNamespace(query_losses=losses, replicas=2)
    assert Validation(fresh, sampler, 5).loss(learner, 4) == np.mean([1, 2, 3, 4, 1])
    assert shares == [4, 2]


@pytest.mark.slow
def test_a_support_in_parts_gives_the_same_weights(fresh):
    support = make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}})
    whole, parts = (
        MAML(inner_steps=2, rows_a_part=r, fine_tune=False).adapt(fresh, support) for r in (64, 5)
    )
    for a, b in zip(tiny.snapshot(whole), tiny.snapshot(parts)):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_anil_adapts_the_heads_alone_on_vectors_that_are_computed_once(fresh, monkeypatch):
    """To the weights of MAML with the encoder frozen, which runs it in every step."""
    support = make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}})
    options = {"inner_steps": 4, "inner_lr": 0.2, "fine_tune": False}
    expected = MAML(**options, inner_freeze="all").adapt(fresh, support)
    calls, encode = [], TransferModel.encode
    monkeypatch.setattr(
        TransferModel, "encode", lambda self, *a, **k: calls.append(self) or encode(self, *a, **k)
    )
    monkeypatch.setattr(
        TransferModel, "call", lambda self, x, training=False: pytest.fail("the encoder ran again")
    )
    found = ANIL(**options).adapt(fresh, support)
    assert len(calls) == 1
    count = len(fresh.encoder.state)
    assert tiny.same(tiny.snapshot(found)[:count], fresh.first[:count])
    for a, b, start in zip(
        *(m.heads["intent"].trainable_variables for m in (expected, found, fresh))
    ):
        assert np.abs(a.numpy() - start.numpy()).max() > 0.01
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-6)
    with pytest.raises(DataError, match="anil has no inner_freeze"):
        ANIL(inner_freeze=1)
    noisy = ANIL(**options, inner_dropout=True).adapt(fresh, support, out=found)
    assert not np.allclose(noisy.heads["intent"].kernel, expected.heads["intent"].kernel)


def test_anil_adapts_with_dropout_to_the_same_vectors_in_parts():
    noisy, support = (
        make_model(dropout=0.3),
        make_intents(8).assign(intent=np.arange(8) % 3).head(7),
    )
    whole, parts = (
        ANIL(inner_dropout=True, rows_a_part=r)._adapter(noisy).batch(support) for r in (64, 3)
    )
    vectors = [batch[0]["vectors"] for batch in (whole, parts)]
    assert not np.allclose(vectors[0], noisy.encode(support, verbose=0), atol=1e-3)
    np.testing.assert_allclose(vectors[1][:7], vectors[0], rtol=1e-5, atol=1e-6)
    assert parts[2]["intent"].numpy().tolist() == [1.0] * 7 + [0.0] * 2


PLAIN_SGD = {"outer_optimizer": "sgd", "learning_rate": 10.0, "clip_norm": 100.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        MAML(meta_batch=1, inner_steps=2, inner_lr=0.5, **PLAIN_SGD),
        ANIL(meta_batch=1, inner_steps=2, inner_lr=0.5, **PLAIN_SGD),
        Reptile(meta_batch=1, inner_steps=2, inner_lr=0.5, learning_rate=1.0),
    ],
    ids=lambda s: s.name,
)
def test_compiled_inner_gradients_train_to_the_weights_of_plain_ones(strategy):
    task = Task("intent", kind="classification", classes=(0, 1, 2))
    model = TransferModel(
        tiny.make_encoder(texts=tuple(WORDS.values())), task, max_length=12, seed=1
    )
    variables, found, programs = model.trained_variables, [], []
    first, start = tiny.snapshot(model), [v.numpy() for v in variables]
    for compiled in (False, True):
        tiny.restore(model, first)
        strategy = dataclasses.replace(strategy, jit_compile=compiled)
        strategy.fit(model, make_sampler(), steps=1)
        found.append([v.numpy() for v in variables])
        (traced,) = strategy._learner(model)._traced.values()
        functions = traced.get_concrete_function().graph.as_graph_def().library.function
        programs.append(
            [f for f in functions if f.attr["_XlaMustCompile"].b and "lambda" in f.signature.name]
        )
    for plain, compiled in zip(*found):
        np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-5)
    assert max(np.abs(a - b).max() for a, b in zip(found[0], start)) > 1e-2
    assert programs[1] and not programs[0]


def test_open_classes_become_the_episodes_numbers(sampler):
    model = make_model(classes=0)
    MAML(steps=1, meta_batch=1, inner_steps=1).fit(model, sampler)
    assert model.tasks[0].classes == (0, 1, 2)


def test_validation_keeps_the_best_weights_and_stops(fresh):
    train = EpisodeSampler(
        make_intents()[lambda t: t["intent"] < "c4"], "intent", way=3, shot=2, num_query=2
    )
    check = EpisodeSampler(
        make_intents()[lambda t: t["intent"] >= "c4"], "intent", way=3, shot=2, num_query=2
    )
    strategy = MAML(
        steps=20,
        inner_steps=1,
        learning_rate=5.0,
        outer_optimizer="sgd",
        clip_norm=100.0,
        patience=2,
    )
    losses = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: losses.append(logs["val_loss"])
    )
    strategy.fit(
        fresh, train, validation=check, validate_every=1, validation_episodes=4, callbacks=[note]
    )
    # of 20: none was better than the first, before any step
    assert len(losses) == strategy.patience
    kept = gradients_of(strategy, fresh, check, check.sample(4))[0].mean()
    # A rate of 5 spoils the model; what is kept is no worse than the first step.
    tiny.restore(fresh, fresh.first)
    strategy.fit(fresh, train, steps=1)
    assert kept <= gradients_of(strategy, fresh, check, check.sample(4))[0].mean() + 1e-6


@pytest.mark.parametrize(
    ("steps", "found", "kept"),
    [
        (5, [1.0, 0.5, 0.7], 3),
        (5, [1.0, 0.9, 0.5], 5),  # of the last steps, which are no whole epoch
        (2, [1.0, 0.5], 2),  # fewer than an epoch
        (5, [0.4, 0.9, 0.5], 0),
        (5, [np.inf, np.inf, np.inf], 0),
    ],
)
def test_the_kept_weights_are_the_best_of_the_start_each_epoch_and_the_end(
    fresh, steps, found, kept
):
    weight, optimizer = tf.Variable(0.0), keras.optimizers.SGD(0.1)
    learner = types.SimpleNamespace(model=fresh, parameters=[weight], extra=[])
    loop = OuterLoop(
        learner, optimizer, steps=steps, epoch_steps=3, callbacks=None, patience=5, validates=True
    )

    def step(number):
        weight.assign_add(1.0)
        return {"loss": 1.0}

    losses = iter(found)
    context = (
        pytest.warns(UserWarning, match="weights are those from before")
        if not kept
        else contextlib.nullcontext()
    )
    with context:
        loop.run(step, lambda: {"val_loss": next(losses)}, {}, 0)
    assert weight.numpy() == kept and next(losses, None) is None


def test_workers_agree_before_the_outer_loop_and_a_lost_one_is_explained(fresh, monkeypatch):
    """Two workers are in test_workers; here their talk is listened to."""

    def step(number):
        raise tf.errors.UnavailableError(None, None, "connection reset")

    said = []
    monkeypatch.setattr(workers, "check_agreement", lambda distribution, facts: said.append(facts))
    monkeypatch.setattr(workers, "workers_of", lambda distribution: 2)
    learner = types.SimpleNamespace(model=fresh, parameters=[], extra=[])
    options = {"steps": 2, "epoch_steps": 1, "callbacks": None, "patience": 1, "validates": False}
    for seed in (0, 1):
        with pytest.raises(DistributionError, match="Another of the 2 workers no longer answers"):
            OuterLoop(learner, keras.optimizers.SGD(0.1), **options).run(
                step, dict, {"seed": seed, "way": 3}, 0
            )
    assert said[0]["goes on at"] == "epoch 0, step 0"
    assert [name for name in said[0] if said[0][name] != said[1][name]] == ["seed"]


@pytest.mark.slow
def test_a_killed_outer_loop_remembers_its_validations(fresh, tmp_path):
    train = EpisodeSampler(
        make_intents()[lambda t: t["intent"] < "c4"], "intent", way=3, shot=2, num_query=2
    )
    check = EpisodeSampler(
        make_intents()[lambda t: t["intent"] >= "c4"], "intent", way=3, shot=2, num_query=2
    )
    strategy = MAML(
        steps=20,
        inner_steps=1,
        learning_rate=5.0,
        outer_optimizer="sgd",
        clip_norm=100.0,
        patience=3,
    )

    def run(*callbacks, steps=6):
        tiny.restore(fresh, fresh.first)
        fresh.__dict__.pop("_starts_of_runs", None)
        history = keras.callbacks.History()
        options = {
            "validation": check,
            "validate_every": 1,
            "validation_episodes": 4,
            "steps": steps,
        }
        strategy.fit(fresh, train, callbacks=[history, *callbacks], **options)
        return tiny.snapshot(fresh), history.history

    def kill(batch, logs):
        heard.append(logs)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="weights are those from before meta-learning"):
        heard, (expected, history) = [], run()
    assert len(history["val_loss"]) == 3
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.LambdaCallback(on_train_batch_end=kill), Resume(tmp_path))
    with pytest.raises(CheckpointError, match=r"outer steps \(6 in the backup, 7 now\)"):
        run(Resume(tmp_path), steps=7)
    with pytest.warns(UserWarning, match="weights are those from before meta-learning"):
        found, again = run(Resume(tmp_path))
    assert tiny.same(expected, found) and history == again


@pytest.mark.slow
def test_a_killed_outer_loop_goes_on_with_the_rate_that_a_callback_set(fresh, sampler, tmp_path):
    def run(*callbacks):
        tiny.restore(fresh, fresh.first)
        fresh.__dict__.pop("_starts_of_runs", None)
        history = keras.callbacks.History()
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)
        ProtoNet(steps=4, meta_batch=1, learning_rate=0.1).fit(
            fresh, sampler, callbacks=[history, rate, *callbacks], validate_every=1
        )
        return tiny.snapshot(fresh), history.history["learning_rate"]

    def kill(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    expected, rates = run()
    np.testing.assert_allclose(rates, [0.05, 0.025, 0.0125, 0.00625], rtol=1e-6)
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.LambdaCallback(on_epoch_begin=kill), Resume(tmp_path))
    found, again = run(Resume(tmp_path))
    assert tiny.same(expected, found) and rates == again


def test_callbacks_hear_the_steps_of_an_inner_loop(fresh, sampler):
    heard = []
    hooks = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: heard.append((batch, logs["loss"]))
    )
    support = make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}})
    MAML(inner_steps=2, inner_lr=1e-3, fine_tune=False).adapt(fresh, support, callbacks=[hooks])
    assert [batch for batch, _ in heard] == [0, 1] and heard[1][1] < heard[0][1]


def test_what_is_kept_does_not_grow_with_a_large_memory(fresh, monkeypatch):
    one = kept_bytes(fresh, 6, 1)
    for machine, limit in ((3 * 2.5 * one, 2.5 * one), (1e15, 8e9)):
        monkeypatch.setattr(second_order, "machine_bytes", lambda machine=machine: machine)
        most = int(limit / one)
        assert MAML(inner_steps=most).keeps(fresh, 6, 6)
        assert not MAML(inner_steps=most + 1).keeps(fresh, 6, 6)
        # Every step's query loss holds its rows too; neither of first order nor in XLA's programs
        # is anything kept.
        assert not MAML(inner_steps=most, multi_step=True).keeps(fresh, 6, 6)
        for options in ({"first_order": True}, {"jit_compile": True}, {"rows_a_part": 5}):
            assert not MAML(inner_steps=1, **options).keeps(fresh, 6, 6)


def test_the_memory_estimate_is_told_and_grows_with_what_is_kept(fresh, monkeypatch, capsys):
    estimate = lambda rows, **options: MAML(inner_steps=5, **options).memory_estimate(fresh, rows)  # noqa: E731
    weights = 4e-9 * sum(v.numpy().size for v in fresh.trained_variables)
    assert estimate(6, memory_gb=1e-9) == pytest.approx(
        kept_bytes(fresh, 6, 1) / 1e9 + 11 * weights
    )
    assert estimate(6, memory_gb=9) == pytest.approx(kept_bytes(fresh, 6, 5) / 1e9 + 6 * weights)
    assert estimate(6, memory_gb=9, multi_step=True) == pytest.approx(
        kept_bytes(fresh, 12, 5) / 1e9 + 6 * weights
    )
    assert estimate(6, memory_gb=9, first_order=True) == estimate(6, memory_gb=1e-9)
    assert estimate(640) == estimate(6400)  # in parts of 64 rows
    monkeypatch.setattr(meta, "machine_bytes", lambda: 1000)
    with pytest.warns(
        ResourceWarning, match=r"maml is estimated to take .* GB.*\n?.*Lower rows_a_part"
    ):
        MAML(inner_steps=1).fit(fresh, make_sampler(), steps=1, verbose=2)
    assert "GB beside the model" in capsys.readouterr().out
    for kind in (ProtoNet, ANIL, ProtoMAML, Reptile):
        most, all_rows = (kind(rows_a_part=r).memory_estimate(fresh, 640) for r in (64, 6400))
        assert most == kind().memory_estimate(fresh, 6400) < all_rows
        with pytest.warns(
            ResourceWarning, match=r"Lower rows_a_part \(8\) or the model's max_length"
        ):
            kind(rows_a_part=8)._say_memory(fresh, types.SimpleNamespace(rows={"support": 6}), 0)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_lr": 0.0}, "inner_lr of maml must be a number above 0"),
        ({"inner_lr": -0.1}, "inner_lr of maml"),
        ({"inner_lr": "0.1"}, "inner_lr of maml must be a number above 0.\nReceived '0.1'"),
        ({"inner_lr": True}, "inner_lr of maml must be a number above 0.\nReceived True"),
        ({"inner_lr": "auto"}, "inner_lr of maml must be a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate of maml must be a number above 0"),
        ({"inner_steps": 0}, "inner_steps of maml must be"),
        ({"inner_steps": 1.5}, "inner_steps of maml must be a whole number"),
        ({"adapt_steps": 0}, "adapt_steps of maml"),
        ({"meta_batch": 0}, "meta_batch of maml"),
        ({"outer_optimizer": "adamax"}, "outer_optimizer"),
        (
            {"inner_freeze": "embedings"},
            "inner_freeze of maml must be 'none', 'embeddings'.*\nReceived 'embedings'",
        ),
        ({"inner_freeze": False}, "inner_freeze of maml must be .*\nReceived False"),
        ({"inner_freeze": 1.5}, "inner_freeze of maml must be .*\nReceived 1.5"),
        (
            {"validation_source": ["two"]},
            r"validation_source of maml must name a source.*\nReceived \['two'\]",
        ),
        (
            {"first_order": "no"},
            "first_order of maml must be True or False.\nReceived 'no'.\nThe default is False",
        ),
        ({"multi_step": 1}, "multi_step of maml must be True or False.\nReceived 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(DataError, match=message):
        MAML(**options)


@pytest.mark.parametrize("kind", [ProtoNet, ProtoMAML])
def test_bad_options_of_class_means(kind):
    with pytest.raises(DataError, match=r"distance.*\n*.*'cos'"):
        kind(distance="cos")
    with pytest.raises(DataError, match=r"cosine_scale of proto_.* must be a number above 0"):
        kind(distance="cosine", cosine_scale=0.0)
    with pytest.raises(DataError, match=r"cosine_scale=5.0 with distance='euclidean'"):
        kind(cosine_scale=5.0)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_outer_steps_must_be_a_whole_number(fresh, sampler, steps):
    with pytest.raises(DataError, match=r"steps must be a whole number of at least 1.\nReceived"):
        ProtoNet().fit(fresh, sampler, steps=steps)


def test_episodes_that_do_not_fit(fresh):
    with pytest.raises(DataError, match=r"head of 3 classes.*\n?.*way=4"):
        MAML().fit(fresh, make_sampler(way=4))
    with pytest.raises(DataError, match="same number of classes"):
        MAML().fit(fresh, make_sampler(way=(2, 3)))
    with pytest.raises(DataError, match=r"head of 3 classes.*\n?.*way=4 for validation"):
        MAML().fit(fresh, make_sampler(), validation=make_sampler(way=4))
    with pytest.raises(DataError, match=r"head of 3 classes.*\n?.*way=\d for validation"):
        ProtoNet().fit(fresh, make_sampler(way=(2, 3)), validation=make_sampler(way=(2, 5)))
    with pytest.raises(DataError, match=r"learns one classification or tagging(.|\n)*of rows"):
        ProtoNet().fit(fresh, make_sampler(), validation=EpisodeSampler(make_intents()))
    with pytest.raises(DataError, match="'training' and 'validation' must have no class in common"):
        MAML().fit(fresh, make_sampler(), validation=make_sampler())
    with pytest.raises(DataError, match="proto_net learns one classification"):
        ProtoNet().fit(tiny.make_model(), {"one": tiny.make_table()})
    with pytest.raises(
        DataError, match=r"validation must be an EpisodeSampler.\nReceived DataFrame"
    ):
        MAML().fit(fresh, make_sampler(), validation=make_intents())
    with pytest.raises(DataError, match=r"validation_episodes must be a whole number"):
        MAML().fit(fresh, make_sampler(), validation_episodes=0)
    numbers = EpisodeSampler(
        tiny.make_table(), Task("stars", kind="regression"), shot=2, num_query=2
    )
    with pytest.raises(
        DataError,
        match=r"labels in column 'stars'.\nReceived the tasks 'intent', and episodes for tra",
    ):
        MAML().fit(fresh, numbers)


def test_models_that_a_strategy_cannot_adapt(fresh):
    words = Majority().fit(fresh)
    with pytest.raises(
        DataError,
        match=r"maml adapts a TransferModel.\nReceived TextModel.\nGive what this strategy's fit",
    ):
        MAML().adapt(words, make_intents(8))
    with pytest.raises(
        DataError, match=r"meta_sgd adapts at the rates.*\nReceived TransferModel, without any"
    ):
        MetaSGD().adapt(fresh, make_intents().query("intent < 'c3'"))


def make_sources(**rows: int):
    return {
        name: tiny.make_table(count, seed=seed) for seed, (name, count) in enumerate(rows.items())
    }


def test_a_source_is_held_out_to_validate_on(monkeypatch):
    model, seen, logs = tiny.make_model(tiny.TASKS[:1]), {}, []
    kinds = {"EpisodeTensors": meta.EpisodeTensors, "Validation": meta.Validation}
    for name in kinds:

        def note(model, sampler, *args, name=name):
            seen[name] = sampler.domains
            return kinds[name](model, sampler, *args)

        monkeypatch.setattr(meta, name, note)
    note_logs = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, found: logs.append(found))
    strategy = ProtoNet(steps=1, meta_batch=1, shot=1, num_query=1, validation_source="two")
    strategy.fit(
        model, make_sources(one=30, two=30, three=30), callbacks=[note_logs], validation_episodes=2
    )
    assert seen == {"EpisodeTensors": ("one", "three"), "Validation": ("two",)}
    assert np.isfinite(logs[0]["val_loss"])


def test_a_source_to_validate_on_must_be_one_of_several(fresh):
    strategy = ProtoNet(validation_source="tow")
    with pytest.raises(
        DataError,
        match=r"Received validation_source='tow' and the tables 'one', 'two'. Did you mean",
    ):
        strategy.fit(fresh, make_sources(one=30, two=30))
    with pytest.raises(DataError, match="and the tables 'tow'"):
        strategy.fit(fresh, make_sources(tow=30))
    with pytest.raises(DataError, match=r"and an EpisodeSampler.\nGive source tables by name"):
        strategy.fit(fresh, make_sampler())


@pytest.mark.slow
def test_classes_of_a_source_to_validate_on_count_and_what_it_lacks_is_said():
    tables = make_sources(one=30, two=30, three=30)
    two_moods = {n: t[t["mood"] != "sad"] for n, t in tables.items()}
    open_model = tiny.make_model([Task("mood", kind="classification")])
    strategy = MAML(
        steps=1, meta_batch=1, inner_steps=1, shot=1, num_query=1, validation_source="two"
    )
    strategy.fit(open_model, two_moods | {"two": tables["two"]}, validation_episodes=1)
    assert len(open_model.tasks[0].classes) == 3
    proto_net = ProtoNet(steps=1, shot=1, num_query=1, validation_source="two")
    with pytest.raises(
        DataError,
        match=r"validation_source='two' of proto_net gives no episodes.*each of 3 classes",
    ):
        proto_net.fit(tiny.make_model(tiny.TASKS[:1]), tables | {"two": two_moods["two"]})


def test_sources_that_are_too_small_for_an_episode_are_named():
    for strategy, needed in (
        (MAML(), r"4 rows that"),
        (ProtoNet(), "4 rows of each of 3 classes that"),
    ):
        source, options = make_sources(small=3, large=60), {"shot": 2, "num_query": 2, "seed": 0}
        left_out = (
            rf"leaves out 1 of 2 sources, which have fewer than the {needed}.*'small' \(3 "
            r"rows\). Lower shot"
        )
        with pytest.warns(UserWarning, match=left_out):
            found = training_sampler(strategy, tiny.make_model(tiny.TASKS[:1]), source, **options)
        assert found.domains == ("large",)


def test_classes_of_source_tables_come_again_in_a_validation_of_another_domain():
    model, strategy = tiny.make_model(tiny.TASKS[:1]), ProtoNet()
    source = {name: tiny.make_table(30, seed=seed) for seed, name in enumerate(["one", "two"])}
    sampler, other = (
        training_sampler(strategy, model, source, shot=1, num_query=1, seed=0),
        tiny.make_table(30, seed=3),
    )
    strategy._validation(model, EpisodeSampler(other, "mood", 3, 1, 1), sampler, 1)
    for name, context in (
        ("three", contextlib.nullcontext()),
        ("two", pytest.raises(DataError, match="no class of a domain in common")),
    ):
        named = EpisodeSampler(other.assign(product=name), "mood", 3, 1, 1, domain="product")
        with context:
            strategy._validation(model, named, sampler, 1)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (
            MAML(meta_batch=2, inner_steps=4, inner_lr=1e25),
            r"in episode \d of outer step 1: inner step [234] of 4",
        ),
        (
            ANIL(meta_batch=1, inner_steps=1, inner_lr=1e20),
            r"norm(.|\n)*outer step 1, from the episodes 0\.",
        ),
        (
            Reptile(meta_batch=2, inner_steps=1, inner_lr=1e38),
            r"norm(.|\n)*outer step 1, from the episodes 0, 1\.",
        ),
    ],
    ids=["loss", "gradient", "last inner step"],
)
def test_what_is_not_finite_names_episode_and_step_and_changes_nothing(
    fresh, sampler, strategy, message
):
    before = [v.numpy() for v in fresh.trained_variables]
    with pytest.raises(TrainingError, match=message):
        strategy.fit(fresh, sampler, steps=1)
    assert tiny.same([v.numpy() for v in fresh.trained_variables], before)


@pytest.mark.slow
def test_freezing_and_new_heads_are_heard_of_by_equal_strategies(sampler):
    """Between two calls on one model."""
    model, strategy = (
        make_model(),
        Reptile(meta_batch=1, inner_steps=1, inner_lr=1.0, learning_rate=1.0),
    )
    support = make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}})
    strategy.fit(model, sampler, steps=1)
    adapted = strategy.adapt(model, support)
    for part in (model, adapted):
        freeze(part.encoder, "all")
        part.set_tasks(part.tasks)
    before, first = tiny.snapshot(model), model.heads["intent"].kernel.numpy()
    strategy.fit(model, sampler, steps=1)
    found = strategy.adapt(model, support, out=adapted)
    count = len(model.encoder.state)
    assert tiny.same(before[:count], tiny.snapshot(model)[:count]) and tiny.same(
        before[:count], tiny.snapshot(found)[:count]
    )
    assert not np.array_equal(first, model.heads["intent"].kernel)
    assert not np.array_equal(found.heads["intent"].kernel, model.heads["intent"].kernel)


def test_a_target_loss_that_is_not_finite_is_named(fresh):
    support = make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}})
    with pytest.raises(TrainingError, match="Lower inner_lr"):
        MAML(inner_lr=1e25).adapt(fresh, support)


def test_on_a_target_the_inner_loop_is_followed_by_the_training_of_target_only(fresh, monkeypatch):
    """From where the inner loop ends, with its rows, steps and rate; an episode has the inner loop
    alone.
    """
    support, calls = (
        make_intents(24).replace({"intent": {c: i % 3 for i, c in enumerate(WORDS)}}),
        [],
    )
    monkeypatch.setattr(
        target_training,
        "train",
        lambda model, table, **options: calls.append((tiny.snapshot(model), options)),
    )
    strategy = MAML(inner_steps=2, inner_lr=0.05)
    found = strategy.adapt(fresh, support, seed=3)
    ((start, options),) = calls
    assert tiny.same(start, tiny.snapshot(found))
    # where the inner loop began
    assert not tiny.same(start, tiny.snapshot(LinearProbe().adapt(fresh, support)))
    calls.clear()
    TargetOnly().adapt(fresh, support, seed=3)
    assert calls[0][1] | {"callbacks": None} == options | {"callbacks": None}
    calls.clear()
    strategy.for_episodes().adapt(fresh, support)
    assert not calls
