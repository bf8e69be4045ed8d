"""What a reader of the HTML report sees, checked by parsing the page."""

import dataclasses
import os
import re
import types
import unicodedata

import numpy as np
import pandas as pd
import pytest

from tests.report_page import Page
from tests.stand_in_comparison import (
    COUNTS,
    LEAKAGE,
    PROVENANCE,
    SOURCE_SECONDS,
    STRATEGIES,
    StandIn,
    Whole,
    stand_in,
    verdict,
)  # fmt: skip
from tf_transfer import report
from tf_transfer.errors import CheckpointError
from tf_transfer.kinds.tasks import Task
from tf_transfer.report import intervals, readings, record_sections, sections, wording
from tf_transfer.report.blocks import Notes, Scale

ORDER = [
    "differences",
    "fairness",
    "curves",
    "worth",
    "results",
    "confusions",
    "calibration",
    "slices",
    "rows",
    "sources",
    "leakage",
    "costs",
    "provenance",
    "reproduce",
    "unusable",
]


@pytest.fixture(scope="module")
def comparison():
    return stand_in(Whole)


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    return report.render(comparison, tmp_path_factory.mktemp("run") / "new").read_text(
        encoding="utf-8"
    )


def table(page, section, which=0):
    """The n-th table of a section, as rows of texts."""
    return [t for name, t in Page(page).tables if name == section][which]


def rows_of(table, name):
    """The cells of the rows whose first cell starts with ``name``."""
    return [row[1:] for row in table if row[0].split()[:1] == [name]]


# -- the page as a whole ---------------------------------------------------------------------------


