"""A cell of a file stays what it is: identities, exact round trips, and files that are odd or
hostile.
"""

import gzip
import json
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tf_transfer.data import unpacking
from tf_transfer.data.tables import clean_table, load_table, save_table
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task, infer_tasks

FORMATS = ["csv", "tsv", "csv.gz", "jsonl", "parquet"]
repeatable = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
)


def write(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(folder, content, name="a.csv", **options):
    return load_table(write(folder, content, name), **options)


def refusal(source, **options):
    with pytest.raises(DataError) as error:
        load_table(source, **options)
    return str(error.value)


# -- identity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "07", "7"],
        ["1.10", "1.1"],
        ["1E1", "10"],
        ["1e5", "2"],
        ["3", "3.0"],
        ["-0", "0"],
        ["12345678901234567890", "1"],
        ["9007199254740993", "0.5"],
        ["1_000", "1000"],
        ["٣", "3"],
        ["+5", "5"],
        ["9" * 400, "1"],
        ["1." + "0" * 400 + "1", "1.5"],
        ["inf", "none", "x"],
        ["True", "1"],
    ],
)
def test_what_is_no_number_without_loss_stays_text(tmp_path, cells):
    table = load(tmp_path, "text,code\n" + "".join(f"a,{cell}\n" for cell in cells))
    assert table["code"].tolist() == cells


@pytest.mark.parametrize(
    ("cells", "values", "dtype"),
    [
        (["7", " 12 ", "-3"], [7, 12, -3], "int64"),
        (
            ["1352171357891584011", "", "1352171357891584012"],
            [1352171357891584011, None, 1352171357891584012],
            "Int64",
        ),
        (["9007199254740993", "NA"], [9007199254740993, None], "Int64"),
        (["4.5", "3", "1e-07", "-inf"], [4.5, 3.0, 1e-07, -np.inf], "float64"),
        (["2.0", "", "null"], [2.0, None, None], "float64"),
    ],
)
def test_numbers_without_loss_are_numbers(tmp_path, cells, values, dtype):
    column = load(tmp_path, "text,y\n" + "".join(f"a,{cell}\n" for cell in cells))["y"]
    assert column.dtype == dtype
    assert [None if pd.isna(value) else value for value in column] == values


def test_integers_of_json_lines_and_parquet_keep_every_digit(tmp_path):
    ids = [9007199254740993, 9007199254740992, None]
    lines = "".join(json.dumps({"text": "a", "id": i} if i else {"text": "a"}) + "\n" for i in ids)
    big = "".join(json.dumps({"text": "a", "id": i}) + "\n" for i in (10**400, 1))
    parquet.write_table(pa.table({"text": ["a"] * 3, "id": ids}), tmp_path / "a.parquet")
    for table in (load(tmp_path, lines, "a.jsonl"), load_table(tmp_path / "a.parquet")):
        assert (
            table["id"].dtype == "Int64"
            and table["id"].tolist()[:2] == ids[:2]
            and pd.isna(table["id"][2])
        )
    assert load(tmp_path, big, "b.jsonl")["id"].tolist() == [10**400, 1]


def test_integers_of_a_dataset_keep_every_digit():
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "id": [9007199254740993, 9007199254740992, None]}
    )
    table = load_table(rows.select([1, 0, 2]))
    assert table["id"].dtype == "Int64" and table["id"].tolist()[:2] == [
        9007199254740992,
        9007199254740993,
    ]


def test_columns_are_kept_as_text_on_request(tmp_path):
    content = 'text,id,size\na,7,"1"\nb,NA,2\n'
    assert load(tmp_path, content, as_text="id")["id"].tolist() == ["7", "NA"]
    assert load(tmp_path, content, as_text=["id", "size"])["size"].tolist() == ["1", "2"]
    assert load(tmp_path, '{"text": "a", "id": 9007199254740993}', "a.jsonl", as_text="id")[
        "id"
    ].tolist() == ["9007199254740993"]
    frame = load_table(
        pd.DataFrame({"text": ["a", "b"], "id": pd.Series([7, None], dtype="Int64")}), as_text="id"
    )
    assert frame["id"].isna().tolist() == [False, True] and frame["id"][0] == "7"
    assert "'idd'" in refusal(tmp_path / "a.csv", as_text="idd")
    numbers = write(tmp_path, '{"text": 2020}', "b.jsonl")
    assert (
        "Set as_text='text'" in refusal(numbers)
        and load_table(numbers, as_text="text")["text"][0] == "2020"
    )


