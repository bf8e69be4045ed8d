"""Whatever is like a list of texts or labels is read as the list is, or refused with one
message.
"""

import collections
import datetime
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from tf_transfer.batches.input_labels import check_weights, with_labels
from tf_transfer.batches.inputs import opened, rows_of
from tf_transfer.batches.tokens import _pairs, _texts
from tf_transfer.checks.array_likes import Stream, as_list, as_texts, plain_value
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task

TEXTS, MOODS = ["a", "b", "c"], ["calm", "sad", "calm"]
MOOD = Task("mood", kind="classification", classes=("calm", "sad"))


class Batches(keras.utils.Sequence):
    """Texts and labels in batches of 2 rows."""

    def __len__(self):
        return 2

    def __getitem__(self, number):
        rows = slice(2 * number, 2 * number + 2)
        return np.array(TEXTS)[rows], np.array(MOODS)[rows]


class OnlyItems:
    """The old protocol of a sequence, as PyTorch's data sets have it."""

    def __getitem__(self, number):
        return TEXTS[number]


def hub_column():
    datasets = pytest.importorskip(
        "datasets", reason="Hugging Face datasets is not installed: pip install datasets"
    )
    return datasets.Dataset.from_dict({"text": TEXTS})["text"]


LIKE_A_LIST = {
    "a tuple": lambda: tuple(TEXTS),
    "a deque": lambda: collections.deque(TEXTS),
    "an array": lambda: np.array(TEXTS),
    "an array of objects": lambda: np.array(TEXTS, object),
    "an array of bytes": lambda: np.array(TEXTS, "S"),
    "an array of NumPy's strings": lambda: np.array(TEXTS, np.dtypes.StringDType()),
    "a masked array": lambda: np.ma.array(TEXTS),
    "a column of an array": lambda: np.array(TEXTS)[:, None],
    "a list of NumPy's text": lambda: [np.str_(text) for text in TEXTS],
    "bytes": lambda: [text.encode() for text in TEXTS],
    "a Series": lambda: pd.Series(TEXTS, index=[7, 8, 9]),
    "values of a Series": lambda: pd.Series(TEXTS).values,
    "the array of a Series": lambda: pd.Series(TEXTS).array,
    "unique values": lambda: pd.Series(TEXTS).unique(),
    "a Series of strings": lambda: pd.Series(TEXTS, dtype="string"),
    "a Series of arrow strings": lambda: pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "categories": lambda: pd.Categorical(TEXTS),
    "an index": lambda: pd.Index(TEXTS),
    "arrow": lambda: pa.array(TEXTS),
    "arrow in chunks": lambda: pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "arrow's dictionary": lambda: pa.array(TEXTS).dictionary_encode(),
    "scalars of arrow": lambda: [pa.scalar(text) for text in TEXTS],
    "a tensor": lambda: tf.constant(TEXTS),
    "a column of a tensor": lambda: tf.constant(TEXTS)[:, None],
    "a variable": lambda: tf.Variable(TEXTS),
    "a list of tensors": lambda: [tf.constant(text) for text in TEXTS],
    "a ragged tensor": lambda: tf.ragged.constant(TEXTS),
    "a generator": lambda: (text for text in TEXTS),
    "map": lambda: map(str, TEXTS),
    "chain": lambda: itertools.chain(TEXTS),
    "keys of a dict": lambda: dict.fromkeys(TEXTS).keys(),
    "values of a dict": lambda: dict(enumerate(TEXTS)).values(),
    "a column of datasets": hub_column,
    "items by number": OnlyItems,
}


@pytest.mark.parametrize("form", LIKE_A_LIST)
def test_texts_are_read_as_a_list_of_them_is(form):
    rows = rows_of(opened(LIKE_A_LIST[form]()), tasks=[MOOD])
    assert rows.table["text"].tolist() == TEXTS
    assert all(type(text) is str for text in rows.table["text"])