def test_sections_come_in_order_and_tags_are_closed(page):
    parsed = Page(page)
    assert not parsed.open
    assert [v for tag, k, v in parsed.attributes if tag == "section" and k == "id"] == ORDER
    assert parsed.tags.count("style") == 1 and "metadata" not in parsed.tags
    identifiers = [v for _, k, v in parsed.attributes if k == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_the_verdict_comes_first(page, comparison):
    text = Page(page).texts["header"]
    sentence = report.headline(comparison)
    assert text.index("Mostly helped") < text.index(sentence) < text.index("24 helped")
    transferred = comparison.verdicts()["strategy"].isin(SOURCE_SECONDS)
    for word in ("helped", "hurt", "undecided"):
        count = (comparison.verdicts()[transferred]["verdict"] == word).sum()
        assert f"{wording.SYMBOLS[word]} {count} {word}" in text


def test_the_verdicts_at_a_glance_are_symbols(page, comparison):
    found = comparison.verdicts().set_index(["target", "task", "strategy", "budget"])["verdict"]
    tweets, nyt = rows_of(table(page, "header"), "fine_tune")
    for target, cells in (("tweets", tweets), ("nyt", nyt)):
        assert cells == [
            wording.SYMBOLS[found[target, "rating", "fine_tune", b]] for b in (16, 64, 256)
        ]
    assert not rows_of(table(page, "header"), "majority")


def test_page_needs_nothing_from_outside(page):
    assert not re.search(
        r"https?:|@import|\bsrc=|//[a-z]|<script|<link|javascript:|\bon[a-z]+=", page
    )
    references = [
        v for _, k, v in Page(page).attributes if k in ("href", "xlink:href", "clip-path")
    ]
    targets = {v for _, k, v in Page(page).attributes if k == "id"}
    assert references
    assert {re.search(r"#([^)]+)", r).group(1) for r in references} <= targets
    assert not re.search(r"font-family:(?!\s*inherit)", page)


def test_every_link_of_the_contents_leads_to_its_section(page):
    links = [v for tag, k, v in Page(page).attributes if tag == "a" and k == "href"]
    assert links == [f"#{name}" for name in ORDER]


# -- differences -----------------------------------------------------------------------------------


def test_forest_rows_say_difference_interval_symbol_and_word(page, comparison):
    found = comparison.verdicts().set_index(["target", "task", "strategy", "budget"])
    first = found.loc[("tweets", "rating", "fine_tune", 16)]
    forest = table(page, "differences")
    assert [row[0] for row in forest if row[0].endswith("labels")] == [
        "16 labels",
        "64 labels",
        "256 labels",
    ]
    helped, _, undecided = rows_of(forest, "fine_tune")
    assert helped[1] == f"+{first['value']:.2f} [{first['low']:.2f}, {first['high']:.2f}]".replace(
        "0.", "."
    )
    assert helped[2] == "▲ helped" and undecided[2] == "○ undecided"
    assert {row[2] for row in rows_of(forest, "scratch")} == {"▼ hurt"}
    assert [row[1:] for row in rows_of(forest, "majority")] == [["undefined", "○ undecided"]] * 3
    text = Page(page).texts["differences"]
    assert "majority at 16, 64 and 256 labels: pearson is undefined for seed number" in text
    assert "Pearson r, 1,260 test rows, 3 seeds" in text


def test_forest_lines_lie_where_the_numbers_are():
    frame = pd.DataFrame([verdict("a", "rating", 16, "fine_tune", "pearson", 0.2, half=0.1)])
    scale = intervals.scale_of(frame)
    assert scale.low == pytest.approx(-0.012) and scale.high == pytest.approx(0.312)
    assert (
        scale.place(0.2) == pytest.approx(0.212 / 0.324)
        and scale.place(9) == 1
        and scale.place(-9) == 0
    )
    c = dataclasses.replace(stand_in(), verdict_table=frame)
    markup = report.to_html(sections.build(c))
    assert (
        '<line x1="34.57%" x2="96.30%"' in markup
        and '<svg x="65.43%" y="50%" width="1" height="1"><path class="mark" d="M0,-5.5' in markup
    )


def test_the_widest_intervals_are_cut_off_with_an_arrowhead():
    halves = [0.1, 0.1, 0.1, 5.0]
    frame = pd.DataFrame(
        [verdict("a", "rating", 16, f"s{i}", "pearson", 0.2, half=h) for i, h in enumerate(halves)]
    )
    scale = intervals.scale_of(frame)
    assert -0.4 < scale.low < -0.3 and 0.5 < scale.high < 0.6
    c = dataclasses.replace(
        stand_in(), verdict_table=frame, strategies=["target_only", "s0", "s1", "s2", "s3"]
    )
    markup = report.to_html(sections.build(c))
    assert markup.count("M5,-4 0,0 5,4") == markup.count("M-5,-4 0,0 -5,4") == 1


def test_a_scale_without_any_width():
    nothing = pd.DataFrame([verdict("a", "rating", 16, "s", "pearson", np.nan)])
    same = pd.DataFrame([verdict("a", "rating", 16, "s", "pearson", 0.0, half=0.0)])
    assert (
        intervals.scale_of(nothing)
        == intervals.scale_of(same)
        == Scale(-1.0, 1.0, (-1.0, 0.0, 1.0))
    )


def test_all_figures_have_p_q_and_what_would_settle_the_undecided():
    row = verdict(
        "tweets",
        "rating",
        16,
        "fine_tune",
        "pearson",
        0.01,
        q=0.62,
        rows_needed=5400.0,
        seeds_needed=9.0,
    )
    c = dataclasses.replace(stand_in(), verdict_table=pd.DataFrame([row]))
    figures = table(report.to_html(sections.build(c)), "differences", 1)
    assert figures[1] == [
        "fine_tune",
        "target_only",
        "tweets",
        "rating",
        "16",
        "+.01",
        "[−.04, .06]",
        ".310",
        ".620",
        "○ undecided",
        "±.05",
        "5,400",
        "9",
    ]


def test_what_would_settle_it_stands_below_every_undecided_row_and_no_other(page, comparison):
    found = comparison.verdicts()
    assert {"helped", "hurt", "undecided"} == set(found["verdict"])
    open_ = (found["verdict"] == "undecided") & found["minimum_effect"].notna()
    assert 0 < open_.sum() < len(found)
    told = 0
    for rows in (
        rows
        for name, rows in Page(page).tables
        if name == "differences" and rows[0][-1] == "verdict"
    ):
        for row, below in zip(rows, [*rows[1:], [""]]):
            remarked = below[0].startswith("a difference of ±.05 would have shown")
            assert remarked == (row[-1] == "○ undecided" and row[-2] != "undefined"), row
            told += remarked
    assert told == open_.sum()


# -- scores ----------------------------------------------------------------------------------------


def test_result_cells_are_means_over_seeds_with_the_best_in_bold(page, comparison):
    results = comparison.results
    chosen = (
        (results["target"] == "tweets")
        & (results["metric"] == "pearson")
        & (results["budget"] == 16)
    )
    means = results[chosen].groupby("strategy")["value"].mean()
    cells = {row[0].split()[0]: row[1] for row in table(page, "results")[1:]}
    for strategy in STRATEGIES[:-1]:
        assert f"{means[strategy]:.2f}".replace("0.", ".", 1) in cells[strategy].split()[:2]
    assert cells["majority"] == "○ undefined"
    best = f"{means.max():.2f}".replace("0.", ".", 1)
    assert f"<strong>{best}</strong>" in page and page.count("<strong>") < page.count("<td")
    assert (
        table(page, "results")[1][0] == "target_only baseline"
        and table(page, "results")[2][0] == "fine_tune source"
    )


def cells_of(comparison, strategy):
    """The cells of the first panel of scores."""
    found = next(s for s in sections.build(comparison).sections if s.name == "results")
    rows = found.blocks[1].panels[0].blocks[0].rows
    return next(row[1:] for row in rows if row[0].text == strategy)


def test_lowest_is_best_for_errors(comparison):
    results = comparison.results.replace({"metric": {"pearson": "mae"}})
    c = dataclasses.replace(
        comparison, results=results, metrics={"rating": "mae", "polarity": "f1_macro"}
    )
    assert [s for s in STRATEGIES if cells_of(c, s)[0].strong] == ["scratch"]


def test_missing_and_undefined_seeds_are_said(comparison):
    results = comparison.results.copy()
    place = (
        (results["target"] == "tweets")
        & (results["metric"] == "pearson")
        & (results["strategy"] == "fine_tune")
    )
    results.loc[place & (results["budget"] == 16) & (results["seed"] == 1), "value"] = np.nan
    left_out = (results["budget"] == 64) & (results["seed"] == 1) | (results["budget"] == 256)
    results = results[~(place & left_out)]
    undefined, fewer, none = cells_of(dataclasses.replace(comparison, results=results), "fine_tune")
    assert (
        undefined.text == "undefined"
        and undefined.quiet.endswith("in 2 of 3 seeds")
        and not undefined.strong
    )
    assert fewer.text.startswith(".") and fewer.quiet.endswith("in 2 of 3 seeds")
    assert none.text == "–"


def test_the_whole_suite_is_folded_away_with_intervals(page, comparison):
    suite = table(page, "results", 4)
    assert (
        suite[0] == ["metric", *STRATEGIES]
        and suite[1] == ["16 labels"]
        and suite[2][0] == "Pearson r"
    )
    found = comparison.intervals().set_index(["target", "task", "strategy", "budget", "metric"])
    row = found.loc[("tweets", "rating", "target_only", 16, "pearson")]
    assert suite[2][1] == wording.interval(row["value"], row["low"], row["high"])
    assert "<details><summary>tweets: rating, every metric</summary>" in page
    assert "lower is better" not in str(suite)


def test_metrics_that_are_better_when_low_say_so():
    c = stand_in(Whole, metrics={"rating": "mae", "polarity": "f1_macro"})
    c.results = c.results.replace({"metric": {"pearson": "mae"}})
    assert table(report.to_html(sections.build(c)), "results", 4)[2][0] == "MAE lower is better"


def test_confusions_of_the_baseline_and_of_the_clearest_difference(page):
    matrix = table(page, "confusions")
    assert matrix == [
        ["true ↓ predicted →", "neg", "pos"],
        ["neg", "310 78%", "90 22%"],
        ["pos", "55 6%", "805 94%"],
    ]
    assert "--share: 0.775" in page
    text = Page(page).texts["confusions"]
    assert text.index("target_only, 16 labels") < text.index("multi_task, 16 labels")


def test_many_classes_are_shown_as_their_most_frequent_confusions():
    names = [f"class {i}" for i in range(9)]
    counts = pd.DataFrame(np.diag(range(10, 100, 10)), names, names)
    counts.loc["class 3", "class 5"], counts.loc["class 0", "class 1"] = 10, 30
    c = stand_in(Whole)
    c.confusion = lambda *place: counts
    assert table(report.to_html(sections.build(c)), "confusions") == [
        ["true", "predicted", "rows", "of the class"],
        ["class 0", "class 1", "30", "75%"],
        ["class 3", "class 5", "10", "20%"],
    ]


# -- parts that are missing ------------------------------------------------------------------------


def test_what_a_comparison_lacks_is_said_in_one_sentence(tmp_path):
    texts = Page(report.render(stand_in(StandIn), tmp_path).read_text(encoding="utf-8")).texts
    for section, what in [("worth", "worth in labels is"), ("confusions", "confusion matrices are"),
                          ("calibration", "calibration curves are"), ("slices", "slices are"),
                          ("rows", "rows mended and broken are"),
                          ("sources", "contributions of single sources are")]:  # fmt: skip
        assert texts[section].count(f"The {what} missing: ") == 1, section
    assert "bands are ranges from the worst seed to the best." in texts["curves"]
    assert "The intervals of the metrics are missing" in texts["results"]
    assert "Not recorded when this run was made: weights trained and peak memory." in texts["costs"]


def test_what_cannot_be_computed_says_why_beside_what_can(page):
    text = Page(page).texts["slices"]
    assert (
        text.count(
            "The slices are missing: Slices need the texts of the test rows. This run kept none."
        )
        == 1
    )
    assert "▲ helped" in text and "300 rows" in text
    assert "bands are 95 % intervals over test rows and seeds." in Page(page).texts["curves"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pd.DataFrame(), "no result of this run has any"),
        (pd.DataFrame({"target": ["a"]}), "columns task, strategy, budget"),
    ],
)
def test_a_table_without_rows_or_columns_is_missing(found, reason):
    c = stand_in(Whole)
    c.label_worth = lambda: found
    with pytest.raises(readings.Missing, match=reason):
        readings.label_worth(c)


