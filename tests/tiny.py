"""Small tables and models that the tests of the TensorFlow core share. All text is invented."""

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.encoders.tiny import tiny_encoder
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel

MOODS = ("calm", "glad", "sad")
WORDS = {"calm": "still lake at dawn", "glad": "bright drum and dance", "sad": "cold rain again"}
VOCABULARY = tuple(WORDS.values())

TASKS = [
    Task("mood", kind="classification", classes=MOODS),
    Task("themes", kind="multilabel", classes=("water", "noise")),
    Task("stars", kind="regression"),
]


def keep_graphs() -> None:
    """Graphs run as they are traced. Those of the tests run a few times: rewriting them takes
    longer than they do.

    The first notebook, documents and the command line, which are processes of their own, run them
    rewritten.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def make_table(rows: int = 24, seed: int = 0) -> pd.DataFrame:
    """Texts of different lengths whose labels follow from their words."""
    draws = np.random.default_rng(seed)
    moods = [MOODS[i] for i in draws.integers(0, 3, rows)]
    texts = [WORDS[m] + " so" * int(draws.integers(0, 12)) for m in moods]
    return pd.DataFrame({
        "text": texts,
        "mood": pd.Series(moods, dtype=object),
        "themes": [["water"] if m != "glad" else ["noise"] for m in moods],
        "stars": [10.0 * MOODS.index(m) + float(draws.normal()) for m in moods],
    })  # fmt: skip


def make_encoder(family="bert", **options):
    return tiny_encoder(family, **{"texts": VOCABULARY, "width": 16, "layers": 1} | options)


def make_model(tasks=TASKS, **options) -> TransferModel:
    return TransferModel(make_encoder(), tasks, **{"max_length": 24} | options)


def snapshot(model) -> list[np.ndarray]:
    return [v.numpy() for v in model.state]


def restore(model, values) -> None:
    for variable, value in zip(model.state, values, strict=True):
        variable.assign(value)


def same(first, second) -> bool:
    """Whether two lists of arrays, or two `Predictions`, have the same bits."""
    if isinstance(first, dict):
        assert set(first) == set(second)
        first, second = ([p[name].scores for name in sorted(p)] for p in (first, second))
    return len(first) == len(second) and all(
        a.tobytes() == b.tobytes() for a, b in zip(first, second)
    )
