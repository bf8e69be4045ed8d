"""How the gradients of several tasks become one: PCGrad by hand, the step that a rule makes, and
where a rule is named.
"""

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pytest

from tests import tiny
from tests.callbacks.runs import Kill
from tests.experiments import make_experiment, make_table
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.provenance import identities
from tf_transfer.strategies import FineTune, MultiTask
from tf_transfer.training import gradient_rules
from tf_transfer.training.callbacks.resume import Resume
from tf_transfer.training.gradient_rules import RULES, GradientRule, Losses, PCGrad

PCGRAD = RULES["pcgrad"]
SEED = (3, 1)


@dataclasses.dataclass(frozen=True)
class Double(GradientRule):
    """Twice the sum, which notes what it was given."""

    name: ClassVar[str] = "double"
    given: list = dataclasses.field(default_factory=list, compare=False)

    def gradients(self, losses, tape, variables, seed):
        self.given.append((losses, seed))
        return [2 * tf.convert_to_tensor(g) for g in tape.gradient(losses.total, variables)]


# -- PCGrad ----------------------------------------------------------------------------------------


def of_linear_losses(gradients, seed=SEED) -> list[float]:
    """What PCGrad makes of losses that have these gradients."""
    variable = tf.Variable(tf.zeros(len(gradients[0])))
    with tf.GradientTape(persistent=True) as tape:
        shares = {
            str(i): tf.reduce_sum(variable * tf.constant(g, tf.float32))
            for i, g in enumerate(gradients)
        }
    losses = Losses(None, shares, None)
    (found,) = PCGRAD.gradients(losses, tape, [variable], tf.constant(seed))
    return found.numpy()


def by_hand(gradients, orders) -> np.ndarray:
    """Algorithm 1, as it is written, with the order in which each task meets the others."""
    total = np.zeros(len(gradients[0]))
    for gradient, order in zip(gradients, orders):
        projected = np.array(gradient, float)
        for other in order:
            met = np.array(gradients[other], float)
            if projected @ met < 0:
                projected = projected - (projected @ met) / (met @ met) * met
        total += projected
    return total


def test_two_tasks_in_conflict():
    """(1, 0) without its part along (-1, 1) is (1/2, 1/2); (-1, 1) without that along (1, 0) is
    (0, 1).
    """
    np.testing.assert_allclose(of_linear_losses([(1, 0), (-1, 1)]), [0.5, 1.5], rtol=1e-6)


@pytest.mark.parametrize(
    "gradients", [[(1, 0), (1, 1)], [(1, 0), (0, 1)], [(1, 2, 0), (0, 1, 1), (3, 0, 1)]]
)
def test_without_a_conflict_it_is_the_sum(gradients):
    assert of_linear_losses(gradients).tolist() == np.sum(gradients, axis=0).tolist()


THREE = [(1.0, 0.0, 0.5), (-1.0, 1.0, 0.0), (0.2, -1.0, -1.0)]


def test_three_tasks_in_conflict_in_a_random_order_that_the_seed_repeats():
    others = [[o for o in range(3) if o != task] for task in range(3)]
    orders = itertools.product(*(itertools.permutations(tasks) for tasks in others))
    possible = np.array([by_hand(THREE, order) for order in orders])
    assert len(np.unique(possible.round(6), axis=0)) == 8
    drawn = set()
    for step in range(20):
        found = of_linear_losses(THREE, (3, step))
        nearest = np.abs(possible - found).max(axis=1)
        assert nearest.min() < 1e-6
        drawn.add(nearest.argmin())
    assert len(drawn) > 4
    assert of_linear_losses(THREE).tolist() == of_linear_losses(THREE).tolist()


def test_a_task_does_not_meet_itself():
    """Two projections in turn may turn a gradient by more than a right angle."""
    gradients = [(1.0, 0.0), (-1.0, 0.2), (-1.0, -0.2)]
    orders = [(1, 2), (0, 2), (0, 1)]
    products = tf.constant(np.array(gradients) @ np.transpose(gradients))
    last = [(*order, task) for task, order in enumerate(orders)]
    factors = gradient_rules.pcgrad.surgery(products, tf.constant(last))
    projected = factors.numpy() @ np.array(gradients)
    assert projected[0] @ gradients[0] < 0
    np.testing.assert_allclose(projected.sum(axis=0), by_hand(gradients, orders))


def test_a_task_without_rows_has_no_part_in_it():
    two = of_linear_losses([(1, 0), (-1, 1)])
    np.testing.assert_allclose(of_linear_losses([(1, 0), (0, 0), (-1, 1)]), two, rtol=1e-6)
    assert of_linear_losses([(0, 0), (0, 0)]).tolist() == [0, 0]


