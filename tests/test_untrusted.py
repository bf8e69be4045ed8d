"""Files that somebody else may have written."""

import gzip
import os

import pytest

from tf_transfer.errors import first_line, nearest
from tf_transfer.files.untrusted import (
    check_folder,
    check_plain,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    unpack,
)


def test_a_plain_file_is_read(tmp_path):
    (tmp_path / "a.json").write_text('\ufeff{"ü": [1]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"ü": [1]}
    assert read_text(tmp_path / "a.json") == '{"ü": [1]}'
    check_plain(tmp_path / "a.json", most=20)
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    assert read_bytes(tmp_path / "link") == read_bytes(tmp_path / "a.json")
    check_folder(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "a.json")
    for read in (check_plain, read_bytes, read_text, read_json):
        with pytest.raises(ValueError, match=r"it is a (pipe or a device|folder), not a file"):
            read(tmp_path / "a.json")
    if make is not os.mkdir:
        with pytest.raises(ValueError, match=r"a\.json: it is a pipe or a device"):
            check_folder(tmp_path)


def test_sizes_and_numbers_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_transfer.files.untrusted.MOST_TEXT", 10)
    monkeypatch.setattr("tf_transfer.files.untrusted.MOST_ENTRIES", 3)
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    check_folder(tmp_path)
    (tmp_path / "a.json").write_bytes(bytes(11))
    with pytest.raises(ValueError, match=r"a\.json: it has 11 bytes; at most 10 are read"):
        check_folder(tmp_path)
    with pytest.raises(ValueError, match="it has 11 bytes; at most 10"):
        read_text(tmp_path / "a.json", most=10)
    (tmp_path / "a.json").write_bytes(b"")
    (tmp_path / "deep").mkdir()
    for i in range(2):
        (tmp_path / "deep" / f"{i}.py").write_bytes(b"")
    with pytest.raises(ValueError, match="more than 3 files"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 201 + "]" * 201, '{"a":' * 201 + "1" + "}" * 201]
)
def test_what_is_nested_too_deeply_is_no_json(text):
    with pytest.raises(ValueError, match="nested"):
        parse_json(text)
    assert parse_json("[" * 200 + "]" * 200)


def test_a_packed_file_is_unpacked_up_to_a_limit():
    packed = gzip.compress(b"a" * 1000)
    assert unpack(packed, 1000) == b"a" * 1000
    for data, reason in (
        (packed[:-9], "cut short"),
        (b"", "cut short"),
        (b"abc", "cannot be unpacked"),
    ):
        with pytest.raises(ValueError, match=reason):
            unpack(data)
    with pytest.raises(ValueError, match="unpacks to more than 999 bytes"):
        unpack(packed, 999)


@pytest.mark.parametrize(
    ("name", "choices", "hint"),
    [
        ("fine_tun", ["fine_tune"], " Did you mean 'fine_tune'?"),
        ("a.yaml", ["a.yaml"], ""),
        ("a.yaml", ["a.yaml", "b.yaml"], " Did you mean 'b.yaml'?"),
        (3, ["3"], ""),
        ("zzz", ["fine_tune"], ""),
    ],
)
def test_no_message_suggests_what_was_given(name, choices, hint):
    assert nearest(name, choices) == hint


def test_the_first_line_of_an_error_is_never_empty():
    assert first_line(ValueError("a\nb")) == "a"
    assert first_line(MemoryError()) == "MemoryError"
