"""Which `tf.distribute` strategy runs the steps, and how rows are shared out among its replicas.

The engine is TensorFlow's own: `connect` only chooses, and says what it found. A model that is made
under ``connect(...).scope()`` fits, evaluates, predicts and meta-learns with the code of a single
device, and to rounding with its losses: the loss of a batch is a sum over all replicas divided by
their labels together.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DistributionError, check_choice, first_line, listed

KINDS = ("auto", "cpu", "mirrored", "multi_worker", "tpu")

_PART = ContextVar("part", default=(0, 1))
"""Which part of a batch is computed, and of how many."""

CLUSTER = (
    '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", '
    '"index": 0}}'
)
"""What ``TF_CONFIG`` looks like."""


def connect(
    kind: str = "auto", *, devices: Sequence[str] | None = None, verbose: bool = True
) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy to make a model under: ``with connect().scope(): model = ...``.

    Args:
        kind: ``"auto"``: a TPU that starts, else all GPUs, else the processor; ``"cpu"``;
            ``"mirrored"``: copies of the model on the devices of this machine; ``"multi_worker"``:
            on several machines, which ``TF_CONFIG`` lists (it must come before anything else of
            TensorFlow); ``"tpu"``: all cores of a TPU.
        devices: of ``"mirrored"``, each once, such as ``["GPU:0", "GPU:1"]``; None for all GPUs.
        verbose: print what was found and what runs the steps.

    Raises:
        DistributionError: the devices or workers are not there; the message says what was found.
    """
    check_choice("kind", kind, KINDS)
    if devices is not None and kind != "mirrored":
        raise DistributionError(
            f"devices are for kind='mirrored'.\nReceived devices={devices!r} with {kind!r}."
        )
    makers = {
        "auto": lambda: _best(verbose),
        "cpu": _processor,
        "mirrored": lambda: _mirrored(devices),
        "multi_worker": _multi_worker,
        "tpu": _tpu,
    }
    distribution = makers[kind]()
    if verbose:
        print(describe(distribution))
    return distribution


def describe(distribution: tf.distribute.Strategy) -> str:
    """One line: the devices of this machine, and what runs the steps."""
    replicas, name = distribution.num_replicas_in_sync, type(distribution).__name__.lstrip("_")
    names = listed(_device_names())
    workers = f" on {workers_of(distribution)} workers" if workers_of(distribution) > 1 else ""
    return (
        f"Found {names}. {name} runs the steps: {replicas} replica{'s' * (replicas > 1)}{workers}."
    )


def is_tpu(distribution: tf.distribute.Strategy) -> bool:
    """Whether the steps run on a TPU, which wants every batch of one shape."""
    return any(kind.__name__.startswith("TPUStrategy") for kind in type(distribution).__mro__)


