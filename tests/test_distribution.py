"""Which strategy `connect` chooses, and that two replicas train as one device does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.step_losses import ON_EPISODES, ON_TABLES, STEPS
from tests.test_optimization import run
from tf_transfer.batches.rows import plan_by_length
from tf_transfer.devices import distribution
from tf_transfer.devices.backend import tf
from tf_transfer.devices.distribution import connect
from tf_transfer.errors import DataError, DistributionError
from tf_transfer.training.optimization import AdamW

ROOT = Path(__file__).parents[1]
TASKS = [t.name for t in tiny.TASKS]


@pytest.fixture(scope="module")
def found():
    """What one device and two logical ones gave, by a process of its own."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.two_replicas"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    said, values = run.stdout.splitlines()
    assert said == "Found 'CPU:0', 'CPU:1'. MirroredStrategy runs the steps: 2 replicas."
    return json.loads(values)


def both(found, *keys):
    """What one device and two gave under a path of keys, as flat arrays."""
    for name in ("one", "two"):
        value = found[name]
        for key in keys:
            value = value[key]
        yield np.array(tf.nest.flatten(value), float)


@pytest.mark.slow
def test_two_replicas_have_the_logs_of_one_device(found):
    assert len(found["one"]["fit"]["steps"]) == 6
    np.testing.assert_allclose(*both(found, "fit", "steps"), rtol=2e-4)
    np.testing.assert_allclose(*both(found, "fit", "history"), rtol=2e-4)
    assert np.ptp([step["loss"] for step in found["one"]["fit"]["steps"]]) > 0.01


@pytest.mark.slow
def test_two_replicas_have_the_gradients_of_one_device(found):
    for rule in ("plain", "pcgrad"):
        assert len(found["one"][rule]["losses"]) == 3
        np.testing.assert_allclose(*both(found, rule, "losses"), rtol=1e-6)
        np.testing.assert_allclose(*both(found, rule, "weights"), atol=1e-6)
    summed, projected = (found["one"][rule]["weights"] for rule in ("plain", "pcgrad"))
    assert max(np.abs(np.subtract(*pair)).max() for pair in zip(summed, projected)) > 1e-4


@pytest.mark.slow
def test_two_replicas_have_the_weights_of_one_device(found):
    """To rounding, which Adam's quotient enlarges where a gradient is nearly 0: single weights
    differ by more.
    """
    for keys in (
        ("fit", "weights"),
        *(("fit", "strategies", name, "weights") for name in ON_TABLES),
    ):
        one, two = both(found, *keys)
        assert np.linalg.norm(two - one) < 1e-4 * np.linalg.norm(one)
        np.testing.assert_allclose(two, one, atol=2e-3)


@pytest.mark.slow
def test_two_replicas_predict_every_row_in_order(found):
    np.testing.assert_allclose(*both(found, "fit", "scores"), rtol=2e-3)
    scores = found["two"]["fit"]["scores"]
    assert len(scores["table"]["mood"]) == len(scores["dataset"]["mood"]) == 9
    np.testing.assert_allclose(scores["table"]["mood"], scores["dataset"]["mood"], atol=1e-5)


@pytest.mark.slow
def test_two_replicas_evaluate_every_row(found):
    for name in ("one", "two"):
        assert found[name]["fit"]["rows"] == {
            s: dict.fromkeys(TASKS, 9) for s in ("table", "dataset")
        }
    np.testing.assert_allclose(*both(found, "fit", "metrics"), rtol=2e-3)
    np.testing.assert_allclose(*both(found, "fit", "keras"), rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_two_replicas_have_the_losses_of_one_device_in_every_step_of_a_strategy(found, name):
    place = ("fit", "strategies", name) if name in ON_TABLES else ("episodes", name)
    one, two = both(found, *place, "losses")
    assert len(one) == STEPS[name] and np.ptp(one) > 1e-3
    np.testing.assert_allclose(two, one, atol=1e-4, rtol=0)
    assert not any(both(found, *place, "copies apart"))


@pytest.mark.slow
def test_two_replicas_share_the_episodes_of_a_meta_batch(found):
    for name in ON_EPISODES:
        for learned in ("weights", "rates"):
            np.testing.assert_allclose(*both(found, "episodes", name, learned), atol=1e-5)
    assert "Give a multiple of 2." in found["two"]["uneven"]


# -- what connect chooses --------------------------------------------------------------------------


def test_without_accelerators_auto_is_the_processor(capsys):
    assert connect("auto") is connect("cpu", verbose=False) is tf.distribute.get_strategy()
    assert (
        "Found 'CPU:0'. DefaultDistributionStrategy runs the steps: 1 replica."
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("tpu", {}, r"needs a TPU.*\n?Received a machine with 'CPU:0'.*\n?.*connect\('auto'\)"),
        (
            "mirrored",
            {},
            r"needs a GPU.\nReceived a machine with 'CPU:0'.\nGo on with connect\('cpu'\)",
        ),
        ("mirrored", {"devices": ["GPU:0"]}, r"ones of this machine: 'CPU:0'.\nReceived 'GPU:0'"),
        (
            "mirrored",
            {"devices": []},
            r"at least one device, each once.\nReceived \[\].\nName .*'CPU:0'",
        ),
        (
            "mirrored",
            {"devices": "CPU:0"},
            r"must be a list of at least one device.*\nReceived 'CPU:0'",
        ),
        (
            "mirrored",
            {"devices": ["CPU:0", "/device:cpu:0"]},
            r"each once.\nReceived \['CPU:0', '/device:cpu:0'\]",
        ),
        ("cpu", {"devices": ["CPU:0"]}, "devices are for kind='mirrored'"),
    ],
)
def test_devices_that_are_not_there(kind, options, message):
    with pytest.raises(DistributionError, match=message):
        connect(kind, **options)


