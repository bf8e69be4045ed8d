"""Meta-gradients against closed forms, the unrolled loop and central differences in double
precision.
"""

import contextlib
import functools

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError, TrainingError
from tf_transfer.kinds.tasks import Task
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts
from tf_transfer.meta_gradients.functional import assignments_refused, value_and_gradient
from tf_transfer.meta_gradients.gradient_check import double_precision
from tf_transfer.meta_gradients.inner_loop import InnerLoop, meta_gradient
from tf_transfer.model.model import TransferModel

FAMILIES = ("bert", "distilbert", "roberta", "albert", "gpt2", "t5")
BRIEFLY = ["bert", *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES[1:])]


def square(x):
    return lambda weights, part=0: (weights[0] * x) ** 2


@pytest.mark.parametrize(("first_order", "expected"), [(False, 5202.0), (True, -306.0)])
def test_the_closed_form(first_order, expected):
    # (wx)² at w = 1, x = 3, α = 1: one step goes to −17, and 2·(−17)·9·(1 − 18) = 5202; first order
    # 2·(−17)·9.
    loop = InnerLoop(square(3.0), 1)
    loss, gradient, _, inner = meta_gradient(
        loop, square(3.0), [tf.constant(1.0)], [tf.constant(1.0)], first_order=first_order
    )
    assert (float(loss), float(gradient[0]), inner.numpy().tolist()) == (51.0**2, expected, [9.0])


def test_the_gradient_by_the_rate_by_hand():
    # Two steps multiply w by (1 − 2αx²)² = c²; L = x²w²c⁴, dL/dα = x²w²·4c³·(−2x²).
    x, w, rate = 0.5, 2.0, 0.3
    c = 1 - 2 * rate * x * x
    loop = InnerLoop(square(x), 2)
    _, gradient, by_rate, _ = meta_gradient(loop, square(x), [tf.constant(w)], [tf.constant(rate)])
    assert float(gradient[0]) == pytest.approx(2 * x * x * w * c**4, rel=1e-6)
    assert float(by_rate[0]) == pytest.approx(x * x * w * w * 4 * c**3 * -2 * x * x, rel=1e-6)


def test_the_multi_step_loss_by_hand():
    x, w, rate = 0.5, 2.0, 0.3
    c = 1 - 2 * rate * x * x
    shares = tf.constant([0.25, 0.75])
    loss, gradient, _, _ = meta_gradient(
        InnerLoop(square(x), 2),
        square(x),
        [tf.constant(w)],
        [tf.constant(rate)],
        step_weights=shares,
    )
    assert float(loss) == pytest.approx(x * x * w * w * (0.25 * c**2 + 0.75 * c**4), rel=1e-6)
    assert float(gradient[0]) == pytest.approx(
        2 * x * x * w * (0.25 * c**2 + 0.75 * c**4), rel=1e-6
    )


@pytest.mark.parametrize("keep", [False, True])
def test_step_weights_are_as_many_as_steps(keep):
    with pytest.raises(DataError, match="Received 3 step_weights for 2 steps"):
        meta_gradient(
            InnerLoop(square(1.0), 2, keep=keep),
            square(1.0),
            [tf.constant(1.0)],
            [tf.constant(0.1)],
            step_weights=[0.2, 0.3, 0.5],
        )


def test_fomaml_computes_inner_gradients_again_for_the_rates_alone():
    calls, gradients = [], []

    def support(weights, part):
        calls.append(part)
        return square(3.0)(weights)

    for by_rates, expected in ((False, 2), (True, 4)):
        calls.clear()
        _, gradient, by_rate, _ = meta_gradient(
            InnerLoop(support, 2),
            square(3.0),
            [tf.constant(1.0)],
            [tf.constant(0.1)],
            first_order=True,
            by_rates=by_rates,
        )
        assert (len(calls), len(by_rate)) == (expected, int(by_rates))
        gradients.append(float(gradient[0]))
    assert gradients[0] == gradients[1] == pytest.approx(18 * 0.8**2, rel=1e-5)


def test_no_inner_step_is_the_query_gradient():
    weights = [tf.constant([1.0, 2.0])]
    loss, gradient, _, inner = meta_gradient(
        InnerLoop(lambda w, _: tf.reduce_sum(w[0] ** 4), 0),
        lambda w, _: tf.reduce_sum(w[0] ** 3),
        weights,
        [0.1],
    )
    assert (float(loss), gradient[0].numpy().tolist(), inner.shape) == (9.0, [3.0, 12.0], (0,))


# -- a transformer ---------------------------------------------------------------------------------


