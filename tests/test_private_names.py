"""The private names of Keras, TensorFlow and keras-tuner that the package rests on.

`tf_transfer/devices/private.py` holds all of them but those of subclasses, and each of its
functions has the test of its name here. The private names that a subclass overrides or inherits
stay in the subclass, since its base calls them; they are listed here. An upgrade that takes a name
away fails here with the name, and not somewhere in a training.
"""

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator

import keras_tuner
import numpy as np
import pytest

import tf_transfer
from tests import structure
from tf_transfer.devices import private
from tf_transfer.devices.backend import keras, tf
from tf_transfer.training import optimization
from tf_transfer.tuning import oracles

OTHERS = ("tf_keras", "keras_tuner", "tensorflow", "sklearn")
"""Packages whose classes ours inherit."""

OVERRIDDEN = {
    "AdamW": {
        "_apply_weight_decay",
        "_clip_gradients",
        "_compute_current_learning_rate",
        "_deduplicate_sparse_grad",
        "_use_weight_decay",
    },
    "BayesianOracle": {"_random_state"},
    "CheckMonitors": {"_supports_tf_logs"},
    "Durable": {"_retry_queue", "_save_trial"},
    "EvaluateSuite": {"_supports_tf_logs"},
    "KerasVerbs": {"_training_state"},
    "Resume": {"_chief_worker_only", "_implements_train_batch_hooks", "_supports_tf_logs"},
    "Trainable": {"_compiled_trainable_state"},
}
"""The private names of its base that each class defines or sets. Its base looks there alone."""

INHERITED = {
    "AdamW": {
        "_distribution_strategy",
        "_index_dict",
        "_learning_rate",
        "_momentums",
        "_var_key",
        "_velocities",
    },
    "Durable": {"_get_oracle_fname", "_get_trial_dir", "_run_times"},
    "Trainable": {"_get_trainable_state"},
    "TransferTuner": {"_is_worker"},
}
"""The private names of its base that each class reads of itself."""


def dense():
    layer = keras.layers.Dense(1)
    layer.build((None, 2))
    return layer


def adamw(*variables):
    plan = keras.optimizers.schedules.PolynomialDecay(1e-3, 10)
    made = keras.optimizers.AdamW(plan, weight_decay=0.1)
    made.build(list(variables))
    return made


# -- each function of private.py -------------------------------------------------------------------


def test_layers_of():
    inner, second = keras.layers.Dense(1, name="z"), keras.layers.Dense(1, name="a")
    between = keras.Sequential([inner])
    outer = keras.Sequential([between, second])
    assert private.layers_of(outer) == [outer, between, inner, second]
    assert private.layers_of(outer, itself=False, nested=False) == [between, second]


def test_own_weights():
    layer = dense()
    trainable, others = private.own_weights(layer)
    assert [v is w for v, w in zip(trainable, layer.weights)] == [True, True] and others == []
    others.append(trainable.pop())
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 1


def test_draw_masks_from():
    class Zeros:
        def _maybe_init(self):
            pass

        def dropout(self, inputs, rate, noise_shape=None):
            return 0 * inputs

    layer = keras.layers.Dropout(0.1)
    private.draw_masks_from(layer, Zeros())
    assert not layer(tf.ones((2, 50)), training=True).numpy().any()


def test_mask_metrics():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", metrics=[keras.metrics.MeanSquaredError()])
    scores = tf.constant([[1.0], [5.0]])
    private.mask_metrics(scores, tf.constant([1.0, 0.0]))
    model.compiled_metrics.update_state(tf.zeros((2, 1)), scores)
    assert [metric.result() for metric in model.metrics] == [1.0]


def test_step_counter():
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    model.fit(np.ones((3, 1)), np.ones((3, 1)), batch_size=1, verbose=0)
    assert private.step_counter(model) == 3


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_has_metrics(argument):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert not private.has_metrics(model.compiled_metrics)
    model.compile("sgd", "mse", **{argument: ["mae"]})
    assert private.has_metrics(model.compiled_metrics)


def test_schedule_of():
    plan = keras.optimizers.schedules.PolynomialDecay(1e-3, 10)
    assert private.schedule_of(keras.optimizers.SGD(plan)) is plan
    fixed = keras.optimizers.SGD(0.5)
    assert private.schedule_of(fixed) is fixed.learning_rate
    scaled = keras.mixed_precision.LossScaleOptimizer(fixed)
    assert private.schedule_of(scaled) is private.schedule_of(None) is None
    assert private.schedule_of(keras.optimizers.legacy.SGD(plan)) is None


def test_is_built_for():
    known, other = tf.Variable(1.0), tf.Variable(1.0)
    optimizer = adamw(known)
    assert private.is_built_for(optimizer, [known]) is True
    assert private.is_built_for(optimizer, [known, other]) is False
    assert private.is_built_for(keras.optimizers.SGD(), [known]) is None
    assert private.is_built_for(keras.optimizers.legacy.Adam(), [known]) is None


