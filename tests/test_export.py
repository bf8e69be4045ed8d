"""The exported SavedModel answers without this package, as the model did."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.devices.backend import tf, transformers
from tf_transfer.encoders.tiny import tiny_encoder
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel

pytestmark = pytest.mark.slow

TABLE = tiny.make_table(10, seed=3)
TEXTS = TABLE["text"].tolist()


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "tiny" / "1"
    trained.export(folder)
    return folder


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported))


def tokens(folder, texts, dtype=tf.int32) -> dict:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    fields = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
    return {f: tf.constant(v, dtype) for f, v in fields.items()}


def check(found, expected):
    assert set(found) == set(expected)
    for name, prediction in expected.items():
        assert found[name].shape == prediction.scores.shape
        np.testing.assert_allclose(found[name], prediction.scores, rtol=1e-5, atol=1e-5)


CLIENT = """
import json, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tf_transfer", "transformers"):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

folder, texts = sys.argv[1], json.loads(sys.argv[2])
about = json.load(open(folder + "/tasks.json"))
tokenizer = Tokenizer.from_file(folder + "/tokenizer/tokenizer.json")
tokenizer.enable_truncation(about["max_length"])
tokenizer.enable_padding()
rows = tokenizer.encode_batch(texts)
fields = {"input_ids": [r.ids for r in rows], "attention_mask": [r.attention_mask for r in rows]}
assert list(fields) == about["inputs"]
signature = tf.saved_model.load(folder).signatures["serving_default"]
assert not {"tf_transfer", "transformers"} & set(sys.modules)
found = signature(**{name: tf.constant(ids, tf.int32) for name, ids in fields.items()})
print(json.dumps({name: scores.numpy().tolist() for name, scores in found.items()}))
"""


def test_a_fresh_process_without_this_package_predicts_the_same(trained, exported):
    command = [sys.executable, "-c", CLIENT, str(exported), json.dumps(TEXTS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "custom gradients" not in ran.stderr
    found = {
        name: np.array(scores) for name, scores in json.loads(ran.stdout.splitlines()[-1]).items()
    }
    check(found, trained.predict(TABLE, verbose=0))


@pytest.mark.parametrize(
    ("signature", "dtype"), [("serving_default", tf.int32), ("serving_int64", tf.int64)]
)
@pytest.mark.parametrize("rows", [1, 10])
def test_signatures_take_any_batch_and_length(trained, exported, served, signature, dtype, rows):
    fields = tokens(exported, TEXTS[:rows], dtype)
    assert set(fields) == {"input_ids", "attention_mask"}
    check(served.signatures[signature](**fields), trained.predict(TABLE.head(rows), verbose=0))
    wider = {f: tf.pad(v, [(0, 0), (0, 5)]) for f, v in fields.items()}
    check(served.signatures[signature](**wider), trained.predict(TABLE.head(rows), verbose=0))


def test_serve_takes_a_dict_as_after_the_export_of_keras(trained, exported, served):
    for dtype in (tf.int32, tf.int64):
        check(served.serve(tokens(exported, TEXTS, dtype)), trained.predict(TABLE, verbose=0))


def test_the_tokenizer_cuts_as_the_model_does(trained, exported, served):
    long = ["still lake " * 50]
    fields = tokens(exported, long)
    assert fields["input_ids"].shape == (1, 24)
    check(served.signatures["serving_default"](**fields), trained.predict(long, verbose=0))


def test_classes_lie_beside_it(exported):
    about = json.loads((exported / "tasks.json").read_text())
    assert about["tasks"]["mood"] == {"kind": "classification", "classes": list(tiny.MOODS)}
    assert about["tasks"]["stars"] == {"kind": "regression", "classes": []}
    assert about["inputs"] == ["input_ids", "attention_mask"] and about["max_length"] == 24


def test_no_function_asks_for_xla(exported):
    """TensorFlow Serving's own builds need not have it; the model's kernels are compiled by it in
    training.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((exported / "saved_model.pb").read_bytes())
    library = saved.meta_graphs[0].graph_def.library.function
    assert not any(
        f.attr["_XlaMustCompile"].b or any(n.attr["_XlaMustCompile"].b for n in f.node_def)
        for f in library
    )
    assert len(library) > 5


def test_pairs_of_texts_have_types(tmp_path):
    task = Task("same", kind="classification", classes=(b"no", b"yes"))
    model = TransferModel(tiny.make_encoder(), task, text_pair="other", max_length=24)
    model.heads["same"].kernel.assign(np.random.default_rng(0).normal(size=(16, 2)))
    model.export(tmp_path / "pairs")
    assert json.loads((tmp_path / "pairs" / "tasks.json").read_text())["tasks"]["same"][
        "classes"
    ] == ["no", "yes"]
    pairs = pd.DataFrame(
        {"text": ["still lake", "cold rain"], "other": ["bright drum", "at dawn again"]}
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "pairs" / "tokenizer")
    fields = tokenizer(*map(list, pairs.to_numpy().T), padding=True, return_tensors="tf")
    assert set(fields) == {"input_ids", "attention_mask", "token_type_ids"}
    found = tf.saved_model.load(str(tmp_path / "pairs")).signatures["serving_default"](**fields)
    check(found, model.predict(pairs, verbose=0))


@pytest.mark.parametrize("family", ["gpt2", "deberta-v2"])
def test_other_families(family, tmp_path):
    model = TransferModel(tiny_encoder(family, width=16, layers=1), tiny.TASKS, max_length=24)
    for head in model.heads.values():
        head.kernel.assign(np.random.default_rng(0).normal(size=head.kernel.shape))
    model.export(tmp_path / family)
    found = tf.saved_model.load(str(tmp_path / family)).signatures["serving_default"](
        **tokens(tmp_path / family, TEXTS)
    )
    check(found, model.predict(TABLE, verbose=0))


def test_exporting_leaves_the_model_as_it_was(trained, exported):
    """The kernels are compiled again, the tokenizer makes the same fields."""
    assert "token_type_ids" in trained.encoder.tokenizer("still lake")
    assert trained.encoder.tokenizer.model_max_length == 128


def test_an_export_replaces_an_export_and_nothing_else(trained, exported, tmp_path):
    trained.save(tmp_path / "model")
    with pytest.raises(
        CheckpointError,
        match=r"holds something else; it is kept as it is.\nReceived .*'config.json'",
    ):
        trained.export(tmp_path / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    trained.export(exported)
    with pytest.raises(CheckpointError, match="is not a saved model"):
        trained.save(exported)
    assert (exported / "saved_model.pb").is_file()


def test_open_tasks_cannot_be_exported(tmp_path):
    model = TransferModel(tiny.make_encoder(), Task("mood"))
    with pytest.raises(DataError, match="have no kind or classes yet"):
        model.export(tmp_path / "open")
    assert not (tmp_path / "open").exists()