def test_quotes_tell_text_from_numbers_only_where_not_everything_is_quoted(tmp_path):
    assert load(tmp_path, 'text,y\n"a","1"\n"b","2"\n')["y"].tolist() == ["1", "2"]
    assert load(tmp_path, '"text","y"\n"a","1"\n"b","2"\n')["y"].tolist() == [1, 2]
    assert load(tmp_path, '"text","y"\n"a",1\n"b",2\n')["y"].tolist() == [1, 2]
    # as R writes it
    assert load(tmp_path, '"","text","y"\n"1","a","1"\n"2","b",NA\n')["y"].tolist() == ["1", "NA"]


def test_numbers_kept_as_text_still_are_labels_of_a_regression(tmp_path):
    table = load(tmp_path, "text,price\na,4.50\nb,3.25\nc,\n")
    (task,) = infer_tasks(table)
    assert task.kind == "regression"
    y, present = task.encode(table)
    assert y[present].tolist() == [4.5, 3.25]
    assert Task("price", kind="classification").resolve(table).classes == ("3.25", "4.50")


# -- what is saved is read back --------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
CODES = st.sampled_from(
    [
        *("7", "007", "1.10", "1.1", "NA", "n/a", "null", "nan", "inf", "1e5", "-0", " 7 "),
        "a|b",
        "[1]",
        '"',
        "'",
        "#x",
    ]
)
COLUMNS = {
    "words": st.one_of(TEXTS, CODES),
    "codes": st.one_of(CODES, st.none()),
    "ids": st.one_of(st.integers(-(2**63), 2**63 - 1), st.none()),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "rates": st.floats(allow_nan=False),
    "gaps": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.none()),
}
DTYPES = {"ids": "Int64", "whole": "int64", "rates": "float64", "gaps": "float64"}


def frames():
    rows = st.fixed_dictionaries({"text": TEXTS, **COLUMNS})
    return st.lists(rows, min_size=1, max_size=6).map(
        lambda rows: pd.DataFrame(
            {
                name: pd.Series([row[name] for row in rows], dtype=DTYPES.get(name, "object"))
                for name in rows[0]
            }
        )
    )


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_table_of_texts_and_numbers_is_read_back_exactly(tmp_path, suffix):
    @repeatable
    @given(frames())
    def check(table):
        save_table(table, tmp_path / f"a.{suffix}")
        back = load_table(tmp_path / f"a.{suffix}")
        assert list(back.columns) == list(table.columns)
        for name in table:
            assert back[name].isna().tolist() == table[name].isna().tolist()
            here, there = table[name].dropna().tolist(), back[name].dropna().tolist()
            assert list(map(repr, there)) == list(map(repr, here)), name

    check()


LABELS = st.one_of(TEXTS, CODES, st.integers(-9, 9)).map(
    lambda label: label.strip() if isinstance(label, str) else label
)


@pytest.mark.filterwarnings("ignore::tf_transfer.errors.LabelWarning")
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_every_list_of_labels_is_read_back_exactly(tmp_path, suffix):
    @repeatable
    @given(
        st.lists(st.lists(LABELS, max_size=3, unique_by=str), min_size=1, max_size=5).filter(any)
    )
    def check(rows):
        table = pd.DataFrame({"text": "a", "tags": pd.Series(rows, dtype=object)})
        if len({str(label) for row in rows for label in row}) < len(
            {label for row in rows for label in row}
        ):
            return  # 1 and "1" are refused together
        save_table(table, tmp_path / f"b.{suffix}")
        back = load_table(tmp_path / f"b.{suffix}")
        task = Task("tags", kind="multilabel").resolve(table)
        assert Task("tags", kind="multilabel").resolve(back) == task
        np.testing.assert_array_equal(task.encode(back)[0], task.encode(table)[0])

    check()