def test_shared_weights_alone_are_compared_and_rows_of_an_embedding_are_added_up():
    table, head, unused = (tf.Variable(tf.ones(shape)) for shape in ((3, 2), (2,), (2,)))
    with tf.GradientTape(persistent=True) as tape:
        first = tf.reduce_sum(tf.gather(table, [1, 1]) * [[1.0, 0], [1, 0]]) * 0.5
        second = tf.reduce_sum(tf.gather(table, [1]) * [[-1.0, 1]]) + 5 * tf.reduce_sum(head)
    losses = Losses(None, {"first": first, "second": second}, None)
    found = PCGRAD.gradients(losses, tape, [table, head, unused], tf.constant(SEED))
    np.testing.assert_allclose(found[0], [[0, 0], [0.5, 1.5], [0, 0]], rtol=1e-6)
    assert found[1].numpy().tolist() == [5, 5] and found[2] is None


# -- the step --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """Three tasks, plain gradient descent, steps run eagerly."""
    model = tiny.make_model([tiny.TASKS[0], dataclasses.replace(tiny.TASKS[1], loss_weight=0.5),
                             tiny.TASKS[2]])  # fmt: skip
    model.dataset(tiny.make_table(12), note_labels=True)
    model.first = tiny.snapshot(model)
    return model


def batch(model, table=None):
    table = tiny.make_table(12) if table is None else table
    return next(iter(model.dataset(table, batch_size=len(table))))


def step_of(model, rule, data, optimizer=None) -> list[np.ndarray]:
    """The change of each weight in a step, or in a step of plain descent at rate 1."""
    tiny.restore(model, model.first)
    optimizer = keras.optimizers.SGD(1.0) if optimizer is None else optimizer
    model.compile(optimizer, gradient_rule=rule, run_eagerly=True)
    model.train_step(data)
    return [after - before for after, before in zip(tiny.snapshot(model), model.first)]


def test_the_default_is_one_gradient_of_the_summed_loss_to_the_bit(model):
    tiny.restore(model, model.first)
    x, y, w = batch(model)
    with tf.GradientTape() as tape:
        loss, _, _ = model.compute_losses(y, model(x, training=True), w)
    gradients = tape.gradient(loss, model.trained_variables)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply_gradients(zip(gradients, model.trained_variables))
    model.encoder.next_dropout()
    expected = [after - before for after, before in zip(tiny.snapshot(model), model.first)]
    assert tiny.same(step_of(model, "sum", (x, y, w)), expected)
    assert tiny.same(step_of(model, RULES["sum"], (x, y, w)), expected)


def test_a_rule_gets_the_shares_of_the_loss_and_the_step_follows_it(model):
    table = tiny.make_table(12)
    table.loc[[0, 3], "mood"] = None
    data, rule = batch(model, table), Double()
    plain, double = step_of(model, "sum", data), step_of(model, rule, data)
    ((losses, seed),) = rule.given
    assert {task: float(n) for task, n in losses.counts.items()} == {
        "mood": 10, "themes": 12, "stars": 12
    }  # fmt: skip
    assert list(losses.shares) == ["mood", "themes", "stars"] and seed.shape == (2,)
    tiny.restore(model, model.first)
    _, parts, _ = model.compute_losses(data[1], model(data[0], training=True), data[2])
    means = {task: float(mean) for task, (mean, _) in parts.items()}
    assert float(losses.shares["themes"]) == pytest.approx(0.5 * 12 / 34 * means["themes"])
    assert float(losses.shares["mood"]) == pytest.approx(10 / 34 * means["mood"])
    assert sum(map(float, losses.shares.values())) == pytest.approx(float(losses.total))
    trained = model.encoder.trainable_variables[0]
    place = next(i for i, v in enumerate(model.state) if v is trained)
    assert np.abs(plain[place]).max() > 1e-4
    np.testing.assert_allclose(double[place], 2 * plain[place], rtol=1e-3, atol=1e-6)


def test_the_seed_of_a_rule_follows_from_that_of_the_model_and_the_step(model):
    data, rule = batch(model), Double()
    for seed in (4, 4, 5):
        tiny.restore(model, model.first)
        model.compile(keras.optimizers.SGD(0.1), gradient_rule=rule, run_eagerly=True)
        model.encoder.reseed(seed)
        model.train_step(data)
        model.train_step(data)
    seeds = [tuple(seed.numpy()) for _, seed in rule.given]
    assert seeds[:2] == seeds[2:4] and len(set(seeds)) == 4
    model.encoder.reseed(4)
    of_heads = {tuple(model.encoder.dropout_seed(-1 - number).numpy()) for number in range(3)}
    assert seeds[0] not in of_heads


