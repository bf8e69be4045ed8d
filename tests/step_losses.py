"""The losses of single steps of strategies, which several devices must share with one."""

import numpy as np

from tests import tiny
from tests.strategies.test_meta import WORDS, make_sampler
from tf_transfer.devices.backend import keras
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import (
    ANIL,
    MAML,
    FineTune,
    MetaSGD,
    MultiTask,
    ProtoMAML,
    ProtoNet,
    Reptile,
)

BATCH = 8
OUTER = {"steps": 3, "meta_batch": 4, "learning_rate": 0.01}
INNER = OUTER | {"inner_steps": 2, "inner_lr": 0.1}
ON_TABLES = {
    "fine_tune": FineTune(epochs=1, batch_size=BATCH, adapt_steps=4, adapt_batch_size=4),
    "multi_task": MultiTask(epochs=2, batch_size=BATCH),
}
ON_EPISODES = {
    "maml": MAML(**INNER),
    "anil": ANIL(**INNER),
    "meta_sgd": MetaSGD(first_order=True, **INNER),
    "reptile": Reptile(**INNER | {"learning_rate": 0.5}),
    # Adam's quotient would enlarge the rounding of gradients that are nearly 0.
    "proto_net": ProtoNet(outer_optimizer="sgd", **OUTER | {"learning_rate": 0.1}),
    "proto_maml": ProtoMAML(first_order=True, **INNER),
}
STEPS = {"fine_tune": 3 + 2 + 4, "multi_task": 2 * 4} | dict.fromkeys(ON_EPISODES, OUTER["steps"])


class StepLosses(keras.callbacks.Callback):
    """The loss of each step, in which a difference is not divided by the steps before it.

    The logs of Keras are means of the epoch so far: in `fit` the metrics are reset before each
    step. The outer loop of meta-learning counts by itself, so it must be run with
    ``validate_every=1``.
    """

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def train_table():
    """Rows whose labels are unevenly missing, so that replicas have different numbers of labels."""
    table = tiny.make_table(21, seed=3)
    table.loc[[0, 2, 3, 4, 9, 15], "mood"] = None
    table.loc[[1, 5, 6, 7, 8], "stars"] = None
    return table


def on_tables(distribution, model=None) -> dict:
    """What fine-tuning from two sources to a target, and multi-task learning, found: see
    `on_episodes`.

    Args:
        model: of `tests.tiny`, trained before: it has its step traced. It is left with its weights.
    """
    if model is None:
        with distribution.scope():
            model = tiny.make_model()
    first, found = tiny.snapshot(model), {}
    sources = {"one": train_table(), "two": tiny.make_table(9, seed=2).drop(columns="themes")}
    for name, strategy in ON_TABLES.items():
        note = StepLosses()
        ends = [strategy.fit(model, sources, callbacks=[note]).model]
        if name == "fine_tune":
            # The last of its two batches cannot be shared equally.
            ends.append(strategy.adapt(model, tiny.make_table(7, seed=5), callbacks=[note]))
        found[name] = {
            "losses": note.losses,
            **_weights(distribution, [v for end in ends for v in end.state]),
        }
        tiny.restore(model, first)
    return found


def on_episodes(distribution, name: str) -> dict:
    """What the outer loop of a strategy found: the loss of each step, and all that was learned."""
    with distribution.scope():
        encoder = tiny.make_encoder(texts=tuple(WORDS.values()))
        model = TransferModel(
            encoder, Task("intent", kind="classification", classes=(0, 1, 2)), max_length=12
        )
    strategy, note = ON_EPISODES[name], StepLosses()
    fitted = strategy.fit(model, make_sampler(), callbacks=[note], validate_every=1)
    return {
        "losses": note.losses,
        "rates": list(fitted.rates),
        **_weights(distribution, model.state),
    }


def _weights(distribution, variables) -> dict:
    copies = [[c.numpy() for c in distribution.experimental_local_results(v)] for v in variables]
    apart = max(float(np.ptp(c, 0).max()) for c in copies)
    return {"weights": [c[0] for c in copies], "copies apart": apart}