@pytest.mark.parametrize(
    "name", ["CPU:0", "/CPU:0", "/device:cpu:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
)
def test_a_device_has_one_name_however_it_is_written(name):
    found = connect("mirrored", devices=[name], verbose=False)
    assert found.extended.worker_devices == ("/job:localhost/replica:0/task:0/device:CPU:0",)
    assert isinstance(found.extended._cross_device_ops, tf.distribute.ReductionToOneDevice)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [("TPU_ACCELERATOR_TYPE", "v2-8"), ("TPU_NAME", "foo")],
    ids=["local", "address"],
)
def test_auto_goes_on_without_a_tpu_that_does_not_start(monkeypatch, capsys, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(
        DistributionError, match=r"needs a TPU.*\n?Received a machine with 'CPU:0': .+\nOn Colab"
    ):
        connect("tpu")
    assert connect("auto") is tf.distribute.get_strategy()
    said = capsys.readouterr().out
    assert (
        "'tpu' needs a TPU" in said
        and "connect('auto')" not in said
        and "Going on without a TPU.\nFound 'CPU:0'. Default" in said
    )
    connect("auto", verbose=False)
    assert capsys.readouterr().out == ""


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'mirrored'"):
        connect("mirror")


@pytest.mark.parametrize("config", [None, "", "{", '{"cluster": {"worker": ["a:1"]}}', "[]"])
def test_workers_need_a_cluster(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(DistributionError, match=r"TF_CONFIG.*\n?Received.*\n?Set on each machine"):
        connect("multi_worker")


def test_workers_must_be_connected_first(monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}',
    )
    tf.constant(0)
    with pytest.raises(DistributionError, match="must come before anything else of TensorFlow"):
        connect("multi_worker")


# -- what a TPU asks for, as far as a processor can show it ----------------------------------------


def test_batches_of_one_shape_hold_the_same_rows():
    model, table = tiny.make_model(), tiny.make_table(11)
    plain = model.dataset(table, batch_size=8, shuffle=True, seed=1)
    fixed = model.dataset(table, batch_size=8, shuffle=True, seed=1, multiple=8, length=24)
    for (x, y, w), (x_fixed, y_fixed, w_fixed) in zip(plain, fixed, strict=True):
        longest = x["input_ids"].shape[1]
        np.testing.assert_array_equal(x["input_ids"], x_fixed["input_ids"][:, :longest])
        assert not np.any(x_fixed["attention_mask"][:, longest:])
        np.testing.assert_array_equal(y["mood"], y_fixed["mood"])
        np.testing.assert_array_equal(w["mood"], w_fixed["mood"])


def test_rows_that_fill_a_batch_up_have_no_weight():
    model, table = tiny.make_model(), tiny.make_table(11)
    for multiple, sizes in ((4, [8, 4]), (8, [8, 8])):
        found = list(model.dataset(table, batch_size=8, multiple=multiple))
        assert [len(w["mood"]) for _, _, w in found] == sizes
        assert [float(tf.reduce_sum(w["mood"])) for _, _, w in found] == [8, 3]


def test_texts_are_encoded_in_one_shape():
    tokens = tiny.make_model().tokenise(tiny.make_table(11))
    plan = plan_by_length(tokens, 4 * 24, one_shape=True)
    assert len({(len(rows), length) for rows, length in plan}) == 1
    rows = np.concatenate([rows for rows, _ in plan])
    assert sorted(rows[rows >= 0]) == list(range(11))


def test_the_update_of_a_tpu_is_keras_own(monkeypatch):
    """For the program of a TPU cannot take variables by their handles."""
    options = {"learning_rate": 0.05, "weight_decay": 0.1, "global_clipnorm": 0.5}
    ours = run(AdamW(**options))
    monkeypatch.setattr("tf_transfer.training.optimization.is_tpu", lambda _: True)
    monkeypatch.delattr("tf_transfer.training.optimization._adamw")
    for a, b in zip(ours, run(AdamW(**options))):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_a_tpu_strategy_is_known_by_its_class():
    class TPUStrategyV2:
        pass

    assert distribution.is_tpu(type("Derived", (TPUStrategyV2,), {})())
    assert not distribution.is_tpu(tf.distribute.get_strategy())
