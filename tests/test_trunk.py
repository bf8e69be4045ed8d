"""The frozen lower blocks of an encoder run once for a batch that is used many times."""

import copy
import dataclasses

import numpy as np
import pytest

from tests import tiny
from tf_transfer.batches.token_inputs import batches_of
from tf_transfer.batches.tokens import tokenise
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.families import build
from tf_transfer.encoders.freezing import blocks_of, freeze
from tf_transfer.encoders.tiny import TINY_FAMILIES
from tf_transfer.encoders.trunk import with_trunk
from tf_transfer.encoders.vectors import Trunk
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.meta_gradients.gradient_check import gradcheck
from tf_transfer.meta_gradients.memory_estimate import kept_bytes, weight_count
from tf_transfer.meta_gradients.meta_learner import Adapter
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import MAML

pytestmark = pytest.mark.slow

TASK = tiny.TASKS[0]


def frozen_model(depth=1, **options):
    return TransferModel(tiny.make_encoder(layers=2), TASK, max_length=24, freeze=depth, **options)


def ids():
    return {
        "input_ids": tf.constant([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]]),
        "attention_mask": tf.constant([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "token_type_ids": tf.zeros((2, 5), tf.int32),
    }


def kept(encoder, trunk=None):
    """A table's tokens with the trunk of its texts."""
    return (trunk or Trunk(encoder)).keep(tokenise(encoder, tiny.make_table(3), max_length=24))


def of_tokens(encoder, tokens):
    """The texts' vectors, from the trunk where the tokens have one."""
    return encoder(
        tokens.gather(tf.range(len(tokens), dtype=tf.int64), int(tokens.lengths.max()))
    ).numpy()


@pytest.mark.parametrize("family", [family for family in TINY_FAMILIES if family != "albert"])
def test_the_encoder_goes_on_from_the_trunk_of_a_table(family):
    encoder = tiny.make_encoder(family, layers=2)
    freeze(encoder, 1)
    tokens = kept(encoder)
    padded = tokens.gather(tf.constant([0], tf.int64), int(tokens.lengths[0]) + 2)[
        "trunk_1"
    ].numpy()[0]
    assert np.all(padded[-2:] == 0) and np.all(np.any(padded[:-2] != 0, axis=1))
    whole = of_tokens(encoder, dataclasses.replace(tokens, more={}))
    np.testing.assert_allclose(of_tokens(encoder, tokens), whole, rtol=1e-5, atol=1e-6)
    for variable in blocks_of(encoder.transformer)[0].weights:
        # T5's first block hands its positions to the others, beside the trunk
        if "relative" not in variable.name:
            variable.assign(variable + np.random.default_rng(0).normal(size=variable.shape))
    np.testing.assert_allclose(of_tokens(encoder, tokens), whole, rtol=1e-5, atol=1e-6)
    assert np.abs(of_tokens(encoder, dataclasses.replace(tokens, more={})) - whole).max() > 1e-3


def test_a_trunk_of_another_depth_does_not_count():
    encoder = tiny.make_encoder(layers=2)
    freeze(encoder, 1)
    trunk = Trunk(encoder)
    tokens = kept(encoder, trunk)
    wrong = dataclasses.replace(tokens, more={"trunk_1": 0 * tokens.more["trunk_1"]})
    for depth in (2, "none"):
        freeze(encoder, depth)
        whole = of_tokens(encoder, dataclasses.replace(tokens, more={}))
        assert np.array_equal(of_tokens(encoder, wrong), whole)
    freeze(encoder, 1)
    blocks_of(encoder.transformer)[0].trainable = True
    assert not kept(encoder, trunk).more


def test_normalised_relative_positions_are_frozen_with_the_blocks():
    first = tiny.make_encoder("deberta-v2", layers=2)
    config = copy.deepcopy(first.config)
    config.norm_rel_ebd = "layer_norm"
    encoder = Encoder(build(type(first.transformer), config), first.tokenizer)
    trained = len(encoder.trainable_variables)
    freeze(encoder, 1)
    assert kept(encoder).more
    freeze(encoder, "none")
    assert len(encoder.trainable_variables) == trained


def test_adapting_under_a_distribution_has_no_trunk():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = frozen_model()
        support = tiny.make_table(6)
        adapted = MAML(inner_steps=1, inner_lr=0.1).adapt(model, support)
    assert not model._trunk.keep(model.tokenise(support)).more
    assert not tiny.same(tiny.snapshot(adapted), tiny.snapshot(model))


@pytest.mark.parametrize("depth", ["none", "embeddings"])
def test_without_frozen_blocks_there_is_no_trunk(depth):
    encoder = tiny.make_encoder(layers=2)
    freeze(encoder, depth)
    assert set(with_trunk(encoder, ids())) == set(ids())


def test_blocks_that_run_several_times_are_no_trunk():
    encoder = tiny.make_encoder("albert", layers=2, dropout=0.5)
    freeze(encoder, "all")
    assert set(with_trunk(encoder, ids())) == set(ids())
    assert np.array_equal(encoder(ids(), training=True), encoder(ids()))  # no dropout, all the same


def test_what_training_changes_is_not_below_a_trunk():
    encoder = tiny.make_encoder(layers=2)
    freeze(encoder, 1)
    blocks_of(encoder.transformer)[0].trainable = True
    assert set(with_trunk(encoder, ids())) == set(ids())


def test_a_block_is_as_before_after_an_exception():
    model = frozen_model()
    block = blocks_of(model.encoder.transformer)[0]
    with pytest.raises(KeyError):
        with_trunk(model.encoder, {"input_ids": ids()["input_ids"]})
    assert "call" not in vars(block)


def count_runs(block):
    """Counts how often a block runs; where its result is not needed, it does not."""
    runs, own = [], block.call

    def call(*args, **kwargs):
        given = own(*args, **kwargs)
        seen = tf.numpy_function(
            lambda h: runs.append(1) or h, [given[0]], given[0].dtype, stateful=False
        )
        seen.set_shape(given[0].shape)
        return (given[0] + 0 * tf.stop_gradient(seen), *given[1:])

    block.call = call
    return runs


def test_frozen_blocks_run_once_whatever_the_number_of_steps():
    model = frozen_model()
    lower, upper = map(count_runs, blocks_of(model.encoder.transformer))
    adapter = Adapter(model, steps=5)
    start = [tf.convert_to_tensor(v) for v in adapter.variables]
    adapter(table_batch(model, tiny.make_table(6)), start, [tf.constant(0.1)] * len(start))
    assert (len(lower), len(upper)) == (1, 5)


def test_frozen_blocks_have_no_dropout_and_others_have():
    model = frozen_model(dropout=0.0)
    found = {}
    for depth in (1, 2, "all"):
        freeze(model.encoder, depth)
        losses = []
        for step in range(2):
            model.encoder.dropout_state.assign([0, step])
            losses.append(model.encoder(ids(), training=True).numpy())
        found[depth] = np.abs(losses[0] - losses[1]).max()
    assert found[1] > 1e-3 and found[2] == found["all"] == 0


@pytest.mark.parametrize("keep", [True, False])
def test_fit_runs_frozen_blocks_once(keep, monkeypatch):
    if not keep:
        monkeypatch.setattr("tf_transfer.encoders.vectors.MOST_TRUNK_BYTES", 1)
    model, table = frozen_model(), tiny.make_table(20)
    lower, upper = map(count_runs, blocks_of(model.encoder.transformer))
    model.compile()
    model.fit(table, epochs=3, batch_size=8, verbose=0)
    assert (len(lower), len(upper)) == (1 if keep else 9, 9)


def test_a_data_set_with_a_trunk_is_trained_on_as_it_is():
    model = frozen_model()
    dataset = model.dataset(tiny.make_table(20), keep_trunk=True)
    assert batches_of(model, dataset) is dataset


def test_frozen_blocks_keep_no_intermediate_values():
    whole, frozen = kept_bytes(frozen_model("embeddings"), 8, 3), kept_bytes(frozen_model(1), 8, 3)
    model = frozen_model(2)
    assert whole > frozen > kept_bytes(model, 8, 3) == 4 * 3 * 3 * weight_count(model)


def test_one_pass_keeps_nothing():
    model = frozen_model()
    dataset = model._passes(model._rows(tiny.make_table(20)), 0, 3, 8)
    assert "trunk_1" not in dataset.element_spec[0]


def test_a_run_that_goes_on_for_less_than_a_pass_keeps_the_trunk_as_the_first_did():
    model = frozen_model()
    dataset = model._passes(model._rows(tiny.make_table(20)), 4, 6, 8)
    assert "trunk_1" in dataset.element_spec[0]


def test_fit_learns_what_it_learns_without_keeping(monkeypatch):
    table, found = tiny.make_table(20), []
    for keep in (True, False):
        if not keep:
            monkeypatch.setattr("tf_transfer.encoders.vectors.MOST_TRUNK_BYTES", 1)
        model = frozen_model()
        model.compile(learning_rate=1e-2)
        model.fit(table, epochs=3, batch_size=8, verbose=0)
        found.append([v.numpy() for v in model.trained_variables])
    for kept, live in zip(*found):
        np.testing.assert_allclose(kept, live, rtol=1e-4, atol=1e-5)


def test_the_meta_gradient_over_a_trunk_agrees_with_central_differences():
    model = frozen_model()
    for variable in model.trained_variables:  # away from gradients near 0
        variable.assign_add(0.3 * np.random.default_rng(0).normal(size=variable.shape))
    episode = EpisodeSampler(tiny.make_table(40), "mood", way=3, shot=1, num_query=2).episode(0)
    found = gradcheck(MAML(inner_steps=2, inner_lr=0.05, memory_gb=1e-9), model, episode)
    assert found.relative_error < 1e-6, found


def test_adapting_part_by_part_gives_what_it_gives_without_a_trunk(monkeypatch):
    support, found = tiny.make_table(10), []
    for changed in (False, True):
        model = frozen_model()
        if changed:
            monkeypatch.setattr(
                "tf_transfer.meta_gradients.batch_functions.with_trunk", lambda encoder, x: x
            )
        maml = MAML(inner_steps=3, inner_lr=0.1, rows_a_part=4)
        found.append([v.numpy() for v in maml.adapt(model, support).state])
    for once, each in zip(*found):
        np.testing.assert_allclose(once, each, rtol=1e-5, atol=1e-6)
