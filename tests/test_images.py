"""An encoder of images: what reads a column is the encoder's own, and all else is as with texts."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
import transformers

from tests import tiny
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import FineTune, LinearProbe

SIDE, PATCH = 8, 4
POSITIONS = 1 + (SIDE // PATCH) ** 2
"""The class token and the patches of an image."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images (side, side, 3) of a table, all of one length: see `encoders.inputs.EncodedRows`."""

    pixels: np.ndarray

    @property
    def lengths(self):
        return np.full(len(self.pixels), POSITIONS, np.int32)

    limit = POSITIONS

    @property
    def size(self):
        return len(self.pixels) * POSITIONS

    def __len__(self):
        return len(self.pixels)

    def digest(self):
        return hashlib.sha256(self.pixels.tobytes()).digest()

    def gather(self, rows, length):
        pixels = tf.gather(self.pixels, tf.maximum(rows, 0))
        mask = tf.ones((tf.size(rows), POSITIONS), tf.int32)
        return {"pixel_values": tf.transpose(pixels, (0, 3, 1, 2)), "attention_mask": mask}


class Images:
    """A column of arrays: see `encoders.inputs.Inputs`."""

    fields = {"pixel_values": tf.TensorSpec((None, 3, SIDE, SIDE), tf.float32)}  # noqa: RUF012

    def read(self, table, *, text, text_pair, max_length, spans):
        return Pictures(np.stack(list(table[text])).astype(np.float32))

    def least_length(self, paired):
        return 1

    def identity(self):
        return f"images {SIDE}"


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """Noise, brighter in one channel, which is the label; how bright is another."""
    draws = np.random.default_rng(seed)
    colours = draws.integers(0, 3, rows)
    images = draws.normal(0, 0.3, (rows, SIDE, SIDE, 3))
    bright = draws.uniform(0.5, 1.5, rows)
    for image, colour, amount in zip(images, colours, bright):
        image[..., colour] += amount
    names = pd.Series(np.array(["red", "green", "blue"])[colours], dtype=object)
    return pd.DataFrame({"image": list(images), "colour": names, "bright": bright})


@pytest.fixture(scope="module")
def model():
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=SIDE, patch_size=PATCH,
    )  # fmt: skip
    transformer = transformers.TFViTModel(config)
    transformer(transformer.dummy_inputs)
    tasks = [Task("colour"), Task("bright", kind="regression")]
    model = TransferModel(Encoder(transformer, Images()), tasks, text="image")
    model.compile(learning_rate=3e-3)
    model.fit(make_table(200, 0), epochs=4, batch_size=16, verbose=0)
    return model


def test_it_learns_and_says_the_same_in_a_copy(model):
    table = make_table(60, 1)
    scores = model.evaluate(table)
    assert scores["test", "colour", "accuracy"] > 0.8 and scores["test", "bright", "pearson"] > 0.4
    copied = model.copy()
    for name, said in model.predict(table, verbose=0).items():
        assert np.array_equal(copied.predict(table, verbose=0)[name].scores, said.scores)


@pytest.mark.parametrize("strategy", [FineTune(epochs=1, adapt_steps=4), LinearProbe()])
def test_strategies_transfer_it(model, strategy):
    before = tiny.snapshot(model)
    adapted = strategy.adapt(model, make_table(24, 2), seed=0)
    assert adapted.evaluate(make_table(30, 3))["test", "colour", "accuracy"] > 0.6
    assert tiny.same(before, tiny.snapshot(model))


def test_it_cannot_be_saved_and_says_so(model, tmp_path):
    with pytest.raises(DataError, match="Only encoders of texts"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
