"""The report as people see it: in headless Chromium without a network, on a desk, on a phone and in
print.

Skipped where no Chromium is installed; Debian has it (``apt-get install chromium``).
"""

import re

import numpy as np
import pytest

from tests import chromium
from tests.analysis.folders import make_comparison, noisy
from tests.experiments import make_experiment, make_table
from tests.stand_in_comparison import Whole, stand_in
from tests.test_report import HOSTILE, ORDER, hostile_comparison
from tf_transfer import report
from tf_transfer.comparison.compare import compare
from tf_transfer.report import wording
from tf_transfer.strategies import STRATEGIES

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.PATH is None, reason=chromium.MISSING)]
DESK, PHONE = 1280, 390
SIZES = pytest.mark.parametrize("width", [DESK, PHONE])

OVERLAPS = """
[...document.querySelectorAll('table.forest tbody tr:not(.group)')].filter(row => {
  const boxes = [...row.querySelectorAll('th > span, td > span, td > small, td > b')]
    .filter(e => getComputedStyle(e).position !== 'absolute').map(e => e.getBoundingClientRect());
  return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1));
}).map(row => row.innerText)
"""
"""Rows of forest plots in which texts lie over each other."""

CONTRASTS = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => { const [r, g, b] = numbers(colour).slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = e => { const ink = light(getComputedStyle(e).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); };
  const texts = [...document.querySelectorAll('h1, h2, h3, p, b, span, small, a, th, td, li, summary')];
  return Math.min(...texts.map(ratio));
})()
"""
"""The lowest contrast of a text with the page, as WCAG 2 defines it."""


BROKEN = """
(() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), broken = [], range = new Range();
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.parentElement.checkVisibility()) continue;
    for (const word of text.data.matchAll(/(?<![^\\s/–-])[^\\s/–-]{2,20}(?![^\\s/–-])/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
      if (lines.size > 1) broken.push(word[0]);
    }
  }
  return broken;
})()
"""
"""Words of at most 20 letters that go over two lines."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    unusable = ["fine_tune on nyt, 16 labels, seed 0: its file is damaged.\nRun again."]
    return report.render(stand_in(Whole, unusable=unusable), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return report.render(hostile_comparison(), tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One target, one budget, eight strategies."""
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 2, 100)
    scores = {name: {16: noisy(draws, truth, [0.7] * 2)} for name in list(STRATEGIES)[:8]}
    sources = [name for name in scores if STRATEGIES[name].uses_source]
    found = make_comparison(tmp_path_factory.mktemp("cells"), truth, scores, sources=sources)
    return report.render(found, tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("width", [1200, PHONE])
def test_no_word_is_broken_and_nothing_cut_off(browser, page, small, width):
    for path in (page, small):
        browser.open(path, width)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.evaluate(BROKEN) == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate(OVERLAPS) == []


def test_a_single_target_has_the_width_of_the_page(browser, small):
    browser.open(small, 1200)
    shares = (
        "[...document.querySelectorAll('table.forest')].map(t => t.offsetWidth / "
        "document.body.offsetWidth)"
    )
    assert min(browser.evaluate(shares)) > 0.9


def test_one_budget_has_a_table_and_no_curve(browser, small):
    browser.open(small, 1200)
    assert browser.evaluate("document.querySelectorAll('#curves svg').length") == 0
    assert "One label budget makes no curve" in browser.evaluate(
        "document.querySelector('#curves').innerText"
    )
    worth = browser.evaluate("document.querySelector('#worth').innerText")
    assert "labels needed without the source" in worth and "mean gain" not in worth


def in_view(browser, selector):
    """Whether all of the first such element is on the screen without scrolling."""
    box = f"document.querySelector({selector!r}).getBoundingClientRect()"
    return browser.evaluate(f"(b => b.top >= 0 && b.bottom <= innerHeight && b.height > 0)({box})")


@SIZES
def test_the_page_asks_for_nothing_but_itself(browser, page, hostile, width):
    for path in (page, hostile):
        browser.open(path, width)
        assert browser.requests() == [path.resolve().as_uri()]
        assert not [
            e
            for e in browser.events
            if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        assert (
            browser.evaluate(
                "document.scripts.length + document.querySelectorAll('[src], link, iframe').length"
            )
            == 0
        )
        links = browser.evaluate("[...document.links].map(a => a.getAttribute('href'))")
        assert set(links) == {f"#{name}" for name in ORDER}


@SIZES
def test_nothing_is_wider_than_the_screen(browser, page, hostile, width):
    for path in (page, hostile):
        browser.open(path, width)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.evaluate("innerWidth") == width
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("document.body.scrollWidth") <= width
    browser.open(page, width)
    forests = "[...document.querySelectorAll('table.forest')].map(t => t.parentElement)"
    assert browser.evaluate(f"{forests}.filter(e => e.scrollWidth > e.clientWidth).length") == 0


@SIZES
def test_the_answer_is_on_the_first_screen(browser, page, width):
    browser.open(page, width, 844)
    assert in_view(browser, ".answer") and in_view(browser, ".headline")
    assert browser.evaluate("document.querySelector('.answer').innerText").split() == [
        "▲",
        "Mostly",
        "helped",
    ]
    sizes = [
        browser.evaluate(f"parseFloat(getComputedStyle(document.querySelector('{s}')).fontSize)")
        for s in (".answer", "td")
    ]
    assert sizes[0] > 1.5 * sizes[1]


@SIZES
def test_a_reader_sees_every_section_with_its_figures(browser, page, width):
    browser.open(page, width)
    seen = browser.evaluate("document.body.innerText")
    for words in (
        "Difference that the source makes",
        "Learning curves",
        "do as well as 48 [40, 112] with target_only",
        "Confusion matrices",
        "Calibration",
        "Where it helped and hurt",
        "The ferry was late, but",
        "What each source adds",
        "Leakage audit",
        "4.39 M",
        "1.23 GB",
        "28" * 32,
        "pip install",
        "its file is damaged. Run again.",
    ):
        assert words in seen, words
    assert "0.055" not in seen and "every metric" in seen
    assert browser.evaluate("[...document.querySelectorAll('details')].every(d => !d.open)")
    assert (
        browser.evaluate("document.querySelectorAll('figure svg[role=img][aria-label]').length")
        == 8
    )


@SIZES
def test_the_forest_plot_is_drawn_where_its_numbers_say(browser, page, width):
    browser.open(page, width)
    row = "document.querySelector('#differences .forest tbody tr:nth-child(2)')"
    assert browser.evaluate(f"{row}.innerText").split()[0] == "fine_tune"
    middle = "(b => b.left + b.width / 2)"
    mark = browser.evaluate(f"{middle}({row}.querySelector('.mark').getBoundingClientRect())")
    zero = browser.evaluate(f"{middle}({row}.querySelector('.zero').getBoundingClientRect())")
    ends = browser.evaluate(
        f"(b => [b.left, b.right])({row}.querySelector('line:not(.zero)').getBoundingClientRect())"
    )
    assert zero + 5 < ends[0] < mark < ends[1]
    found = stand_in(Whole).verdicts().iloc[0]
    shape = (found["high"] - found["low"]) / found["value"]
    assert (ends[1] - ends[0]) / (mark - zero) == pytest.approx(shape, rel=0.15)
    assert browser.evaluate(OVERLAPS) == []


@SIZES
def test_colour_is_never_the_only_signal(browser, page, width):
    browser.open(page, width)
    cells = "document.querySelectorAll('.helped, .hurt, .undecided, .equivalent')"
    texts = browser.evaluate(
        f"[...{cells}].filter(e => e.tagName === 'B').map(e => [e.className, e.textContent])"
    )
    assert len(texts) > 100
    assert all(symbol == wording.SYMBOLS[word] for word, symbol in texts)
    shapes = browser.evaluate(
        "[...document.querySelectorAll('.bar')].filter(b => b.querySelector('.mark')).map(b => "
        "[b.classList[1], b.querySelector('.mark').getAttribute('d')])"
    )
    drawn = dict(map(tuple, shapes))
    assert set(drawn) == {"helped", "hurt", "undecided"} and len(set(drawn.values())) == 3


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_readable_in_light_and_dark(browser, page, dark):
    browser.open(page, DESK, dark=dark)
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 150) == dark
    assert browser.evaluate(CONTRASTS) > 4.5
    ink = browser.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert ink == browser.evaluate("getComputedStyle(document.body).color")


def test_it_is_printed_on_white_without_the_contents(browser, page):
    browser.open(page, 720, dark=True, media="print")
    assert (
        browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.evaluate("document.documentElement.scrollWidth") <= 720
    assert browser.evaluate(OVERLAPS) == []
    assert browser.pdf().startswith(b"%PDF") and 4 <= pages(browser) <= 20


def pages(browser):
    """How many sheets the page takes in print."""
    return len(re.findall(rb"/Type\s*/Page\b", browser.pdf()))


def test_what_is_folded_away_is_printed_too(browser, page):
    browser.open(page, 720, media="print")
    heights = (
        "[...document.querySelectorAll('details')].map(d => [d.open, d.offsetHeight, "
        "d.firstChild.offsetHeight])"
    )
    found = browser.evaluate(heights)
    assert len(found) > 5
    assert all(not is_open and whole > 1.5 * summary for is_open, whole, summary in found)
    closed = pages(browser)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert pages(browser) == closed
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.remove())")
    assert pages(browser) < closed
    browser.open(page, 720)
    assert all(whole < 1.5 * summary for _, whole, summary in browser.evaluate(heights))


@SIZES
def test_markup_in_the_data_is_seen_as_text(browser, hostile, width):
    browser.open(hostile, width)
    seen = browser.evaluate("document.body.textContent")
    assert seen.count("<script>alert(1)</script>") > 30
    assert browser.evaluate("document.querySelectorAll('script, body script').length") == 0
    assert browser.evaluate("document.title").startswith("$\\frac{$")
    chosen = browser.evaluate(
        "[...document.querySelectorAll('#rows th[scope=row]')].map(e => e.innerText)"
    )
    assert (
        chosen and chosen[0].startswith("$\\frac{$") and "<script>alert(1)</script>&" in chosen[0]
    )
    header = browser.evaluate(
        "[...document.querySelectorAll('#confusions thead th')].map(e => e.textContent)"
    )
    assert " ".join(HOSTILE.replace("\x1b", "").split()) in " ".join(
        header[1].replace("\ufffd", "").split()
    )


# -- a real run of hostile tables ------------------------------------------------------------------

WRITTEN = """&lt;script&gt;document.title='alive'&lt;/script&gt; &lt;img src=x onerror=alert(1)&gt; &amp;amp; "a" 'b'"""
SEEN = """<script>document.title='alive'</script> <img src=x onerror=alert(1)> &amp; "a" 'b'"""
"""What stands in the tables, and the text that it is once its entities are decoded."""
MOODS = {
    "glad": """<b onclick="alert(1)">glad</b> &amp; 'co'""",
    "sad": "</td></table><script>alert(1)</script>",
}
HOMES = {"north": "<svg onload=alert(1)>", "south": "&lt;south&gt;"}


@pytest.fixture(scope="module")
def real(encoder_folder, tmp_path_factory):
    """A run of CSV files whose texts, labels and other cells hold markup."""
    folder = tmp_path_factory.mktemp("real")

    def write(name, rows, seed):
        table = make_table(rows, seed)
        table = table.assign(text=table["text"] + " " + WRITTEN, mood=table["mood"].map(MOODS))
        table["home"] = [list(HOMES.values())[i % 2] for i in range(rows)]
        table.to_csv(folder / name, index=False)
        return str(folder / name)

    content = make_experiment(
        name="<i>moods</i> & more",
        encoder={"name": str(encoder_folder), "max_length": 32},
        sources={"films": write("films.csv", 40, 1), "shop": write("shop.csv", 40, 2)},
        targets={"tweets": {"train": write("train.csv", 30, 3), "test": write("test.csv", 80, 4)}},
        strategies=[
            {"alone": {"strategy": "linear_probe", "uses_source": False}},
            "linear_probe",
            "tfidf",
            "majority",
        ],
        baseline="alone",
        leave_one_out=["linear_probe"],
        slices="home",
    )
    return compare(content, folder / "run")


@pytest.fixture(scope="module")
def real_page(real):
    return real.save() / "report.html"


@SIZES
def test_a_real_run_shows_its_verdict_and_its_figures(browser, real, real_page, width):
    browser.open(real_page, width)
    seen = " ".join(browser.evaluate("document.body.innerText").split())
    assert report.headline(real) in seen.replace("\N{NO-BREAK SPACE}", " ")
    assert "<i>moods</i> & more" in seen
    shown = browser.evaluate(
        "[...document.querySelectorAll('#results article:first-of-type tbody tr')].map(r => "
        "[...r.cells].map(c => c.innerText.split(/\\s+/)))"
    )
    means = real.summary().query("task == 'stars'").set_index("budget")
    assert [row[0][0] for row in shown] == real.strategies
    for name, *cells in shown:
        for cell, budget in zip(cells, real.budgets):
            assert wording.number(means.loc[budget, name[0]]) in cell
    drawn = browser.evaluate(
        "[...document.querySelectorAll('#differences .forest tbody tr th')].map(e => e.innerText)"
    )
    assert len([name for name in drawn if name in real.strategies]) == len(real.verdicts())


@SIZES
def test_markup_in_real_texts_and_labels_is_seen_and_not_alive(browser, real_page, width):
    browser.open(real_page, width)
    texts = browser.evaluate(
        "[...document.querySelectorAll('#rows th[scope=row]')].map(e => e.innerText)"
    )
    assert texts and all(text.endswith(SEEN) for text in texts)
    heads = browser.evaluate(
        "[...document.querySelectorAll('#confusions thead th')].map(e => e.innerText)"
    )
    assert set(MOODS.values()) < set(heads)
    slices = browser.evaluate(
        "[...document.querySelectorAll('#slices tbody th > span')].map(e => e.innerText)"
    )
    assert {*MOODS.values(), *HOMES.values()} <= set(slices)
    alive = "script, img, i, iframe, object, embed, form, [onclick], [onload], [onerror]"
    assert browser.evaluate(f"document.querySelectorAll({alive!r}).length") == 0
    assert browser.evaluate("document.title") == "<i>moods</i> & more: did transfer help?"
    assert browser.requests() == [real_page.resolve().as_uri()]
    kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
    assert not [e for e in browser.events if e.get("method") in kinds]


@SIZES
def test_a_real_run_fits_the_screen_with_every_section(browser, real_page, width):
    browser.open(real_page, width)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(OVERLAPS) == []
    assert browser.evaluate("[...document.querySelectorAll('section')].map(s => s.id)") == ORDER
    assert " missing:" not in browser.evaluate("document.body.innerText")