def test_the_clearest_difference_is_the_most_half_widths_from_0():
    rows = [verdict("a", "rating", 16, "fine_tune", "pearson", 0.3, half=0.2),
            verdict("a", "rating", 64, "multi_task", "pearson", -0.1, half=0.03),
            verdict("a", "rating", 64, "majority", "pearson", -0.9, half=0.01),
            verdict("a", "rating", 16, "linear_probe", "pearson", 0.0, half=0.0)]  # fmt: skip
    c = dataclasses.replace(stand_in(), verdict_table=pd.DataFrame(rows), targets=["a"])
    assert readings.places(c) == [readings.Place("a", "rating", "multi_task", 64)]


def test_slices_that_are_too_small_have_no_verdict(page):
    (row,) = rows_of(table(page, "slices"), "long")
    assert row[1:] == ["undefined", "too small"]


def test_changed_rows_show_numbers_as_numbers():
    c, place = stand_in(Whole), readings.Place("tweets", "rating", "fine_tune", 16)
    kept = c.changed_rows("tweets", "rating", "fine_tune", 16)
    assert readings.changed_rows(c, place)["mended"].tolist() == [True, False]
    c.changed_rows = lambda *_, **__: kept.assign(label=0.5, baseline=-2.25, prediction=0.25)
    row = table(report.to_html(sections.build(c)), "rows")[1]
    assert row[1:] == [".50", "−2.25", "▲ .25 mended"]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("rating", "7 rows mended (a smaller error), 6 broken (a larger error)."),
        ("polarity", "7 rows mended (right in more seeds), 6 broken (wrong in more seeds)."),
    ],
)
def test_changed_rows_are_counted_and_five_of_each_are_shown(task, words):
    c = stand_in(Whole)
    kept = c.changed_rows("tweets", "rating", "fine_tune", 16)
    changes = [0.5] * 7 + [-0.4] * 6
    many = pd.DataFrame({"change": changes, "text": [f"t{i}" for i in range(13)]}).merge(
        kept.drop(columns=["change", "text"]).head(1), how="cross"
    )
    c.changed_rows = lambda target, name, *rest, most: many.head(most * (name == task))
    page = report.to_html(sections.build(c))
    assert words in Page(page).texts["rows"]
    assert [row[0] for row in table(page, "rows")[1:]] == [
        f"t{i}" for i in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
    ]