@pytest.mark.parametrize(
    "form", ["arrow", "a tensor", "a generator", "values of a Series", "a column of datasets"]
)
def test_labels_are_read_as_a_list_of_them_is(form):
    table = with_labels(pd.DataFrame({"text": TEXTS}), LIKE_A_LIST[form](), [Task("y")])
    assert table["y"].tolist() == TEXTS


def test_tables_of_others_and_batches_of_keras():
    arrow = pa.table({"text": TEXTS, "mood": MOODS})
    columns = {"text": pa.array(TEXTS), "mood": np.array(MOODS), "other": [1, 2, 3]}
    for x in (arrow, columns, Batches()):
        assert rows_of(x, tasks=[MOOD]).table.to_dict("list") == {"text": TEXTS, "mood": MOODS}


def test_a_stream_is_looked_at_without_being_used_up():
    stream = opened(iter(TEXTS))
    assert (
        opened(stream) is stream
        and stream.first() == stream.first() == "a"
        and list(stream) == TEXTS
    )
    assert Stream(iter([])).first() is None
    ids = ({"input_ids": [[1]], "attention_mask": [[1]]}, [0])
    batches = opened(iter([ids, ids]))
    assert rows_of(batches, tasks=[MOOD]) is None and len(list(batches)) == 2  # Keras takes them


REFUSED = {
    "one text": ("a", r"the one value 'a'.\nGive a list: \['a'\]"),
    "bytes": (b"a", "Give a list"),
    "an array of no dimension": (np.array("a"), "Give a list"),
    "a tensor of no dimension": (tf.constant("a"), "Give a list"),
    "a set": ({"a"}, "in order, row by row.\nReceived a set"),
    "a frozenset": (frozenset("a"), "Received a frozenset"),
    "nothing": (None, "Received None"),
    "a number": (5, "Received 5"),
    "a type": (str, "Received <class 'str'>"),
    "numbers": ([2020.0], "Received float 2020.0 in row 0"),
    "a bool": (["a", True], "Received bool True in row 1"),
    "a gap": (["a", None], "Received NoneType None in row 1.\nLeave out rows without a text"),
    "a gap in arrow": (pd.Series(["a", None]).array, "Received float nan in row 1.\nLeave out"),
    "lists of words": (
        [["a", "b"], ["c"]],
        r"Received list \['a', 'b'\] in row 0.\nMake it text first",
    ),
    "dicts": ([{"en": "a"}], "Received dict {'en': 'a'} in row 0"),
    "bytes that are no text": ([b"\xff"], r"read as text in UTF-8.\nReceived b'\\xff'"),
    "texts with their labels": (
        zip(TEXTS, MOODS),
        r"one text at a time.\nReceived one that gives tuple",
    ),
    "an iterator of numbers without end": (itertools.count(), "one that gives int: 0"),
    "an empty iterator": (iter([]), "at least one text"),
    "another key": ({"texts": TEXTS}, "under 'text'.*\nReceived a dict with 'texts'"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_list_of_texts_is_refused(form):
    x, message = REFUSED[form]
    with pytest.raises(DataError, match=message):
        rows_of(opened(x), tasks=[MOOD])


def test_symbolic_tensors_are_refused():
    with tf.Graph().as_default(), pytest.raises(DataError, match="a symbolic tensor"):
        as_list(tf.constant(TEXTS))


@pytest.mark.parametrize(
    "cell", [["good", "film"], {"en": "good"}, 2020.0, 7, True, ("a", "b")], ids=str
)
def test_cells_of_a_table_that_are_no_text_are_refused_as_in_lists(cell):
    column = pd.Series(["a", cell], dtype=object)
    with pytest.raises(
        DataError, match=r"Column 'text' must hold a text in each row.\nReceived .* in row 1"
    ):
        _texts(pd.DataFrame({"text": column}), "text")
    with pytest.raises(DataError, match="Column 'more' must hold a text"):
        _pairs(pd.DataFrame({"more": column}), "more")


def test_cells_that_are_bytes_are_read_as_in_lists():
    table = pd.DataFrame(
        {"text": pd.Series([b"a", "b"], dtype=object), "more": pd.Series([None, b" c "])}
    )
    assert (_texts(table, "text"), _pairs(table, "more")) == (["a", "b"], ["", "c"])


def test_values_become_plain_python():
    day, stamp = datetime.date(2020, 1, 1), pd.Timestamp("2020-01-01 12:00")
    dates = np.array(["2020-01-01T12:00:00.000000000"], "M8[ns]")
    assert as_list(dates) == [stamp] == [plain_value(dates[0])]  # NumPy's own list has integers
    assert as_list([day]) == [day] and as_list([np.int64(3), np.float64(0.5), np.bool_(True)]) == [
        3,
        0.5,
        True,
    ]
    assert (
        as_list(scipy.sparse.csr_matrix([[0, 1]]))
        == [[0, 1]]
        == as_list(tf.sparse.from_dense([[0, 1]]))
    )
    assert as_list(np.ma.array([1, 2], mask=[0, 1])) == [1, None]
    assert as_texts(as_list(pa.array([b"a"]))) == ["a"]


# -- labels of several classes ---------------------------------------------------------------------


HOT = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0]])
"""The last class is on in no row."""
FORMS_OF_HOT = {
    "an array": HOT,
    "floats": HOT.astype(float),
    "bools": HOT.astype(bool),
    "lists": HOT.tolist(),
    "lists of floats": HOT.astype(float).tolist(),
    "a tensor": tf.constant(HOT),
    "sparse": scipy.sparse.csr_matrix(HOT),
    "a sparse tensor": tf.sparse.from_dense(HOT),
    "rows of arrays": list(HOT),
}