# -- files as other programs write them ------------------------------------------------------------


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "\ufeffSEP=;\n"])
def test_excels_first_line_names_the_delimiter(tmp_path, first):
    assert load(tmp_path, first + "text;y\na;1\nb;2\n")["y"].tolist() == [1, 2]
    assert "line 4" in refusal(write(tmp_path, first + "text;y\na;1\nb\n"))


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16", "'utf-16'"),
        ("utf-32", "'utf-32'"),
    ],
)
def test_utf_16_is_named_with_and_without_a_mark(tmp_path, encoding, named):
    path = write(tmp_path, "text,y\ngood,1\nbad,2\n".encode(encoding))
    assert named in refusal(path)
    assert load_table(path, encoding=encoding)["y"].tolist() == [1, 2]


def test_decimal_commas_are_read_on_request(tmp_path):
    content = 'text;y;code\na;3,5;007\nb;"4,25";7\nc;2;\nd;-1,5e3;12\n'
    table = load(tmp_path, content, delimiter=";", decimal=",")
    assert table["y"].tolist() == [3.5, 4.25, 2, -1500] and table["code"].tolist()[:2] == [
        "007",
        "7",
    ]


def test_bytes_that_are_text_are_read_as_text(tmp_path):
    parquet.write_table(
        pa.table({"text": [b"caf\xc3\xa9", b"b"], "raw": [b"\xff", None]}), tmp_path / "a.parquet"
    )
    table = load_table(tmp_path / "a.parquet")
    assert table["text"].tolist() == ["café", "b"] and table["raw"][0] == b"\xff"
    parquet.write_table(pa.table({"text": [b"caf\xe9"]}), tmp_path / "b.parquet")
    assert "must hold text" in refusal(tmp_path / "b.parquet")
    assert load_table(tmp_path / "b.parquet", encoding="cp1252")["text"].tolist() == ["café"]
    for encoding in ("none", "zip", "mbcs"):
        with pytest.raises(DataError, match=f"Python knows no encoding '{encoding}'"):
            load_table(tmp_path / "b.parquet", encoding=encoding)


# -- hostile files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ",,"}, ["delimiter", "',,'"]),
        ({"delimiter": ""}, ["delimiter"]),
        ({"delimiter": "\n"}, ["delimiter"]),
        ({"delimiter": '"'}, ["delimiter must differ from quote"]),
        ({"delimiter": 5}, ["delimiter", "5"]),
        ({"quote": "''"}, ["quote"]),
        ({"decimal": ",", "delimiter": ","}, ["differ"]),
        ({"encoding": "\0"}, ["encoding"]),
        ({"encoding": None}, ["encoding None"]),
        ({"encoding": "hex"}, ["encoding 'hex'"]),
        ({"encoding": "idna"}, ["encoding 'idna'"]),
        ({"encoding": "undefined"}, ["encoding"]),
    ],
)
def test_options_that_no_file_has_are_refused(tmp_path, options, words):
    message = refusal(write(tmp_path, "text,y\na,1\n"), **options)
    assert all(word in message for word in words), message


def test_half_an_emoji_is_replaced(tmp_path):
    table = load(
        tmp_path,
        '{"text": "good \\ud83d", "tone": ["\\ud83d"]}\n{"text": "\\ud83d\\ude00"}\n',
        "a.jsonl",
    )
    assert table["text"].tolist() == ["good \ufffd", "😀"] and table["tone"][0] == ["\ufffd"]
    frame = pd.DataFrame({"text": pd.Series(["half \ude00", "x"], dtype=object)})
    assert load_table(frame)["text"].tolist() == ["half \ufffd", "x"]
    assert clean_table(frame)["text"].tolist() == ["half \ufffd", "x"]
    for suffix in ("csv", "jsonl"):
        save_table(frame, tmp_path / f"half.{suffix}")
        assert load_table(tmp_path / f"half.{suffix}")["text"].tolist() == ["half \ufffd", "x"]


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"text": ' + "[" * 100_000, '{"a":' * 100_000, "9" * 5000]
)
def test_deep_or_endless_json_is_refused(tmp_path, line):
    assert "Line 1" in refusal(write(tmp_path, line, "a.jsonl"))