@pytest.mark.parametrize(
    ("labels", "low", "high", "censored", "words"),
    [
        (140.2, 90, 210, "", "140 [90, 210]"),
        (140, 90, np.inf, "", "140 (at least 90)"),
        (140, 0, 210, "", "140 (at most 210)"),
        (140, 0, np.inf, "", "140 (interval without ends)"),
        (np.nan, 0, 20, "fewer than 16", "fewer than 16 (at most 20)"),
        (np.nan, np.nan, np.nan, "", "–"),
    ],
)
def test_a_worth_says_as_much_of_its_interval_as_was_measured(labels, low, high, censored, words):
    c = stand_in(Whole)
    worth = c.label_worth().iloc[:1].assign(labels=labels, low=low, high=high, censored=censored)
    c.label_worth = lambda: worth
    assert table(report.to_html(sections.build(c)), "worth")[1] == ["fine_tune", words]


# -- the record ------------------------------------------------------------------------------------


def test_leakage_cost_provenance_and_reproduction(page):
    texts = Page(page).texts
    assert table(page, "leakage")[1] == [
        "tweets",
        "train",
        "1,260",
        "5",
        "2",
        "7 (0.6%)",
        "1",
        "9 of 2,940",
    ]
    assert "near (.87): “what a fine day my friends!”" in texts["leakage"]
    costs = table(page, "costs")
    assert costs[0] == ["strategy", "source", "target", "weights trained", "peak memory"]
    assert rows_of(costs, "multi_task") == [["1 min 02 s", "4.2 s", "4.39 M", "1.23 GB"]]
    assert table(page, "provenance")[1] == ["source movie", "2,940", "28" * 32]
    assert PROVENANCE["encoder"]["sha256"] in texts["provenance"]
    assert "targets · 0 · tweets · rows 4200" in texts["provenance"]
    assert "pip install tensorflow==2.21.0 numpy==2.4.6" in texts["reproduce"]
    assert (
        "tf-transfer compare experiment.yaml" in texts["reproduce"]
        and "budgets: - 16 - 64" in texts["reproduce"]
    )
    assert "Every cell of the plan was read" in texts["unusable"]


