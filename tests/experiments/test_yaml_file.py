"""Experiment files that are meant to break something: one message with the line, at once."""

import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.yaml_file import read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 9)}]\n" for last, this in zip("abcdefg", "bcdefgh")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"k{i}: &k{i} {{<<: [{', '.join([f'*{last}'] * 9)}]}}\n"
    for i, last in enumerate(["a", *(f"k{i}" for i in range(6))])
)


def refusal(folder, text: str) -> str:
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        load_experiment(path)
    assert str(error.value).startswith(f"{path} is no valid YAML: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("where: 2024-99-99", "'2024-99-99' is no timestamp: month must be in 1..12"),
        ("seeds: 0x_", "'0x_' is no int"),
        ("seeds: " + "9" * 5000, "…' is no int: Exceeds the limit"),
        ("drop_leaks: !!bool z", "'z' is no bool"),
        ("name: !!map x", "expected a mapping node, but found scalar"),
        ("name: !!set x", "expected a mapping node"),
        ("name: !!int x", "'x' is no int"),
        ("name: !!float z", "'z' is no float"),
        ("x: !!timestamp z", "is no timestamp"),
        ("x: !!binary ÿ", "failed to convert base64"),
        ("x: !!null {a: b}", "expected a scalar node"),
        ("name: " + "[" * 3000, "more than 50 levels"),
        ("name: " + "[" * 3000 + "]" * 3000, "more than 50 levels"),
        ("name: " + "{a: " * 3000, "more than 50 levels"),
        ("? " * 3000, "more than 50 levels"),
        ("".join(" " * i + "a:\n" for i in range(300)), "more than 50 levels"),
        (BOMB, "with all that aliases stand for"),
        (MERGES, "with all that aliases stand for"),
        ("name: &a [*a]", "'a' stands within itself"),
        ("name: &a {b: *a}", "'a' stands within itself"),
        ("name: *a", "undefined alias"),
        ("a: [" + "x," * 30_000 + "]", "more than 20,000 values"),
        ("#" * 300_000, "it has 300,000 bytes; at most 200,000 are read"),
        ("? [a]\n: b", "unhashable key"),
        ("? {a: b}\n: c", "unhashable key"),
        ("<<: 3", "expected a mapping or list"),
        ("a: \0", "special characters are not allowed"),
        ("%YAML 9.9\n---\na: b", "incompatible YAML document"),
        ("a: b\n---\nc: d", "expected a single document"),
        ("x: !!python/name:os.system ''", "could not determine"),
        ("a: !<tag:yaml.org,2002:python/object/apply:os.system> [ls]", "could not determine"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path, text, reason):
    message = refusal(tmp_path, text)
    assert reason in message
    assert len(message) < 600


@pytest.mark.parametrize("text", ["name: 2024-99-99", "a: b\nc: 0x_", "a: b\nc: {d: !!bool z}"])
def test_the_line_is_named(tmp_path, text):
    assert f"line {text.count(chr(10)) + 1}, column " in refusal(tmp_path, text)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "small.yaml")
    with pytest.raises(DataError, match="it is a pipe or a device, not a file"):
        load_experiment(tmp_path / "small.yaml")
    with pytest.raises(DataError, match="it is a pipe or a device, not a file"):
        load_experiment("/dev/zero")


@pytest.mark.parametrize(
    "name", ["n" * 300 + ".yaml", "a\0b.yaml", "deep/" * 999 + "a.yaml", "\ud800.yaml"]
)
def test_a_name_that_the_system_refuses_is_a_missing_file(tmp_path, name):
    with pytest.raises(DataError, match="There is no experiment file"):
        load_experiment(f"{tmp_path}/{name}")


def test_a_mark_at_the_start_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "small.yaml").write_text("name: a", encoding="utf-8-sig")
    assert read_yaml(tmp_path / "small.yaml") == {"name": "a"}


PIECES = st.sampled_from(
    [
        *"[]{},:?-#&*!|>'\"%@`\n\t ",
        "a",
        "*a ",
        "&a ",
        "<<: ",
        "- ",
        "? ",
        "!!int ",
        "!!set ",
        "!!omap ",
        "!!pairs ",
        "!!binary ",
        "!!timestamp ",
        "0x",
        "1e",
        "-.inf",
        ".nan",
        "12:30:45",
        "2024-02-30",
        "~",
        "---\n",
        "...\n",
        "\ud800",
        "\u2028",
        "\0",
    ]
)


@given(text=st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_yaml(path)
    except DataError:
        return
    assert found == yaml.safe_load(text) or found != found or "nan" in text