def encoded(y, task, text=("x", "y", "z")):
    table = with_labels(pd.DataFrame({"text": list(text)}), y, [task])
    task = task.resolve(table)
    return task.classes, task.encode(table)[0].tolist()


@pytest.mark.parametrize("kind", ["multilabel", "auto"])
@pytest.mark.parametrize("form", FORMS_OF_HOT)
def test_0_and_1_for_each_class_are_read_alike(form, kind):
    assert encoded(FORMS_OF_HOT[form], Task("y", kind=kind)) == ((0, 1, 2), HOT.tolist())
    named = Task("y", kind="multilabel", classes=("a", "b", "c"))
    assert encoded(FORMS_OF_HOT[form], named) == (("a", "b", "c"), HOT.tolist())


def test_a_frame_of_0_and_1_names_the_classes():
    frame = pd.DataFrame(HOT, columns=["water", "noise", "light"])
    for y in (frame, frame.astype(bool), frame.astype(float), pa.table(frame)):
        assert encoded(y, Task("y")) == (("water", "noise", "light"), HOT.tolist())
    known = Task("y", kind="multilabel", classes=("light", "noise", "water"))
    assert encoded(frame, known)[1] == HOT[:, ::-1].tolist()
    with pytest.raises(
        DataError, match=r"knows the classes 'light', 'noise', 'water'.\nReceived 'sound'"
    ):
        encoded(frame.rename(columns={"noise": "sound"}), known)


@pytest.mark.parametrize(
    ("cells", "classes", "expected"),
    [
        ([["a", ""], ["b"], [""]], ("a", "b"), [[1, 0], [0, 1], [0, 0]]),
        ([[0, 1], [1], [0]], (0, 1), [[1, 1], [0, 1], [1, 0]]),
        ([[0], [1], [1]], (0, 1), [[1, 0], [0, 1], [0, 1]]),
        ([[True], [False], [True]], (0,), [[1], [0], [1]]),
        ([[3, 4], [3], []], (3, 4), [[1, 1], [1, 0], [0, 0]]),
        ([{0, 1}, {0}, {1}], (0, 1), [[1, 1], [1, 0], [0, 1]]),
        ([{"a": 1, "b": 0}, {"b": 1, "a": 1}, None], ("a", "b"), [[1, 0], [1, 1], [0, 0]]),
    ],
)
def test_lists_of_classes_stay_lists_of_classes(cells, classes, expected):
    table = pd.DataFrame({"y": pd.Series(cells, dtype=object)})
    task = Task("y", kind="multilabel").resolve(table)
    assert task.classes == classes
    assert task.encode(table)[0].tolist() == expected