def test_packed_files_that_grow_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_UNPACKED", 2**21)
    bomb = gzip.compress(b"text,y\n" + b"a,1\n" * 2**20)
    assert "may fill at most 2,097,152 bytes" in refusal(write(tmp_path, bomb, "a.csv.gz"))
    many = pa.table(
        {"text": pa.array(["a"] * 2**19).dictionary_encode(), "y": pa.nulls(2**19, pa.int64())}
    )
    parquet.write_table(many, tmp_path / "a.parquet")
    assert "may fill at most" in refusal(tmp_path / "a.parquet")
    sparse = "".join(f'{{"k{i}": 1}}\n' for i in range(2000))
    assert "may fill at most" in refusal(write(tmp_path, sparse, "a.jsonl"))


def test_a_real_packed_file_is_read_whatever_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_UNPACKED", 100)
    words = np.random.default_rng(0).integers(0, 10**9, 1000)
    content = "text,y\n" + "".join(f"word{word},{word}\n" for word in words)
    assert len(load(tmp_path, gzip.compress(content.encode()), "a.csv.gz")) == 1000


def test_a_table_of_many_columns_is_read_at_once(tmp_path):
    """8,000 columns took 1.3 ms each and a comparison of every name with every other."""
    names = [f"c{i}" for i in range(8000)]
    rows = [",".join(map(str, range(row, row + 8000))) for row in range(3)]
    path = write(tmp_path, "text," + ",".join(names) + "\n" + "".join(f"a,{row}\n" for row in rows))
    started = time.process_time()
    table = load_table(path)
    assert time.process_time() - started < 5
    assert table.shape == (3, 8001) and table["c7999"].tolist() == [7999, 8000, 8001]


def test_messages_show_long_cells_in_short(tmp_path):
    name = "n" * 1_000_000
    assert len(refusal(write(tmp_path, f"{name},y\na,1\n"))) < 1000
    assert len(refusal(pd.DataFrame({"text": [["x" * 1_000_000]]}))) < 1000
    assert len(refusal(pd.DataFrame({name: ["a"]}), text="n" * 999_999)) < 1000


def test_options_are_named_as_they_are_written_where_the_message_is_read(tmp_path):
    from tf_transfer.errors import speaking

    path = write(tmp_path, "text\ty\na\t1\n\t2\n", "a.csv")
    assert "delimiter='\\t'" in refusal(path)
    with speaking("yaml"):
        assert 'delimiter: "\\t"' in refusal(path)
        assert "drop_empty: true" in refusal(path, delimiter="\t")
    with speaking("command line"):
        assert "--delimiter '\\t'" in refusal(path)
        assert "--quote ''" in refusal(write(tmp_path, 'text\ty\n"a" b\t1\n', "b.tsv"))


PIECES = [
    *(
        "text",
        "y",
        "a",
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        "\r",
        '"',
        '""',
        "007",
        "1.10",
        "NA",
        "|",
        "[",
        "{",
        "}",
        "null",
    ),
    *("sep=;\n", "\ufeff", "\ufdd0", "\u2028", "\x00", "1e400", "9" * 400, "<!--", "text,y\na,1\n"),
    *('{"text": "a", "y": [null]}\n', '{"text": "a", "y": {"k": "\\ud800"}}\n'),
    *(b"\xff", b"\xed\xa0\x80", b"PAR1", b"\x1f\x8b"),
]
OPTIONS = {
    "delimiter": st.sampled_from([None, ",", ";", "\t", ",,", "\n", '"']),
    "quote": st.sampled_from(['"', None, "'", "ab"]),
    "decimal": st.sampled_from([None, ",", "."]),
    "encoding": st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-7", "\0", "big5"]),
    "as_text": st.sampled_from([(), "y", ["text"]]),
    "drop_empty": st.booleans(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", FORMATS)
def test_whatever_a_file_holds_it_is_a_table_or_refused(tmp_path, suffix):
    """And so are its columns as labels."""

    @repeatable
    @given(
        st.lists(st.sampled_from(PIECES), max_size=12), st.fixed_dictionaries({}, optional=OPTIONS)
    )
    def check(pieces, options):
        content = b"".join(
            piece if isinstance(piece, bytes) else piece.encode() for piece in pieces
        )
        path = write(
            tmp_path, gzip.compress(content) if suffix == "csv.gz" else content, f"c.{suffix}"
        )
        try:
            table = load_table(path, **options)
            save_table(table, tmp_path / "saved.csv")
            for task in infer_tasks(table):
                task.encode(table)
        except DataError:
            return

    check()