class Case:
    """A tiny model in double precision, a support and a query batch, and their losses."""

    def __init__(self, family: str):
        task = Task("mood", kind="classification", classes=tiny.MOODS)
        base = tiny.make_encoder(family, layers=2, width=8)
        with double_precision():
            self.model = TransferModel(base.blank_copy(), task, max_length=12)
        draws = np.random.default_rng(0)
        # larger than the initial ones, so that no derivative is tiny
        for variable in self.model.encoder.state:
            variable.assign(variable + 0.2 * draws.normal(size=variable.shape))
        for head in self.model.heads.values():
            head.kernel.assign(draws.normal(size=head.kernel.shape))
        self.variables = self.model.trained_variables
        self.support, self.query = (self.batch(draws) for _ in range(2))
        self.direction = [tf.constant(draws.normal(size=v.shape)) for v in self.variables]
        self.rates = [tf.constant(0.05, tf.float64)] * len(self.variables)

    def batch(self, draws):
        ids = tf.constant(draws.integers(5, 40, (4, 5)), tf.int32)
        mask = tf.constant([[1, 1, 1, 1, 1]] * 3 + [[1, 1, 1, 0, 0]])
        x = {"input_ids": ids, "attention_mask": mask, "token_type_ids": tf.zeros_like(ids)}
        return x, {"mood": tf.constant([0, 1, 2, 1])}, {"mood": tf.ones(4)}

    def losses(self):
        return (BatchLoss(self.model, self.variables, b) for b in (self.support, self.query))

    def weights(self):
        return [tf.convert_to_tensor(v) for v in self.variables]

    @functools.cached_property
    def after(self):
        """The query loss after a number of inner steps."""
        support, query = self.losses()
        return tf.function(
            lambda weights, steps: query(
                InnerLoop(support, steps).descend(weights, self.rates).end
            ),
            autograph=False,
        )


@functools.cache
def case_of(family: str) -> Case:
    return Case(family)


@functools.cache
@double_precision()
def central_difference(case: Case, steps: int) -> float:
    """The derivative of the query loss after inner steps along the case's direction."""

    def difference(h):
        ends = [[w + s * h * d for w, d in zip(case.weights(), case.direction)] for s in (1, -1)]
        losses = [case.after(end, tf.constant(steps)) for end in ends]
        return float(losses[0] - losses[1]) / (2 * h)

    return (4 * difference(1e-5) - difference(2e-5)) / 3


@pytest.fixture(params=BRIEFLY)
def case(request):
    return case_of(request.param)


@pytest.fixture
def bert():
    return case_of("bert")


@double_precision()
def error_to_central_differences(
    case, steps, *, kind=InnerLoop, guard=assignments_refused, **options
) -> float:
    """The largest relative error of a directional derivative, over numbers of inner steps.

    Args:
        kind: of inner loop, whose meta-gradient is taken.
        guard: around it, as in `MetaLearner`.
        options: of the inner loop.
    """
    support, query = case.losses()

    @tf.function(autograph=False)
    def both(weights, steps):
        loop = kind(support, steps, **options)
        assert loop.keep is options.get("keep", False)
        with guard(case.variables):
            return meta_gradient(loop, query, weights, case.rates)[:2]

    errors = []
    for number in steps:
        numeric = central_difference(case, number)
        _, gradient = both(case.weights(), number if options.get("keep") else tf.constant(number))
        analytic = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradient, case.direction))
        errors.append(abs(analytic - numeric) / abs(numeric))
    return max(errors)


def test_meta_gradients_agree_with_central_differences(case):
    assert error_to_central_differences(case, (1, 2, 3, 4, 5)) < 1e-6


def test_meta_gradients_of_kept_steps_agree_with_central_differences(case):
    assert error_to_central_differences(case, (5,), keep=True) < 1e-6


@pytest.mark.slow
def test_meta_gradients_of_few_kept_steps_agree_with_central_differences(case):
    assert error_to_central_differences(case, (1, 2, 3, 4), keep=True) < 1e-6


@pytest.mark.parametrize("family", BRIEFLY)
def test_compiled_meta_gradients_agree_with_central_differences(family):
    assert error_to_central_differences(case_of(family), (1, 2, 3, 4, 5), compiled=True) < 1e-6


# -- broken on purpose -----------------------------------------------------------------------------


def assigning(variables):
    """An inner loop whose steps end in the model's variables."""

    class Assigning(InnerLoop):
        def _step(self, weights, rates):
            loss, moved = super()._step(weights, rates)
            for variable, value in zip(variables, moved):
                variable.assign(value)
            return loss, [v.read_value() for v in variables]

    return Assigning


def optimizing(variables):
    """An inner loop whose steps are an optimizer's."""
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(variables)

    class Optimizing(InnerLoop):
        def _step(self, weights, rates):
            loss, gradient = self._gradient(weights, 0)
            optimizer.apply_gradients(zip(gradient, variables))
            return loss, [v.read_value() for v in variables]

    return Optimizing


@pytest.fixture
def restored(bert):
    before = tiny.snapshot(bert.model)
    yield bert
    tiny.restore(bert.model, before)


@pytest.mark.parametrize(
    ("broken", "keep"), [(assigning, False), (optimizing, False), (optimizing, True)]
)
def test_an_inner_step_on_the_variables_is_refused(restored, broken, keep):
    with pytest.raises(TrainingError, match="assigned to where a meta-gradient is taken"):
        error_to_central_differences(restored, (2,), kind=broken(restored.variables), keep=keep)