def test_lists_of_the_classes_0_and_1_are_read_as_in_training():
    task = Task("y", kind="multilabel", classes=(0, 1, 2))
    assert task.encode(pd.DataFrame({"y": [[0, 1], [1, 0]]}))[0].tolist() == [[1, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("cells", "task", "message"),
    [
        ([[0, 1], [0, 1]], Task("y"), "must have one meaning"),
        ([[0, 1], [0, 1]], Task("y", kind="multilabel", classes=(0, 1)), "must have one meaning"),
        ([[0, 1, 0], [1, 0, 0]], Task("y"), r"one of them in every row(.|\n)*y.argmax\(1\)"),
        ([[0, 1, 0], [1, 1]], Task("y"), r"row 0 of .*\nReceived .*\n.*one length"),
        ([[0, None, 1], [1, 1, 1]], Task("y"), r"row 0 .*must have a name.*\nReceived None"),
        ([[0.2, 0.8], [0.5, 0.5]], Task("y"), r"Received \[0.2, 0.8\]"),
        (
            [[0, 1, 1]],
            Task("y", kind="multilabel", classes=("a", "b")),
            "each of 2 classes, 'a', 'b'.\nReceived rows of 3",
        ),
        ([{"a": 1}, {"b": 1}], Task("y"), "the same keys in every row"),
        ([{"n": "a"}, {"n": "b"}], Task("y"), "the same keys in every row"),
        (
            [[["a"]], [["b"]]],
            Task("y"),
            r"Task 'y', .*class must have a name: text.*\nReceived \['a'\] \(list\)",
        ),
    ],
)
def test_labels_that_could_mean_two_things_or_none_are_refused(cells, task, message):
    table = pd.DataFrame({"y": pd.Series(cells, dtype=object)})
    with pytest.raises(DataError, match=message):
        task.resolve(table).encode(table)


def test_an_array_of_labels_that_fits_no_kind_is_refused():
    with pytest.raises(DataError, match=r"one label a row.\nReceived labels of the shape \(3, 3\)"):
        with_labels(pd.DataFrame({"text": TEXTS}), HOT, [MOOD])
    with pytest.raises(DataError, match=r"shape \(3, 3\) with 2"):
        with_labels(pd.DataFrame({"text": TEXTS}), 2 * HOT, [Task("y", kind="multilabel")])


# -- weights ---------------------------------------------------------------------------------------


def test_weights_by_task():
    tasks = [MOOD, Task("stars", kind="regression")]
    both = check_weights((w for w in (1, 0, 2)), 3, tasks)
    assert {name: w.tolist() for name, w in both.items()} == {"mood": [1, 0, 2], "stars": [1, 0, 2]}
    one = check_weights({"stars": pa.array([1, 0, 2])}, 3, tasks)
    assert one["stars"].tolist() == [1, 0, 2] and one["mood"].tolist() == [1, 1, 1]
    for weights, message in (
        ({"star": [1, 1, 1]}, "Did you mean 'stars'"),
        (["a", "b", "c"], "3 numbers"),
        ([[1]] * 3, r"shape \(3, 1\)"),
        ([1, 2, np.nan], "3 numbers"),
        (5, "sample_weight must be a list"),
    ):
        with pytest.raises(DataError, match=message):
            check_weights(weights, 3, tasks)