def test_pcgrad_of_a_model_is_that_of_its_task_gradients(model):
    data = batch(model)
    found = step_of(model, "pcgrad", data)
    tiny.restore(model, model.first)
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(data[0], training=True)
        _, parts, count = model.compute_losses(data[1], outputs, data[2])
        shares = [t.loss_weight * parts[t.name][0] * parts[t.name][1] / count for t in model.tasks]
    shared = model.encoder.trainable_variables
    flat = [
        np.concatenate(
            [tf.reshape(tf.convert_to_tensor(g), [-1]) for g in tape.gradient(s, shared)]
        )
        for s in shares
    ]
    assert min(np.dot(a, b) for a, b in itertools.combinations(flat, 2)) < 0
    orders = itertools.product(
        *(itertools.permutations([o for o in range(3) if o != t]) for t in range(3))
    )
    known = {id(v): delta for v, delta in zip(model.state, found)}
    step = -np.concatenate([known[id(v)].reshape(-1) for v in shared])
    errors = [np.abs(step - by_hand(flat, order)).max() for order in orders]
    assert min(errors) < 1e-5 and np.abs(step - np.sum(flat, axis=0)).max() > 1e-3
    head = model.heads["stars"].bias
    np.testing.assert_allclose(-known[id(head)], tape.gradient(shares[2], head), rtol=1e-3)


def test_with_a_frozen_encoder_no_weight_is_shared(model):
    data = batch(model)
    model.encoder.trainable = False
    try:
        summed, found = step_of(model, "sum", data), step_of(model, "pcgrad", data)
    finally:
        model.encoder.trainable = True
    assert any(delta.any() for delta in found)
    for one, other in zip(summed, found):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_batch_without_labels_of_a_task_or_of_any_changes_nothing_there(model):
    data = batch(model, tiny.make_table(12).assign(mood=None))
    found = step_of(model, "pcgrad", data)
    assert all(np.isfinite(delta).all() for delta in found)
    places = {id(v): i for i, v in enumerate(model.state)}
    assert not found[places[id(model.heads["mood"].kernel)]].any()
    assert found[places[id(model.heads["stars"].kernel)]].any()
    x, y, w = data
    nothing = step_of(model, "pcgrad", (x, y, {t: tf.zeros_like(v) for t, v in w.items()}))
    counted = places[id(model.encoder.dropout_state)]
    assert not any(delta.any() for i, delta in enumerate(nothing) if i != counted)


def test_loss_scaling_changes_nothing(model):
    """The scale is a power of two."""
    data, sgd = batch(model), keras.optimizers.SGD(1.0)
    scaled = step_of(model, "pcgrad", data, keras.mixed_precision.LossScaleOptimizer(sgd))
    for one, other in zip(step_of(model, "pcgrad", data), scaled):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_clipping_and_the_logged_norm_come_after_the_rule(model):
    data, norms = batch(model), []
    for rule in ("sum", Double()):
        step_of(model, rule, data, "auto")
        norms.append(float(model.metrics[-1].result()))
    assert norms[1] == pytest.approx(2 * norms[0], rel=1e-5) and norms[0] > 0


@pytest.mark.slow
def test_each_rule_is_traced_once():
    model, traces = tiny.make_model(), []
    step = model.train_step
    model.train_step = lambda data: traces.append(data) or step(data)
    model.compile()
    for rule in ("sum", "pcgrad", "sum", "pcgrad"):
        model.start_run(1e-3, 0, rule)
        model.fit(tiny.make_table(12), batch_size=4, verbose=0)
    assert len(traces) == 2
    assert model.copy().gradient_rule == RULES["sum"]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_same_bits_and_the_same_rule(tmp_path):
    model, options = tiny.make_model(), {"epochs": 2, "batch_size": 4, "verbose": 0}
    first, table = tiny.snapshot(model), tiny.make_table(16)

    def run(*callbacks, rule="pcgrad"):
        tiny.restore(model, first)
        model.__dict__.pop("_starts_of_runs", None)
        model.start_run(1e-2, 3, rule)
        model.fit(table, callbacks=list(callbacks), **options)
        return tiny.snapshot(model)

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(Resume(tmp_path / "backup", save_freq=1), Kill(5))
    with pytest.raises(CheckpointError, match="gradient rule"):
        run(Resume(tmp_path / "backup", save_freq=1), rule="sum")
    assert tiny.same(run(Resume(tmp_path / "backup", save_freq=1)), whole)
    assert not tiny.same(run(rule="sum"), whole)