def test_worth_in_labels_is_a_sentence_and_a_table(page):
    assert (
        "tweets, rating: 16 labels with fine_tune do as well as 48 [40, 112] with target_only."
        in Page(page).texts["worth"]
    )
    assert rows_of(table(page, "worth"), "multi_task") == [
        ["48 [40, 112]", "192 [160, 448]", "more than 256 (at least 206)"]
    ]
    assert rows_of(table(page, "worth", 1), "fine_tune") == [
        ["▲ +.21 [.15, .27]", "256 labels", "192 labels"]
    ]


def test_cells_that_could_not_be_used_are_told_at_the_top_and_explained_at_the_end(tmp_path):
    text = report.render(
        stand_in(unusable=["cell 7: x.npz is damaged.\nRun again."]), tmp_path
    ).read_text()
    assert "1 cell of this run could not be used." in Page(text).texts["header"]
    assert "cell 7: x.npz is damaged. Run again." in Page(text).texts["unusable"]


def test_experiments_of_tables_in_memory_say_that_files_are_needed():
    experiment = PROVENANCE["experiment"] | {
        "sources": {"films": {"table": "a DataFrame of 14 rows"}}
    }
    c = stand_in(provenance=PROVENANCE | {"experiment": experiment})
    assert (
        "put the paths of their files there"
        in Page(report.to_html(sections.build(c))).texts["reproduce"]
    )


HOSTILE = "$\\frac{$\x1b<script>alert(1)</script>&\n\"'猫|`*_ [x](javascript:1)"