def workers_of(distribution: tf.distribute.Strategy) -> int:
    """The number of machines, or processes, that train together."""
    if not isinstance(distribution, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    cluster = distribution.cluster_resolver.cluster_spec().as_dict()
    trained_on = [*cluster.get("chief", ()), *cluster.get("worker", ())]
    return max(len(trained_on), 1)


# -- sharing rows out ------------------------------------------------------------------------------


def global_sum(value):
    """``value``, a tensor or tensors in any nest, summed over the replicas that share a batch, on
    each of them; without replicas, ``value``.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def shared_out(distribution: tf.distribute.Strategy) -> bool:
    """Whether a function must be run through the strategy: on several replicas, or on a TPU."""
    return distribution.num_replicas_in_sync > 1 or is_tpu(distribution)


def run_shares(distribution: tf.distribute.Strategy, function: Callable, batch):
    """Runs ``function`` on each replica's equal share of the rows of ``batch``.

    Args:
        batch: tensors in any nest, all with as many rows: a multiple of the replicas.

    Returns:
        What `tf.distribute.Strategy.run` does: the results of each replica; see `in_order`.
    """
    replicas = distribution.num_replicas_in_sync

    def share():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return function(part_of(batch, number, replicas))

    return distribution.run(share)


def part_of(batch, number, parts: int):
    """The rows of part ``number`` (an int or a tensor) of ``parts`` equal ones, of tensors in any
    nest.

    A slice from a place that only the running program knows would have no static shape, which XLA
    asks for.
    """

    def part(t):
        shape = tf.shape(t)
        return tf.reshape(t, tf.concat([[parts, shape[0] // parts], shape[1:]], 0))[number]

    return tf.nest.map_structure(part, batch)


@contextlib.contextmanager
def rows_of_part(number, parts: int) -> Iterator[None]:
    """Within it, what is computed are the rows of part ``number`` (an int or a tensor) of ``parts``
    equal ones.
    """
    token = _PART.set((number, parts))
    try:
        yield
    finally:
        _PART.reset(token)


def share_number():
    """Which share of a batch is computed, of those of all replicas and parts; 0 where it is a whole
    one.
    """
    context, (number, parts) = tf.distribute.get_replica_context(), _PART.get()
    shared = context is not None and context.num_replicas_in_sync > 1
    return (context.replica_id_in_sync_group if shared else 0) * parts + number


def in_order(distribution: tf.distribute.Strategy, values) -> tf.Tensor:
    """The rows (rows, …) of all replicas, those of other workers included, in the order of the
    batch.
    """
    if workers_of(distribution) > 1:
        return distribution.gather(values, axis=0)
    return tf.concat(distribution.experimental_local_results(values), 0)


# -- what connect chooses --------------------------------------------------------------------------


def _best(verbose: bool) -> tf.distribute.Strategy:
    if _tpu_address() is not None:
        try:
            return _tpu()
        except DistributionError as error:
            if verbose:
                what_and_why = str(error).splitlines()[:2]  # the remedy is this call
                print(*what_and_why, "Going on without a TPU.", sep="\n")
    return (
        _mirrored(None)
        if len(tf.config.list_logical_devices("GPU")) > 1
        else tf.distribute.get_strategy()
    )


def _processor() -> tf.distribute.Strategy:
    alone = not tf.config.list_logical_devices("GPU")
    return tf.distribute.get_strategy() if alone else tf.distribute.OneDeviceStrategy("CPU:0")


def _mirrored(devices: Sequence[str] | None) -> tf.distribute.Strategy:
    names = _device_names()
    if devices is None:
        devices = [n for n in names if n.startswith("GPU:")]
        if not devices:
            raise DistributionError(
                f"'mirrored' needs a GPU.\nReceived a machine with {listed(names)}.\n"
                "Go on with connect('cpu') or connect('auto'), or name devices, for instance "
                "logical processors: devices=['CPU:0', 'CPU:1']."
            )
    chosen = [] if isinstance(devices, str) else [_short_name(d) for d in devices]
    if not chosen or len(set(chosen)) < len(chosen):
        raise DistributionError(
            f"devices must be a list of at least one device, each once.\nReceived {devices!r}.\n"
            f"Name some of this machine's: {listed(names)}."
        )
    missing = [d for d in chosen if d not in names]
    if missing:
        raise DistributionError(
            f"devices must be ones of this machine: {listed(names)}.\nReceived {listed(missing)}.\n"
            "Name some of those, or make logical ones first with "
            "tf.config.set_logical_device_configuration."
        )
    # Without NCCL between processors, sums go by way of one device.
    alone = all(d.startswith("CPU:") for d in chosen)
    return tf.distribute.MirroredStrategy(
        chosen, tf.distribute.ReductionToOneDevice() if alone else None
    )


def _device_names() -> list[str]:
    """The devices of this machine, such as ``"CPU:0"``."""
    return [_short_name(d.name) for d in tf.config.list_logical_devices()]


def _short_name(device: str) -> str:
    """``"CPU:0"`` of ``"/device:cpu:0"``, and of the other ways in which TensorFlow writes it."""
    return str(device).upper().rsplit("/", 1)[-1].removeprefix("DEVICE:")


def _multi_worker() -> tf.distribute.Strategy:
    _check_cluster(os.environ.get("TF_CONFIG"))
    try:
        with _quiet_start():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise DistributionError(
            "connect('multi_worker') must come before anything else of TensorFlow.\n"
            "Received a program that has used TensorFlow already.\n"
            "Set TF_CONFIG before the program starts, and connect on its first lines."
        ) from error


def _check_cluster(config: str | None) -> None:
    try:
        content = json.loads(config or "")
        workers, task = content["cluster"]["worker"], content["task"]
        good = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise DistributionError(
            "'multi_worker' reads the cluster from the environment variable TF_CONFIG: the "
            "addresses of all workers, and which of them this one is.\nReceived "
            f"{'none' if config is None else config!r}.\n"
            f"Set on each machine something like TF_CONFIG='{CLUSTER}'."
        )


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Without the log lines of a cluster that starts as it should."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _tpu_address() -> str | None:
    """Where `TPUClusterResolver` finds the TPU: its name, ``"local"`` on a machine that has one, or
    None.
    """
    if (
        any(os.path.exists(p) for p in ("/dev/accel0", "/dev/vfio/0"))
        or "TPU_ACCELERATOR_TYPE" in os.environ
    ):
        return "local"
    return os.environ.get("COLAB_TPU_ADDR") or os.environ.get("TPU_NAME") or None


def _tpu() -> tf.distribute.Strategy:
    address = _tpu_address()
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    # OSError: an address that the network does not know.
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = first_line(error)
        raise DistributionError(
            f"'tpu' needs a TPU, at {address or 'an address in TPU_NAME'}, and TensorFlow's build "
            "for it (pip install tensorflow-tpu).\nReceived a machine with "
            f"{listed(_device_names())}: {reason}\n"
            "On Colab choose Runtime > Change runtime type > TPU. To go on without one: "
            "connect('auto')."
        ) from error
