"""Models that several test modules only read, and what shortens tracing and compiling, which take
most of the time.
"""

import gc
import os
import re

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, and none kept in the repository.
settings.register_profile(
    "tests",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("tests")
# processes share the cores: threads of each would wait for those of the others
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("TF_NUM_INTRAOP", "OMP_NUM", "OPENBLAS_NUM"):
        os.environ.setdefault(f"{library}_THREADS", "1")
gc.set_threshold(100_000, 50, 100)  # tracing makes millions of objects, few of them in cycles
# XLA's programs are checked and run a few times: code that is made quickly serves better than quick
# code.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)


def pytest_collection_modifyitems(items):
    """Names of tests must be the same in every process: none holds the address of an object."""
    named = [item.nodeid for item in items if re.search(r" at 0x[0-9a-f]+", item.nodeid)]
    if named:
        raise pytest.UsageError(
            f"{named[0]}: its name differs from process to process.\nGive it another id."
        )


@pytest.fixture(scope="session", autouse=True)
def graphs_as_they_are_traced():
    from tests import tiny

    tiny.keep_graphs()


@pytest.fixture(scope="session")
def trained():
    """A model of three tasks after two epochs, with Keras metrics and a validation table;
    read-only.
    """
    from tests import tiny

    model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy", "stars": "mae", "themes": "binary_accuracy"})
    table = tiny.make_table()
    table.loc[3, "mood"] = None
    table.loc[[4, 5], "stars"] = None
    model.history_of_fit = model.fit(
        table, epochs=2, batch_size=8, validation_data=tiny.make_table(10, seed=1), verbose=0
    )
    return model


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """A folder that `load_encoder` loads: a tiny random BERT in PyTorch's safetensors format."""
    from tests import experiments, tiny

    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    words = [*experiments.WORDS, *experiments.GOOD, *experiments.BAD]
    encoder = tiny.make_encoder(texts=words)
    encoder.transformer.save_pretrained(folder, safe_serialization=True)
    encoder.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Lets `assets.fetch` give a folder of the files passed in."""

    def put(files: dict):
        from tf_transfer.assets import fetching as assets

        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        monkeypatch.setattr(assets, "fetch", lambda name: tmp_path)
        return tmp_path

    return put