def hostile_comparison():
    """A `Whole` whose every name, text and note holds markup."""
    c = stand_in(
        Whole,
        unusable=[HOSTILE + "half a pair: \ud800"],
        text=HOSTILE,
        slices_of=(HOSTILE, HOSTILE, "short"),
    )
    task = "".join(c for c in HOSTILE if c.isprintable() and c != "/") + "task"
    renamed = {"tweets": HOSTILE, "rating": task, "fine_tune": HOSTILE + "way"}
    example = LEAKAGE["examples"][0] | {"text": HOSTILE, "test_text": HOSTILE}
    return dataclasses.replace(
        c,
        name=HOSTILE,
        results=c.results.replace(renamed),
        verdict_table=c.verdict_table.replace(renamed).assign(note=HOSTILE),
        tasks=[Task(renamed["rating"], kind="regression"),
               Task("polarity", kind="classification", classes=(HOSTILE, "pos"))],
        strategies=[renamed.get(s, s) for s in STRATEGIES],
        targets=[HOSTILE, "nyt"],
        metrics={renamed["rating"]: "pearson", "polarity": "f1_macro"},
        source_strategies=[HOSTILE + "way"],
        leakage={HOSTILE: LEAKAGE | {"examples": [example], "tables": {HOSTILE: COUNTS}}},
        provenance={HOSTILE: {HOSTILE: HOSTILE}, "sha256": {HOSTILE: HOSTILE}, "rows": {},
                    "experiment": {"tasks": [{"classes": ["<b>", HOSTILE]}]}},
    )  # fmt: skip


def test_hostile_names_are_text(tmp_path):
    text = report.render(hostile_comparison(), tmp_path).read_text(encoding="utf-8")
    parsed = Page(text)
    assert not {"script", "frac", "b>"} & set(parsed.tags) and not parsed.open
    assert not [
        k
        for _, k, v in parsed.attributes
        if k.startswith("on") or ("javascript:" in str(v) and k == "href")
    ]
    for section in set(ORDER) - {"sources", "reproduce"} | {"header"}:
        assert "<script>alert(1)" in parsed.texts[section], section
    assert "<b>" in parsed.texts["reproduce"]
    for page in (text, (tmp_path / "report.md").read_text(encoding="utf-8")):
        assert not [c for c in page if c.isspace() is False and unicodedata.category(c) == "Cc"]
    assert "$\\frac{$\ufffd" in parsed.texts["header"]


def test_a_report_without_a_cell(tmp_path, comparison):
    empty = dataclasses.replace(
        comparison,
        results=comparison.results[:0],
        verdict_table=comparison.verdict_table[:0],
        leakage={},
        provenance={},
    )
    texts = Page(report.render(empty, tmp_path).read_text()).texts
    assert "No strategy was compared with itself" in texts["header"]
    assert "nothing to compare" in texts["differences"] and "no results" in texts["results"]
    assert (
        "No classification has a verdict" in texts["confusions"]
        and "No audit was recorded" in texts["leakage"]
    )


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_old_reports_survive_a_failure(tmp_path, comparison, monkeypatch):
    path = report.render(comparison, tmp_path)
    old = path.read_bytes()
    with pytest.raises(AttributeError):
        report.render(dataclasses.replace(comparison, provenance=None), tmp_path)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(CheckpointError, match=r"report\.html"):
        report.render(comparison, tmp_path)
    assert path.read_bytes() == old
    assert {p.name for p in tmp_path.iterdir()} == {"report.html", "report.md"}


def test_the_same_comparison_gives_the_same_bytes(page, comparison, tmp_path):
    assert report.render(comparison, tmp_path).read_text(encoding="utf-8") == page


def test_a_difference_without_a_spread_is_the_clearest_of_all():
    rows = [verdict("a", "rating", 16, "fine_tune", "pearson", 0.3, half=0.01),
            verdict("a", "rating", 64, "multi_task", "pearson", 0.1, half=0.0)]  # fmt: skip
    table = pd.DataFrame(rows).assign(minimum_effect=[0.02, np.nan])
    c = dataclasses.replace(stand_in(), verdict_table=table, targets=["a"])
    assert readings.places(c) == [readings.Place("a", "rating", "multi_task", 64)]


def test_known_spans_of_the_test_are_told():
    counts = COUNTS | {"spans": 40, "known_spans": 10}
    audit = LEAKAGE | {"tables": {"train": counts, "films": COUNTS}}
    comparison = types.SimpleNamespace(leakage={"tweets": audit}, provenance={})
    (notes,) = (b for b in record_sections.leakage(comparison).blocks if isinstance(b, Notes))
    assert notes.items == (
        "tweets: 10 of 40 labelled spans of the test (25.0%) have a text that is a span of train "
        "too. That is no leak.",
    )
