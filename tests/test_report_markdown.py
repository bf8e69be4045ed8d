"""What a reader of the Markdown report sees, checked by parsing it with an independent parser."""

import re

import pytest
from markdown_it import MarkdownIt

from tests.stand_in_comparison import Whole, stand_in
from tests.test_report import HOSTILE, ORDER, hostile_comparison
from tf_transfer import report
from tf_transfer.report import blocks, markdown, sections

PARSER = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def text():
    return report.to_markdown(sections.build(stand_in(Whole, unusable=["cell 7 is truncated"])))


def seen(text):
    """The texts of a Markdown inline: what is shown of it, as one line; raw HTML is marked."""
    found = []
    for token in PARSER.parse(text):
        for child in token.children or ():
            found.append(
                f"<HTML {child.content}>" if child.type == "html_inline" else child.content
            )
    return "".join(found)


def test_the_verdict_comes_first_and_sections_in_order(text):
    lines = text.splitlines()
    assert lines[0] == "# sentiment: did transfer help?"
    assert lines[2].startswith(
        "**▲ Mostly helped.** Source data helped tweets and nyt at 16 and 64 labels, most clearly"
    )
    assert "1 cell of this run could not be used" in lines[4]
    tokens = PARSER.parse(text)
    heads = [
        tokens[i + 1].content
        for i, t in enumerate(tokens)
        if t.type == "heading_open" and t.tag == "h2"
    ]
    assert len(heads) == len(ORDER)
    assert heads[0] == "Difference that the source makes" and heads[-1] == "What could not be used"


def test_it_says_what_the_page_says(text):
    """Every text of the blocks is there, in the same order as in the page."""
    built = sections.build(stand_in(Whole, unusable=["cell 7 is truncated"]))
    for section in built.sections:
        for words in texts_of(section.blocks):
            assert markdown.escaped(words) in text, words


def texts_of(found):
    """Titles, paragraphs and the cells of tables, however deep."""
    for block in found:
        if isinstance(block, blocks.Grid):
            yield from texts_of(block.panels)
        elif isinstance(block, blocks.Panel | blocks.Fold):
            yield block.title
            yield from texts_of(block.blocks)
        elif isinstance(block, blocks.Text):
            yield block.text
        elif isinstance(block, blocks.Table):
            rows = [row for row in block.rows if isinstance(row, tuple)]
            yield from (cell.text for row in rows for cell in row if isinstance(cell, blocks.Cell))
            yield from (row.text for row in block.rows if isinstance(row, blocks.Remark))


def test_tables_have_as_many_cells_in_every_row(text):
    rows = [t for t in PARSER.parse(text) if t.type in ("tr_open", "th_open", "td_open")]
    counts, widths = [], set()
    for token in rows:
        if token.type == "tr_open":
            counts.append(0)
        else:
            counts[-1] += 1
    assert min(counts) >= 2
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        lines = [len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()]
        assert len(set(lines)) == 1
        widths.add(lines[0])
    assert len(widths) > 3


def test_intervals_are_drawn_in_characters():
    scale = blocks.Scale(-0.4, 0.8, (-0.4, 0.0, 0.4, 0.8))
    assert markdown._bar(blocks.Span(0.2, 0.3, 0.4, "helped"), scale) == "········┊···├─▲─┤········"
    cut = markdown._bar(blocks.Span(-0.9, -0.2, 0.9, "undecided"), scale)
    assert cut == "◂───○───────────────────▸"
    assert markdown._bar(blocks.Span(float("nan"), 0.3, 0.4), scale) == "········┊················"
    assert markdown._axis(scale) == "−.4·····0······+.4····+.8"


@pytest.mark.parametrize(
    "words",
    [
        HOSTILE,
        "a|b",
        "*a* _b_ **c** __d__ ~~e~~ `f`",
        "[x](y) ![i](j) <b>bold</b> &amp; &lt;",
        "target_only",
        "_a_b_",
        "# no",
        "1. no",
        "- no",
        "+ no",
        "\\| \\",
        "[^1] [a]: b",
        "<!-- -->",
        "```x```",
        "~~~",
        "line\nbreak\r\n\tand\u2028more",
    ],
)
def test_texts_from_data_are_seen_as_they_are(words):
    shown = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    assert seen(markdown._line(words)) == shown
    table = markdown._grid(("a", "b"), [("x", markdown.escaped(words))])
    assert seen(table) == "abx" + shown
    assert not re.search(r"<HTML", seen(table))


def test_links_mentions_and_emoji_are_broken_up():
    found = markdown.escaped(
        "see https://a.example, www.b.example, me@c.example, @team :tada: 12:30"
    )
    assert found == r"see https\://a.example, www\.b.example, me\@c.example, \@team \:tada: 12:30"


def test_hostile_names_are_text():
    text = report.to_markdown(sections.build(hostile_comparison()))
    tokens = PARSER.parse(text)
    html = {t.content.split("\n")[0] for t in tokens if t.type == "html_block"}
    assert html <= {"<details>", "</details>"}
    inline = [c for t in tokens for c in t.children or ()]
    assert {c.content for c in inline if c.type == "html_inline"} <= {"<code>", "</code>"}
    assert not [c for c in inline if c.type in ("link_open", "image")]
    assert "<script>" not in re.sub(r"```.*?```", "", text, flags=re.S)


def test_folds_escape_their_titles_as_html_and_code_its_fences():
    fold = markdown._block(blocks.Fold("<b>_x_", (blocks.Code("a\n```\nb", "yaml"),)))
    assert (
        fold
        == "<details>\n<summary>&lt;b&gt;_x_</summary>\n\n````yaml\na\n```\nb\n````\n\n</details>"
    )