# -- names -----------------------------------------------------------------------------------------


@pytest.fixture
def double():
    """A rule that is registered, for one test."""
    yield gradient_rules.register(Double())
    RULES.pop("double")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "pcgrd",
            r"one of 'pcgrad', 'sum', or a GradientRule.\nReceived 'pcgrd'. Did you mean 'pc",
        ),
        (PCGrad, r"Received the class PCGrad.\nGive an object of it: PCGrad\(\)"),
        (["sum"], r"Received \['sum'\]"),
    ],
)
def test_an_unknown_rule_names_those_that_there_are(model, rule, message):
    with pytest.raises(DataError, match=message):
        model.compile(gradient_rule=rule)
    with pytest.raises(DataError, match=message):
        MultiTask(gradient_rule=rule)


def test_a_rule_is_registered_once_and_is_a_rule(double):
    assert gradient_rules.rule_of("double") is double and gradient_rules.added() == (double,)
    with pytest.raises(DataError, match="name of its own"):
        gradient_rules.register(Double())
    with pytest.raises(DataError, match="must be a GradientRule"):
        gradient_rules.register("double")


def test_one_task_has_no_use_for_a_rule(model):
    one = [dataclasses.replace(t, loss_weight=float(t.name == "mood")) for t in model.tasks]
    alone = tiny.make_model(one)
    alone.compile(gradient_rule="sum")
    for ask in (
        lambda: alone.compile(gradient_rule="pcgrad"),
        lambda: MultiTask(gradient_rule="pcgrad").fit(alone, tiny.make_table(12)),
        lambda: experiment({"gradient_rule": "pcgrad"}, tasks=["mood"]),
    ):
        with pytest.raises(DataError, match=r"several tasks(.|\n)*'pcgrad' with 'mood' alone"):
            ask()


def experiment(arguments, **changes):
    strategies = [{"multi_task": arguments}, "fine_tune"]
    return load_experiment(make_experiment(strategies=strategies, **{"baseline": "auto"} | changes))


def test_the_default_is_no_part_of_what_identifies_a_run():
    """Runs that are older than the argument go on."""
    known = dataclasses.asdict(FineTune())
    assert identities(experiment({}))["multi_task"] == ["multi_task", known]
    assert (
        MultiTask(gradient_rule="sum").identity()
        == MultiTask(gradient_rule=RULES["sum"]).identity()
    )
    pcgrad = known | {"gradient_rule": {"name": "pcgrad"}}
    assert MultiTask(gradient_rule=PCGrad()).identity() == pcgrad


def test_an_experiment_names_its_rule_and_reads_it_again(double):
    for rule, name in (("pcgrad", "pcgrad"), (PCGrad(), "pcgrad"), (double, "double")):
        written = experiment({"gradient_rule": rule}).to_plain()["strategies"]["multi_task"]
        assert written == {"strategy": "multi_task", "gradient_rule": name}
        again = experiment({"gradient_rule": name}).strategies["multi_task"]
        assert again.identity() == MultiTask(gradient_rule=rule).identity()
    assert "gradient_rule" not in experiment({}).to_plain()["strategies"]["multi_task"]


def test_an_experiment_refuses_what_no_name_stands_for():
    with pytest.raises(DataError, match=r"no name stands for.\nCall .*register"):
        experiment({"gradient_rule": Double()}).to_plain()
    with pytest.raises(DataError, match="Did you mean 'pcgrad'"):
        experiment({"gradient_rule": "pcgrat"})
    with pytest.raises(DataError, match="gradient_rule of multi_task"):
        experiment({"gradient_rule": 3})


def test_with_another_rule_joint_training_on_one_source_is_no_sequential_training():
    one = {"films": make_table(14, seed=1)}
    assert experiment({}, sources=one).twins == {"fine_tune": "multi_task"}
    assert experiment({"gradient_rule": "pcgrad"}, sources=one).twins == {}


def test_the_rule_is_for_the_sources(model, monkeypatch):
    rules = []
    monkeypatch.setattr(
        type(model), "fit", lambda self, *_, **__: rules.append(self.gradient_rule.name)
    )
    strategy = MultiTask(gradient_rule="pcgrad", adapt_steps=1, head_start=False)
    fitted = strategy.fit(model, tiny.make_table(12))
    strategy.adapt(fitted, tiny.make_table(8))
    FineTune().fit(model, tiny.make_table(12))
    assert rules == ["pcgrad", "sum", "sum"]
    what = "gradient rule on the source"
    assert strategy.settings(model, {"films": 12}, 8)[what] == "pcgrad"
    assert what not in MultiTask().settings(model, {"films": 12}, 8)
