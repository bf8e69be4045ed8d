"""Names: one check, and what passes it can be a file, a column and a line of a report."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.folders import make_table, noisy, write_run
from tf_transfer.checks.names import check_differ, check_name, check_names
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.data.tables import load_table, save_table
from tf_transfer.errors import DataError
from tf_transfer.experiments.runs import Cell


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "must be a text"),
        (3, "must be a text"),
        ("", "must be a text"),
        (" \t", "must be a text"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("a\u202eb", "control"),
        ("a\ud800b", "control"),
        ("n" * 101, "at most 100 bytes"),
        ("ü" * 51, "at most 100 bytes"),
        (" a", "blank"),
        ("a\N{NO-BREAK SPACE}", "blank"),
        ("a/b", "used for files"),
        ("a\\b", "used for files"),
        ("..", "a dot"),
        (".a", "a dot"),
        ("a.", "a dot"),
        ("CON", "Windows"),
        ("nul.csv", "Windows"),
        ("com1", "Windows"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_the_reason(name, reason):
    with pytest.raises(DataError, match=f"The name of a target .*{reason}") as error:
        check_name("target", name)
    assert str(error.value).isascii() or "ü" in name


@pytest.mark.parametrize(
    "name",
    [
        "tweets",
        "n" * 100,
        "日本語",
        "نام‌ها",
        "café",
        "a b",
        "a.b",
        "console",
        "$x_$",
        "a&b",
        "naïve (2)",
    ],
)
def test_a_plain_name_is_taken(name):
    check_name("target", name)


@pytest.mark.parametrize("name", ["How was it?", "a:b", "CON", ".a", "n" * 250, "stars*"])
def test_a_column_may_have_more_names_than_a_file(name):
    check_name("task", name, in_files=False)
    with pytest.raises(DataError):
        check_name("target", name)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a", "a"], "'a' and 'a'"),
        (["Tweets", "tweets"], "'Tweets' and 'tweets'"),
        (["caf\u00e9", "cafe\u0301"], r"'caf\xe9' and 'cafe\u0301'"),
        (["ﬁlm", "film"], "'ﬁlm' and 'film'"),
        (["STRASSE", "straße"], "'STRASSE' and 'straße'"),
        (["a b", "a\N{NO-BREAK SPACE}b"], "'a b' and 'a\\xa0b'"),
    ],
)
def test_names_that_look_alike_are_refused_and_shown_apart(names, shown):
    with pytest.raises(DataError) as error:
        check_names("source", ["other", *names])
    assert "Every source must have a name that differs from the others by more than case" in str(
        error.value
    )
    assert f"Received {shown}." in str(error.value)


def test_names_that_differ_pass():
    check_names("source", ["a", "b", "a b", "ä"])
    check_differ("source", [])


def accepted(in_files: bool):
    def passes(name: str) -> bool:
        try:
            check_name("target", name, in_files)
        except DataError:
            return False
        return True

    return st.text(min_size=1, max_size=60).filter(passes)


@pytest.mark.slow
@given(names=st.lists(accepted(True), min_size=3, max_size=3), task=accepted(False))
def test_what_is_accepted_can_be_written_and_read_back(tmp_path_factory, names, task):
    """A run folder and a table; hypothesis looks for a name that cannot."""
    target, strategy, seed = names[0], names[1], 3
    folder = tmp_path_factory.mktemp("names")
    y = np.array([0, 1, 1])
    run = write_run(folder, y, {"target_only": {16: noisy(np.random.default_rng(0), y, [0.7])}})
    run.write_target(target, {task: (y, y > 0)}, None, {"tables": {}}, table=make_table(3))
    assert list(run.read_target(target)[0]) == [task]
    cell = Cell(target, strategy, 16, seed)
    run.write_cell(cell, {task: y / 2}, {"source_seconds": 0.5, "target_seconds": 0.5})
    assert run.read_cell(cell)[0][task].tolist() == [0, 0.5, 0.5]
    assert len(Comparison(folder).unusable) == 0
    save_table(pd.DataFrame({"text": ["a"], task: ["b"]}), folder / "table.jsonl")
    if task != "text":
        assert load_table(folder / "table.jsonl")[task].tolist() == ["b"]
