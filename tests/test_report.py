"""What a reader of the report sees, checked by parsing the page."""

import dataclasses
import html.parser
import itertools
import os
import re

import numpy as np
import pandas as pd
import pytest

from tf_transfer import report
from tf_transfer.errors import CheckpointError
from tf_transfer.report import plots, sections, wording
from tf_transfer.tasks import Task

STRATEGIES = ["target_only", "fine_tune", "multi_task", "linear_probe", "scratch", "tfidf", "majority"]
SOURCE_SECONDS = {"fine_tune": 48.2, "multi_task": 61.7, "linear_probe": 9.1}
LEVELS = {
    "target_only": (0.30, 0.75),
    "fine_tune": (0.58, 0.76),
    "multi_task": (0.63, 0.77),
    "linear_probe": (0.57, 0.70),
    "scratch": (0.05, 0.35),
    "tfidf": (0.25, 0.55),
}


@dataclasses.dataclass
class StandIn:
    """The part of `Comparison` that a report reads."""

    results: pd.DataFrame
    verdict_table: pd.DataFrame
    tasks: list
    strategies: list = dataclasses.field(default_factory=lambda: list(STRATEGIES))
    targets: list = dataclasses.field(default_factory=lambda: ["tweets", "nyt"])
    budgets: list = dataclasses.field(default_factory=lambda: [16, 64, 256])
    seeds: list = dataclasses.field(default_factory=lambda: [0, 1, 2])
    metrics: dict = dataclasses.field(default_factory=lambda: {"rating": "pearson", "polarity": "f1_macro"})
    leakage: dict = dataclasses.field(default_factory=dict)
    provenance: dict = dataclasses.field(default_factory=dict)
    unusable: list = dataclasses.field(default_factory=list)
    name: str = "sentiment"
    baseline: str = "target_only"
    source_strategies: list = dataclasses.field(default_factory=lambda: list(SOURCE_SECONDS))

    def verdicts(self):
        return self.verdict_table

    @property
    def costs(self):
        rows = [(s, stage, SOURCE_SECONDS.get(s, 0.0) if stage == "source" else 4.2)
                for s in self.strategies for stage in ("source", "target")]  # fmt: skip
        return pd.DataFrame(rows, columns=["strategy", "stage", "seconds"])


def stand_in(**changes):
    """A comparison of seven strategies, two targets, two tasks, three budgets and three seeds."""
    rng = np.random.default_rng(0)
    tasks = [Task("rating", kind="regression"), Task("polarity", kind="classification", classes=("neg", "pos"))]
    rows = []
    for target, task, strategy, step, seed in itertools.product(
        ["tweets", "nyt"], tasks, STRATEGIES, range(3), range(3)
    ):
        metric = "pearson" if task.kind == "regression" else "f1_macro"
        low, high = LEVELS.get(strategy, (0.33, 0.33))
        value = low + (high - low) * step / 2 - (0.2 if target == "nyt" else 0) + rng.normal(0, 0.02)
        if strategy == "majority":
            value = np.nan if metric == "pearson" else 0.33
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, metric, value))
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, "other", 7.0))
    columns = ["target", "task", "strategy", "budget", "seed", "metric", "value"]
    results = pd.DataFrame(rows, columns=columns)
    changes = {"leakage": {"tweets": LEAKAGE, "nyt": LEAKAGE}, "provenance": PROVENANCE} | changes
    return StandIn(results, verdict_table(results, "target_only"), tasks, **changes)


def verdict_table(results, baseline, half=0.05):
    means = results[results["metric"] != "other"].groupby(
        ["target", "task", "budget", "strategy", "metric"], sort=False
    )["value"].mean()  # fmt: skip
    rows = []
    for (target, task, budget, strategy, metric), value in means.items():
        if strategy != baseline:
            rows.append(verdict(target, task, budget, strategy, metric,
                                value - means[target, task, budget, baseline, metric], half))  # fmt: skip
    return pd.DataFrame(rows)


def verdict(target, task, budget, strategy, metric, value, half=0.05, note=""):
    low, high = value - half, value + half
    word = "helped" if low > 0 else "hurt" if high < 0 else "undecided"
    return {
        "target": target, "task": task, "budget": budget, "strategy": strategy, "metric": metric, "value": value,
        "low": low, "high": high, "verdict": word,
        "p": value if np.isnan(value) else 0.0004 if word != "undecided" else 0.31,
        "minimum_effect": half * (1 + 0 * value), "rows": 1260, "seeds": 3,
        "note": "pearson is undefined for seed number 0, 1, 2" if np.isnan(value) else note,
    }  # fmt: skip