def test_rebuild():
    first, second = tf.Variable(1.0), tf.Variable(1.0)
    optimizer = adamw(first)
    before = len(optimizer.variables())
    optimizer.build([second])
    assert not private.is_built_for(optimizer, [second])  # as the docstring says of `build`
    private.rebuild(optimizer, [second])
    assert private.is_built_for(optimizer, [second])
    assert len(optimizer.variables()) == before
    optimizer.apply_gradients([(tf.constant(1.0), second)])
    assert second < 1.0


def test_build_legacy():
    weight, optimizer = tf.Variable(1.0), keras.optimizers.legacy.Adam()
    private.build_legacy(optimizer, [weight])
    assert len(optimizer.variables()) == 3  # iterations and two moments


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.legacy.SGD])
def test_loss_scale_variables(kind):
    scaled = keras.mixed_precision.LossScaleOptimizer(kind(), initial_scale=8)
    scale, counter = private.loss_scale_variables(scaled)
    scale.assign(4.0)
    assert scaled.loss_scale == 4.0 and counter is scaled.dynamic_counter
    fixed = keras.mixed_precision.LossScaleOptimizer(kind(), dynamic=False, initial_scale=8)
    assert private.loss_scale_variables(fixed) == private.loss_scale_variables(kind()) == []


def test_whole_variable():
    alone = tf.Variable(1.0)
    assert private.whole_variable(alone) is alone
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        shared = tf.Variable(1.0)
    assert private.whole_variable(shared.values[0]) is shared


def test_unchanged_inputs():
    read, written = tf.Variable(1.0), tf.Variable(1.0)

    @tf.function(autograph=False)
    def inner():
        written.assign(read.read_value())

    @tf.function(autograph=False)
    def outer():
        inner()

    operations = outer.get_concrete_function().graph.get_operations()
    unchanged = {op.type: private.unchanged_inputs(op) for op in operations}
    call = next(op for op in operations if "PartitionedCall" in op.type)
    assert len(call.inputs) == 2 and len(unchanged[call.type]) == 1
    assert unchanged["Placeholder"] is None


def test_hyperband_trials():
    """Li et al. 2018, "Hyperband", Algorithm 1, by hand: brackets of 3 + 1 and of 2 trials."""
    objective = keras_tuner.Objective("val_loss", "min")
    oracle = keras_tuner.oracles.HyperbandOracle(objective, max_epochs=3, factor=3)
    assert private.hyperband_trials(oracle) == 6


def test_each_function_is_tested_here():
    functions = [
        name
        for name, value in vars(private).items()
        if inspect.isfunction(value) and value.__module__ == private.__name__
    ]
    assert functions and [name for name in functions if f"test_{name}" not in globals()] == []


def test_no_other_module_reads_a_private_name():
    package = structure.read_package(structure.PACKAGE)
    assert set(structure.foreign_privates(package)) == {private.__name__}


# -- what subclasses override and inherit ----------------------------------------------------------


def classes() -> Iterator[type]:
    """The classes of the package that have a base of another package."""
    for found in pkgutil.walk_packages(tf_transfer.__path__, "tf_transfer."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__ and foreign(value):
                yield value


def foreign(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base.__module__.startswith(OTHERS)]


def own(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base.__module__.startswith("tf_transfer.")]


@functools.cache
def of_self(kind: type, is_set: bool) -> set[str]:
    """The private names that a class's methods set, or read, of ``self``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    uses = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and structure.is_own(n.value))
    return {n.attr for n in uses if private_name(n.attr) and isinstance(n.ctx, ast.Store) == is_set}


def private_name(name: str) -> bool:
    return structure.is_private(name) and not name.startswith("_abc_")


def defined(kind: type) -> set[str]:
    """The private names that a class defines, or sets on ``self``."""
    return {name for name in vars(kind) if private_name(name)} | of_self(kind, True)


def by_class(names_of) -> dict[str, set[str]]:
    """What ``names_of(kind, base)`` finds for each class of ours, by the class that it is in."""
    found = {}
    for kind in classes():
        for base in own(kind):
            found.setdefault(base.__name__, set()).update(names_of(kind, base))
    return {name: names for name, names in found.items() if names}


def overridden(kind: type, base: type) -> set[str]:
    return defined(base) & set().union(*map(defined, foreign(kind)))


def inherited(kind: type, base: type) -> set[str]:
    return of_self(base, False) - set().union(*map(defined, own(kind)))


def test_what_subclasses_override_is_listed_and_still_there():
    """A name that Keras no longer has would never be called again."""
    assert by_class(overridden) == OVERRIDDEN


def test_what_subclasses_read_is_listed():
    assert by_class(inherited) == INHERITED


def optimizer():
    made = optimization.auto_optimizer(1e-3)
    made.build([tf.Variable(1.0)])
    return made


def oracle():
    return oracles.BayesianOracle(keras_tuner.Objective("val_loss", "min"), max_trials=1)


MADE = {
    "AdamW": optimizer,
    "Durable": oracle,
    "Trainable": keras.Model,
    "TransferTuner": lambda: keras_tuner.engine.base_tuner.BaseTuner,
}


@pytest.mark.parametrize("name", INHERITED)
def test_objects_have_what_subclasses_read(name):
    made = MADE[name]()
    assert [known for known in INHERITED[name] if not hasattr(made, known)] == []