def test_an_inner_step_on_the_variables_would_not_agree(restored):
    unguarded = {"guard": lambda _: contextlib.nullcontext(), "keep": True}
    assert (
        error_to_central_differences(
            restored, (2,), kind=assigning(restored.variables), **unguarded
        )
        > 1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "keep"),
    [("bert", False), ("gpt2", False), ("albert", True), ("distilbert", False), ("roberta", True)],
)
def test_moments_with_a_stopped_gradient_would_not_agree(family, keep, monkeypatch):
    case = case_of(family)
    for layer in case.model.encoder.transformer._flatten_layers():
        if isinstance(layer, keras.layers.LayerNormalization):
            monkeypatch.setattr(layer, "call", type(layer).call.__get__(layer))  # Keras' own again
    assert error_to_central_differences(case, (2,), keep=keep) > 1e-6


# -- the same in other ways ------------------------------------------------------------------------


def test_the_recursion_is_the_unrolled_loop(bert):
    support, query = bert.losses()
    start, rate = bert.weights(), 0.05
    _, found, by_rate, _ = meta_gradient(
        InnerLoop(support, 3), query, start, [tf.constant(rate, tf.float64)] * len(start)
    )
    rates = [tf.constant(rate, tf.float64) for _ in start]
    with tf.GradientTape() as tape:
        tape.watch([start, rates])
        fast = start
        for _ in range(3):
            _, gradient = value_and_gradient(support, fast)
            fast = [w - r * g for w, r, g in zip(fast, rates, gradient)]
        loss = query(fast)
    expected, expected_rates = tape.gradient(loss, [start, rates], unconnected_gradients="zero")
    for a, b in zip([*found, *by_rate], [*expected, *expected_rates]):
        np.testing.assert_allclose(a, tf.convert_to_tensor(b), rtol=1e-8, atol=1e-10)


def test_fixed_weights_have_an_exact_meta_gradient_too(bert):
    support, query = bert.losses()
    start, rate = bert.weights(), tf.constant(0.1, tf.float64)
    changed = [i for i, v in enumerate(bert.variables) if v.shape.rank == 2][-2:]
    loop = InnerLoop(support, 2, changed=changed)
    _, found, _, _ = meta_gradient(loop, query, start, [rate] * len(changed))
    with tf.GradientTape() as tape:
        tape.watch(start)
        fast = list(start)
        for _ in range(2):
            _, gradient = value_and_gradient(support, fast, changed)
            for i, g in zip(changed, gradient):
                fast[i] = fast[i] - rate * g
        loss = query(fast)
    for a, b in zip(found, tape.gradient(loss, start, unconnected_gradients="zero")):
        np.testing.assert_allclose(a, tf.convert_to_tensor(b), rtol=1e-8, atol=1e-10)


def test_rows_in_parts_give_the_same_meta_gradient(bert):
    start, rates = bert.weights(), [tf.constant(0.05, tf.float64)] * len(bert.variables)
    found = []
    for rows in (4, 3):
        support, query = (
            BatchLoss(bert.model, bert.variables, *in_parts(b, rows))
            for b in (bert.support, bert.query)
        )
        loop = InnerLoop(support, 2, parts=support.parts)
        found.append(meta_gradient(loop, query, start, rates, query_parts=query.parts))
    for a, b in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    assert float(found[0][0]) == pytest.approx(float(found[1][0]), rel=1e-10)


def graph_of(case, steps: int, keep: bool, multi_step: bool):
    support, query = case.losses()
    rates = [tf.constant(0.05, tf.float64)] * len(case.variables)
    loop = InnerLoop(support, steps, keep=keep)
    shares = {"step_weights": tf.fill([steps], 1 / steps)} if multi_step else {}
    traced = tf.function(
        lambda w: meta_gradient(loop, query, w, rates, **shares)[:2], autograph=False
    )
    return traced.get_concrete_function(case.weights()).graph.as_graph_def()


@pytest.mark.slow
@pytest.mark.parametrize("multi_step", [False, True])
def test_graph_size_does_not_grow_with_the_steps(bert, multi_step):
    one, ten = (
        len(graph_of(bert, steps, False, multi_step).SerializeToString()) for steps in (1, 10)
    )
    assert ten < 1.01 * one


@pytest.mark.slow
@pytest.mark.parametrize("multi_step", [False, True])
def test_kept_steps_share_their_traced_functions(bert, multi_step):
    """The graph holds a call for each step, forward and back; what is called is there once."""
    two, ten = (graph_of(bert, steps, True, multi_step) for steps in (2, 10))
    assert len(two.library.function) == len(ten.library.function)
    assert len(ten.SerializeToString()) < 1.25 * len(two.SerializeToString())


def test_the_model_is_left_as_it_was(bert):
    before = tiny.snapshot(bert.model)
    support, query = bert.losses()
    meta_gradient(
        InnerLoop(support, 1),
        query,
        bert.weights(),
        [tf.constant(0.05, tf.float64)] * len(bert.variables),
    )
    assert tiny.same(before, tiny.snapshot(bert.model))
    assert all(isinstance(v, tf.Variable) for v in bert.model.trained_variables)