COUNTS = {
    "test_rows": 1260, "identical": 3, "exact": 5, "near": 2, "known": 7, "share": 7 / 1260, "conflicts": 1,
    "rows": 2940, "rows_to_drop": 9, "known_test_rows": [1, 2], "leaked_rows": [3],
}  # fmt: skip
LEAKAGE = {
    "near": 0.8,
    "tables": {"train": COUNTS, "movie": {**COUNTS, "known": 0, "share": 0.0}},
    "examples": [{"test_row": 4, "row": 8, "kind": "near", "similarity": 0.87, "matches": 1, "conflict": True,
                  "test_text": "What a fine day, my friend", "text": "what a fine day my friends!", "table": "train"}],
}  # fmt: skip
PROVENANCE = {
    "versions": {"tf_transfer": "0.1.0", "tensorflow": "2.21.0", "python": "3.11.2"},
    "encoder": {"name": "bert-tiny", "sha256": "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"},
    "data": {"targets": [{"tweets": {"rows": 4200}}], "note": None},
    "experiment": {"name": "sentiment", "budgets": [16, 64, 256], "encoder": "bert-tiny", "strategies": STRATEGIES},
}  # fmt: skip


class Page(html.parser.HTMLParser):
    """The text of a page by section, its tags, and the tables as lists of rows of texts."""

    VOID = ("meta", "br", "link", "img", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.rows, self.tables = [], [], {}, [], []
        self.open, self.section = [], "header"
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts[self.section] = self.texts.get(self.section, "") + " ".join(data.split()) + " "
        if "td" in self.open or "th" in self.open:
            cell = self.tables[-1][-1]
            cell[-1] = (cell[-1] + " " + " ".join(data.split())).strip()


@pytest.fixture(scope="module")
def comparison():
    return stand_in()


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    return report.render(comparison, tmp_path_factory.mktemp("run") / "new").read_text(encoding="utf-8")


def panel_row(page, start, strategy, which=0):
    """The cells of a strategy in the n-th table whose head starts with ``start``."""
    tables = [t for t in Page(page).tables if t[0][0] == start]
    return next(row[1:] for row in tables[which] if row[0].split()[0] == strategy)


def only(*rows, **changes):
    """A comparison with just these verdicts."""
    return dataclasses.replace(stand_in(**changes), verdict_table=pd.DataFrame(rows))


# -- the headline ---------------------------------------------------------------------------------


def test_headline_of_one_place_gives_the_difference():
    c = only(
        verdict("tweets", "rating", 16, "multi_task", "pearson", 0.26),
        verdict("tweets", "rating", 64, "multi_task", "pearson", 0.01),
        verdict("tweets", "rating", 16, "scratch", "pearson", -0.5),
    )
    c.tasks = c.tasks[:1]
    assert report.headline(c) == (
        "Source data helped tweets at 16 labels: multi_task +.26 Pearson r [.21, .31]. Undecided: tweets at 64 labels."
    )


def test_headline_joins_places_and_picks_the_clearest_difference():
    c = only(
        verdict("nyt", "polarity", 16, "fine_tune", "f1_macro", 0.30, half=0.2),
        verdict("nyt", "polarity", 64, "fine_tune", "f1_macro", 0.20, half=0.04),
        verdict("tweets", "rating", 64, "multi_task", "pearson", 0.06),
        verdict("tweets", "rating", 16, "multi_task", "pearson", 0.06),
        verdict("tweets", "rating", 256, "linear_probe", "pearson", -0.0621, half=0.062),
    )
    assert report.headline(c) == (
        "Source data helped tweets and nyt at 16 and 64 labels; most clearly nyt at 64 labels, fine_tune +.20 "
        "macro F1 on polarity [.16, .24]. It hurt tweets at 256 labels: linear_probe −.0621 Pearson r on rating "
        "[−.1241, −.0001]."
    )


def test_headline_when_it_only_hurt():
    c = only(*(verdict("tweets", "rating", b, "fine_tune", "pearson", -0.2) for b in (16, 64, 256)))
    assert report.headline(c).startswith("Source data hurt tweets at every label budget; most clearly tweets at")
    assert report.headline(c).endswith("It was not seen to help anywhere.")


def test_headline_when_undecided_says_what_could_have_been_told():
    c = only(
        verdict("tweets", "rating", 16, "fine_tune", "pearson", 0.01),
        verdict("nyt", "rating", 16, "fine_tune", "pearson", 0.01, half=0.012),
        verdict("tweets", "rating", 16, "majority", "pearson", -0.5),
    )
    assert report.headline(c) == (
        "Undecided: with source data no strategy differed from target_only by more than chance. "
        "Differences below .012 to .05 Pearson r could not have been told from 0."
    )


def test_headline_without_anything_to_say():
    undefined = verdict("tweets", "rating", 16, "fine_tune", "pearson", np.nan)
    assert report.headline(only(undefined)) == "Undecided: no difference is defined."
    without = only(verdict("tweets", "rating", 16, "majority", "pearson", 0.5), source_strategies=[])
    assert report.headline(without) == "No strategy with source data was compared with target_only."


def test_headline_counts_what_it_does_not_name():
    targets = list("abcdef")
    c = only(*(verdict(t, "rating", 16, "fine_tune", "pearson", 0.2) for t in targets), targets=targets)
    assert "helped a, b, c and d at 16 labels; 2 more targets; most" in report.headline(c)


# -- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.26, {}, ".26"), (-0.04, {}, "−.04"), (0.26, {"sign": True}, "+.26"), (-0.001, {}, ".00"),
        (0.001, {"sign": True}, ".00"), (1234.5, {}, "1,234.50"), (10.0, {"sign": True}, "+10.00"),
        (-0.999, {}, "−1.00"), (np.nan, {}, "undefined"), (0.0123, {"decimals": 3}, ".012"),
    ],
)  # fmt: skip
def test_number(value, options, text):
    assert wording.number(value, **options) == text


