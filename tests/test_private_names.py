"""The private names of other packages that the toolkit rests on: all are listed, and the installed
versions have them.

A new use, or an upgrade that takes one away, fails here with the name, and not somewhere in a
training.
"""

from pathlib import Path

import keras_tuner
import numpy as np
import pytest

import tf_transfer
from tests import structure
from tf_transfer.devices.backend import keras, tf


def layer():
    return keras.layers.Dense(1)


def optimizer():
    weight = tf.Variable(1.0)
    made = keras.optimizers.AdamW(
        keras.optimizers.schedules.PolynomialDecay(1e-3, 10), clipnorm=1.0
    )
    made.build([weight])
    made.apply_gradients([(tf.constant(1.0), weight)])
    return made


def scaled_optimizer():
    return keras.mixed_precision.LossScaleOptimizer(keras.optimizers.AdamW(1e-3))


def model():
    made = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    made.compile("sgd", "mse")
    made.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
    return made


def bayesian():
    return keras_tuner.oracles.BayesianOptimizationOracle(
        keras_tuner.Objective("val_loss", "min"), max_trials=1
    )


def hyperband():
    return keras_tuner.oracles.HyperbandOracle(keras_tuner.Objective("val_loss", "min"))


HELD = {
    layer: (
        "_flatten_layers",
        "_trainable_weights",
        "_non_trainable_weights",
        "_get_trainable_state",
    ),
    lambda: keras.layers.Dropout(0.1): ("_random_generator",),
    optimizer: (
        *(
            "_built",
            "_index_dict",
            "_learning_rate",
            "_current_learning_rate",
            "_var_key",
            "_variables",
        ),
        *(
            "_momentums",
            "_velocities",
            "_distribution_strategy",
            "_clip_gradients",
            "_compute_current_learning_rate",
        ),
        "_use_weight_decay",
    ),
    keras.optimizers.legacy.Adam: ("_create_all_weights",),
    scaled_optimizer: ("_loss_scale",),
    model: ("_train_counter",),
    lambda: tf.distribute.MirroredStrategy(["CPU:0"]).extended: ("_in_multi_worker_mode",),
    bayesian: (
        "_get_trial_dir",
        "_get_oracle_fname",
        "_random_state",
        "_retry_queue",
        "_run_times",
    ),
    hyperband: ("_get_num_brackets", "_get_size", "_get_num_rounds"),
}
"""What makes an object of each, and the names that it must have."""

ASKED = {
    "_cast_dtype": "of a variable under mixed precision: asked for with hasattr",
    "_distributed_container": "of a variable's handle under replicas: asked for with a default",
    "_keras_mask": "set on a tensor: Keras reads it when it weighs metrics, which tests of weights "
    "check",
    "_num_workers": "of a strategy of several workers, which tests/two_workers.py trains with",
}
"""Names that an object need not have."""


@pytest.mark.parametrize(
    "made, names", HELD.items(), ids=lambda value: getattr(value, "__name__", None)
)
def test_the_installed_versions_have_the_names(made, names):
    held = made()
    assert [name for name in names if not hasattr(held, name)] == []


def test_every_private_name_that_is_used_is_listed():
    package = structure.read_package(Path(tf_transfer.__file__).parent)
    used = {name for names in structure.foreign_privates(package).values() for name in names}
    assert used <= {name for names in HELD.values() for name in names} | set(ASKED)
