"""Mixed precision: 16 bits where it is safe, 32 where it is not."""

import numpy as np
import pytest

from tests import tiny
from tests.strategies.test_meta import make_sampler
from tf_transfer import load_encoder
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders import families
from tf_transfer.episodes.tensors import EpisodeTensors
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import MAML


@pytest.fixture(scope="module")
def models():
    """The same weights in both precisions."""
    found = {}
    for precision in ("float32", "mixed_bfloat16"):
        with families.computing_in(precision):
            found[precision] = tiny.make_model()
    return found


def test_the_encoder_computes_in_16_bits_and_losses_in_32(models):
    model = models["mixed_bfloat16"]
    x, y, w = next(iter(model.dataset(tiny.make_table(8))))
    assert model.encoder.hidden(x).dtype == tf.bfloat16
    outputs = model(x)
    loss, parts, _ = model.compute_losses(y, outputs, w)
    dtypes = {
        t.dtype
        for t in tf.nest.flatten([outputs, loss, parts, model.encoder(x), model.trained_variables])
    }
    assert dtypes == {tf.float32}
    assert keras.mixed_precision.global_policy().name == "float32"


def test_both_precisions_agree_to_the_digits_that_16_bits_have(models):
    found = [m.predict(tiny.make_table(8), verbose=0)["mood"].scores for m in models.values()]
    np.testing.assert_allclose(*found, atol=5e-3)
    assert np.abs(found[0] - found[1]).max() > 0


def test_copies_and_saved_models_keep_the_precision(models, tmp_path):
    model = models["mixed_bfloat16"]
    assert model.copy().encoder.precision == "mixed_bfloat16"
    model.save(tmp_path / "model")
    again = TransferModel.load(tmp_path / "model")
    table = tiny.make_table(8)
    assert again.encoder.precision == "mixed_bfloat16"
    assert tiny.same(model.predict(table, verbose=0), again.predict(table, verbose=0))


def test_load_encoder_takes_a_precision_or_the_global_one(encoder_folder):
    assert load_encoder(encoder_folder, precision="mixed_bfloat16").precision == "mixed_bfloat16"
    try:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        assert load_encoder(encoder_folder).precision == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    with pytest.raises(DataError, match="Did you mean 'mixed_bfloat16'"):
        load_encoder(encoder_folder, precision="bfloat16")


@pytest.mark.slow
def test_the_meta_gradient_points_the_same_way():
    from tests.strategies.test_meta import WORDS

    found, sampler = [], make_sampler()
    for precision in ("float32", "mixed_bfloat16"):
        with families.computing_in(precision):
            encoder = tiny.make_encoder(texts=tuple(WORDS.values()), layers=2)
        task = Task("intent", kind="classification", classes=(0, 1, 2))
        model = TransferModel(encoder, task, max_length=12, seed=1)
        learner = MAML(inner_steps=2, inner_lr=0.05)._learner(model)
        _, gradients, _ = learner.meta_gradients(*EpisodeTensors(model, sampler)(sampler.sample(2)))
        found.append(np.concatenate([g.numpy().ravel() for g in gradients]))
    a, b = found
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99
