import time

import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from tf_transfer.data.cleaning import clean_text
from tf_transfer.errors import DataError


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a<br />b", "a b"),
        ("<p>one</p><p>two</p>", "one two"),
        ("<b>bo</b>ld", "bold"),
        ("<a href=\"x?y>z\" title='<i>'>link</a>", "link"),
        ("<!-- no --><SCRIPT type='x'>var a = '<b>';</SCRIPT >yes", "yes"),
        ("3 < 5 and 7 > 6", "3 < 5 and 7 > 6"),
        ("I <3 it <user> a<b", "I <3 it <user> a<b"),
        ("R&amp;B &#39;n&#x27; &eacute;", "R&B 'n' é"),
        ("http://x.org/?a=1&copy=2 AT&T", "http://x.org/?a=1&copy=2 AT&T"),
        ("&lt;b&gt;", "<b>"),
        ("a\u00a0b\t\n c", "a b c"),
        ("ze\u200bro\ufeff so\u00adft \x00nul\x07 \u202eright", "zero soft nul right"),
        ("bad \ud800 half", "bad half"),
        ("cafe\u0301", "café"),
    ],
)
def test_defaults(text, cleaned):
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "👍🏽 ❤️ 👩\u200d👩\u200d👧 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",
        "Don't! (Really?) :-)",
        "١٢٣ ﬁ ２",
    ],
)
def test_emoji_joiners_and_punctuation_are_kept(text):
    assert clean_text(text) == text


def test_each_step_can_be_left_out():
    assert clean_text("<b>a</b> &amp;", html=False) == "<b>a</b> &amp;"
    assert clean_text("a\u200bb", control=False) == "a\u200bb"
    assert clean_text("e\u0301", unicode=None) == "e\u0301"
    assert clean_text("ﬁ ２", unicode="NFKC") == "fi 2"


@pytest.mark.parametrize(
    ("urls", "cleaned"),
    [
        ("keep", "see https://x.org/a_(b)?c=1&d, or (www.y.org/z)."),
        ("remove", "see , or ()."),
        ("replace", "see http, or (http)."),
    ],
)
def test_urls(urls, cleaned):
    assert clean_text("see https://x.org/a_(b)?c=1&d, or (www.y.org/z).", urls=urls) == cleaned


def test_stop_words():
    assert clean_text("The plot is NOT good", stop_words="english") == "plot good"
    assert clean_text("The plot is not good", stop_words={"The", "is"}) == "plot not good"
    assert clean_text(" ".join(sorted(ENGLISH_STOP_WORDS)), stop_words="english") == ""
    assert clean_text("then theory the", stop_words=["the"]) == "then theory"


@pytest.mark.parametrize("option", [{"urls": "drop"}, {"unicode": "nfc"}, {"stop_words": "french"}])
def test_unknown_options_are_refused(option):
    with pytest.raises(DataError, match=next(iter(option))):
        clean_text("a", **option)


LONG = 100_000


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<script>",
        "<script ",
        "<style x>",
        "<a '\"",
        "<b x=1 ",
        "</",
        "&#",
        "http://",
        "www..",
        "\u0301\u0323",
    ],
)
def test_a_long_hostile_text_takes_time_in_proportion(piece):
    """Comments, scripts and marks took the length squared; the others are kept from it."""
    started = time.process_time()
    cleaned = clean_text(piece * (LONG // len(piece)), urls="remove", unicode="NFKC")
    assert time.process_time() - started < 3
    assert len(cleaned) <= LONG


def test_what_is_not_seen_ends_where_it_is_closed():
    assert clean_text("a <!-- b <script> --> c </script> d") == "a c </script> d"
    assert clean_text("a <!-- b") == "a <!-- b"
    assert clean_text("<!-- a --> b <!-- c") == "b <!-- c"
    assert clean_text("<style>a</style>b<script>c</SCRIPT>d<style>e") == "b d<style>e"


def test_marks_beyond_thirty_in_a_row_are_dropped_from_long_texts_only():
    tower = "e" + "\u0323" * 100
    assert clean_text(tower, unicode="NFD") == tower
    assert clean_text("x" * 1000 + tower, unicode="NFD") == "x" * 1000 + tower[:31]