def test_difference_has_the_decimals_that_its_interval_is_worth():
    assert wording.difference(0.26, 0.21, 0.31) == ("+.26", "[.21, .31]")
    assert wording.difference(0.0043, 0.0023, 0.0063) == ("+.004", "[.002, .006]")
    assert wording.difference(0.05, 0.0004, 0.0996) == ("+.0500", "[.0004, .0996]")
    assert wording.difference(0.0, 0.0, 0.0) == (".0000", "[.0000, .0000]")
    assert wording.difference(np.nan, np.nan, np.nan) == ("undefined", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(np.nan, "–"), (0.0, "< 0.1 s"), (4.24, "4.2 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (7620, "2 h 07 min")],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


# -- the page ---------------------------------------------------------------------------------------


def test_sections_come_in_order_and_tags_are_closed(page):
    parsed = Page(page)
    assert not parsed.open
    sections_found = [v for tag, k, v in parsed.attributes if tag == "section" and k == "id"]
    assert parsed.tags.count("style") == 1 and "metadata" not in parsed.tags
    assert sections_found == ["curves", "verdicts", "results", "leakage", "costs", "provenance", "reproduce"]
    identifiers = [v for _, k, v in parsed.attributes if k == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_the_verdict_comes_first(page, comparison):
    text = Page(page).texts["header"]
    assert report.headline(comparison) in text
    transferred = comparison.verdicts()["strategy"].isin(SOURCE_SECONDS)
    for word, symbol in wording.SYMBOLS.items():
        count = (comparison.verdicts()[transferred]["verdict"] == word).sum()
        assert f"{symbol} {count} {word}" in text


def test_page_needs_nothing_from_outside(page):
    assert not re.search(r"https?:|@import|\bsrc=|//[a-z]|<script|<link", page)
    references = [v for _, k, v in Page(page).attributes if k in ("href", "xlink:href", "clip-path")]
    targets = {v for _, k, v in Page(page).attributes if k == "id"}
    assert references
    assert {re.search(r"#([^)]+)", r).group(1) for r in references} <= targets
    assert not re.search(r"font-family:(?!\s*inherit)", page)


def test_verdict_cells_say_word_symbol_interval_and_minimum_effect(page, comparison):
    found = comparison.verdicts().set_index(["target", "task", "strategy", "budget"])
    first = found.loc[("tweets", "rating", "fine_tune", 16)]
    helped, _, undecided = panel_row(page, "labels", "fine_tune")
    assert helped == f"+{first['value']:.2f} ▲ [{first['low']:.2f}, {first['high']:.2f}] helped , p < .001".replace(
        "0.", "."
    )
    assert "◯" in undecided and undecided.endswith("undecided , ±.05")
    assert all("▼" in cell and "hurt" in cell for cell in panel_row(page, "labels", "scratch"))
    assert panel_row(page, "labels", "majority") == ["undefined ◯ undecided"] * 3
    assert "majority at 16, 64 and 256 labels: pearson is undefined for seed number" in Page(page).texts["verdicts"]
    assert "Pearson r, 1,260 test rows, 3 seeds" in Page(page).texts["verdicts"]


def test_result_cells_are_means_over_seeds_with_the_best_in_bold(page, comparison):
    results = comparison.results
    chosen = (results["target"] == "tweets") & (results["metric"] == "pearson") & (results["budget"] == 16)
    means = results[chosen].groupby("strategy")["value"].mean()
    tables = [t for t in Page(page).tables if t[1][0].endswith("baseline")]
    cells = {row[0].split()[0]: row[1].split()[0] for row in tables[0][1:]}
    for strategy in STRATEGIES[:-1]:
        assert cells[strategy] == f"{means[strategy]:.2f}".replace("0.", ".", 1)
    assert cells["majority"] == "undefined"
    assert f"<b>{cells[means.idxmax()]}</b>" in page
    assert f"<b>{cells['tfidf']}</b>" not in page


def test_lowest_is_best_for_errors(comparison):
    results = comparison.results.replace({"metric": {"pearson": "mae"}})
    c = dataclasses.replace(comparison, results=results, metrics={"rating": "mae", "polarity": "f1_macro"})
    rating = sections.result_panels(c)[0]
    assert rating.metric == "MAE"
    assert [s for s, cells in rating.rows.items() if cells[0] and cells[0].best] == ["scratch"]


def test_missing_and_undefined_seeds_are_said(comparison):
    results = comparison.results.copy()
    place = (results["target"] == "tweets") & (results["metric"] == "pearson") & (results["strategy"] == "fine_tune")
    results.loc[place & (results["budget"] == 16) & (results["seed"] == 1), "value"] = np.nan
    left_out = (results["budget"] == 64) & (results["seed"] == 1) | (results["budget"] == 256)
    results = results[~(place & left_out)]
    undefined, fewer, none = sections.result_panels(dataclasses.replace(comparison, results=results))[0].rows[
        "fine_tune"
    ]
    assert undefined.mean == "undefined" and undefined.span.endswith("in 2 of 3 seeds") and not undefined.best
    assert fewer.mean.startswith(".") and fewer.span.endswith("in 2 of 3 seeds")
    assert none is None


def test_leakage_cost_provenance_and_reproduction(page, comparison):
    texts = Page(page).texts
    row = next(t for t in Page(page).tables if t[0][0] == "target")[1]
    assert row == ["tweets", "train", "1,260", "5", "2", "7 (0.6%)", "1", "9 of 2,940"]
    assert "near (.87): “what a fine day my friends!”" in texts["leakage"]
    costs = next(t for t in Page(page).tables if t[0] == ["strategy", "source", "target"])
    assert ["multi_task", "1 min 02 s", "4.2 s"] in costs
    assert PROVENANCE["encoder"]["sha256"] in texts["provenance"]
    assert "targets · 0 · tweets · rows 4200" in texts["provenance"]
    assert "tf-transfer compare experiment.yaml" in texts["reproduce"] and "budgets: - 16 - 64" in texts["reproduce"]


def test_provenance_has_single_values_first_and_leaves_the_experiment_to_the_yaml(comparison):
    c = dataclasses.replace(
        comparison, provenance={"packages": {"numpy": "2"}, "python": "3.11", "experiment": {"seeds": 3}}
    )
    assert sections.provenance(c) == {"run": [("python", "3.11")], "packages": [("numpy", "2")]}
    assert sections.experiment_yaml(c) == "seeds: 3\n"


def test_unusable_cells_are_shown_before_the_curves(tmp_path):
    text = report.render(stand_in(unusable=["cell 7 is truncated"]), tmp_path).read_text()
    assert "cell 7 is truncated" in Page(text).texts["unusable"]
    assert text.index("cell 7") < text.index('id="curves"')


HOSTILE = "$\\frac{$\x1b<script>alert(1)</script>&\n\"'猫"


def test_hostile_names_are_text(tmp_path):
    c = stand_in(unusable=[HOSTILE + "half a pair: \ud800"])
    renamed = {"tweets": HOSTILE, "rating": HOSTILE + "task", "fine_tune": HOSTILE + "way"}
    example = LEAKAGE["examples"][0] | {"text": HOSTILE, "test_text": HOSTILE}
    c = dataclasses.replace(
        c,
        name=HOSTILE,
        results=c.results.replace(renamed),
        verdict_table=c.verdict_table.replace(renamed).assign(note=HOSTILE),
        tasks=[Task(HOSTILE.replace("/", "|") + "task", kind="regression"), c.tasks[1]],
        strategies=[renamed.get(s, s) for s in STRATEGIES],
        targets=[HOSTILE, "nyt"],
        source_strategies=[HOSTILE + "way"],
        leakage={HOSTILE: LEAKAGE | {"examples": [example], "tables": {HOSTILE: COUNTS}}},
        provenance={HOSTILE: {HOSTILE: HOSTILE}, "experiment": {"tasks": [{"classes": ["<b>", HOSTILE[:-1]]}]}},
    )
    c.results["task"] = c.results["task"].replace({HOSTILE + "task": c.tasks[0].name})
    c.verdict_table["task"] = c.verdict_table["task"].replace({HOSTILE + "task": c.tasks[0].name})
    c.metrics = {c.tasks[0].name: "pearson", "polarity": "f1_macro"}
    text = report.render(c, tmp_path).read_text(encoding="utf-8")
    parsed = Page(text)
    assert not {"script", "frac"} & set(parsed.tags) and not parsed.open
    for section in ("header", "unusable", "curves", "verdicts", "results", "leakage", "costs", "provenance"):
        assert "<script>alert(1)" in parsed.texts[section], section
    assert "<b>" in parsed.texts["reproduce"]


def test_a_report_of_one_strategy_and_no_cells(tmp_path, comparison):
    empty = dataclasses.replace(
        comparison, results=comparison.results[:0], verdict_table=comparison.verdict_table[:0], leakage={},
        provenance={},
    )  # fmt: skip
    texts = Page(report.render(empty, tmp_path).read_text()).texts
    assert "No strategy with source data" in texts["header"]
    assert "nothing to compare" in texts["verdicts"] and "no results" in texts["results"]


# -- files ------------------------------------------------------------------------------------------


def test_old_report_survives_a_failure(tmp_path, comparison, monkeypatch):
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
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_same_comparison_gives_the_same_bytes(page, comparison, tmp_path):
    assert report.render(comparison, tmp_path).read_text(encoding="utf-8") == page


# -- plots ------------------------------------------------------------------------------------------


def test_learning_curves_draw_means_over_seeds(comparison):
    figure = plots.learning_curves(comparison)
    assert [ax.get_title("left") for ax in figure.axes] == [
        "tweets: rating", "nyt: rating", "tweets: polarity", "nyt: polarity",
    ]  # fmt: skip
    ax, results = figure.axes[0], comparison.results
    chosen = (results["target"] == "tweets") & (results["metric"] == "pearson")
    cells = results[chosen & (results["strategy"] == "target_only")].groupby("budget")["value"]
    line, band = ax.lines[0], ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(line.get_xdata(), [16, 64, 256])
    np.testing.assert_allclose(line.get_ydata(), cells.mean(), atol=1e-12)
    assert {band[:, 1].min(), band[:, 1].max()} == {cells.min().min(), cells.max().max()}
    assert ax.get_xscale() == "log" and figure.axes[1].get_ylim() == ax.get_ylim()


def test_lines_can_be_told_apart_without_colour(comparison):
    ax = plots.learning_curve(comparison, "tweets", "polarity").axes[0]
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert len({(line.get_marker(), line.get_linestyle()) for line in curves}) == len(STRATEGIES)
    assert [t.get_text() for t in sorted(ax.texts, key=lambda t: -t.get_position()[1])][-1] in ("scratch", "majority")
    heights = sorted(t.get_position()[1] for t in ax.texts)
    assert len(heights) == len(STRATEGIES) and np.diff(heights).min() > 0.04
    assert heights[0] >= 0 and heights[-1] <= 1


def test_a_strategy_without_a_value_is_named_but_not_drawn(comparison):
    ax = plots.learning_curve(comparison, "tweets", "rating").axes[0]
    assert "majority: –" in [t.get_text() for t in ax.texts]
    assert len([line for line in ax.lines if len(line.get_xdata()) == 3]) == len(STRATEGIES) - 1


def test_a_mean_with_an_undefined_seed_is_a_gap(comparison):
    results = comparison.results.copy()
    place = (results["strategy"] == "target_only") & (results["budget"] == 64) & (results["seed"] == 0)
    results.loc[place, "value"] = np.nan
    line = plots.learning_curves(dataclasses.replace(comparison, results=results)).axes[0].lines[0]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]


def test_many_targets_one_budget_and_a_notebook(comparison):
    results = comparison.results[comparison.results["budget"] == 16]
    c = dataclasses.replace(comparison, targets=["tweets", "nyt", "a", "b"], budgets=[16], results=results)
    figure = plots.learning_curves(c)
    assert len(figure.axes) == 12 and sum(ax.axison for ax in figure.axes) == 8
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_colours_of_the_plots_and_of_the_page_agree(page):
    light = page.split("prefers-color-scheme")[0]
    for i, colour in enumerate(plots.COLOURS):
        assert f"--line-{i}: {colour};" in light
    assert "var(--line-0)" in page and plots.INK not in page.split("</style>")[1]
