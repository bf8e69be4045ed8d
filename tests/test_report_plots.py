"""The figures of a comparison: what is drawn, and that it can be told apart without colour."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from tests.analysis.folders import change_run, noisy, write_run
from tests.stand_in_comparison import STRATEGIES, Whole, stand_in
from tf_transfer import report
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.comparison.plots import ComparisonPlots
from tf_transfer.errors import DataError
from tf_transfer.report import detail_plots, plots, sections


@dataclasses.dataclass
class Plotted(Whole, ComparisonPlots):
    """With the plotting methods of `Comparison`."""


@pytest.fixture(scope="module")
def comparison():
    return stand_in()


@pytest.fixture(scope="module")
def plotted():
    return stand_in(Plotted)


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
    assert [t.get_text() for t in sorted(ax.texts, key=lambda t: -t.get_position()[1])][-1] in (
        "scratch",
        "majority",
    )
    heights = sorted(t.get_position()[1] for t in ax.texts)
    assert len(heights) == len(STRATEGIES) and np.diff(heights).min() > 0.04
    assert heights[0] >= 0 and heights[-1] <= 1


def test_a_strategy_without_a_value_is_named_but_not_drawn(comparison):
    ax = plots.learning_curve(comparison, "tweets", "rating").axes[0]
    assert "majority: –" in [t.get_text() for t in ax.texts]
    assert len([line for line in ax.lines if len(line.get_xdata()) == 3]) == len(STRATEGIES) - 1


def test_a_mean_with_an_undefined_seed_is_a_gap(comparison):
    results = comparison.results.copy()
    place = (
        (results["strategy"] == "target_only") & (results["budget"] == 64) & (results["seed"] == 0)
    )
    results.loc[place, "value"] = np.nan
    line = plots.learning_curves(dataclasses.replace(comparison, results=results)).axes[0].lines[0]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]


def test_many_targets_one_budget_and_a_notebook(comparison):
    results = comparison.results[comparison.results["budget"] == 16]
    c = dataclasses.replace(
        comparison, targets=["tweets", "nyt", "a", "b"], budgets=[16], results=results
    )
    figure = plots.learning_curves(c)
    assert len(figure.axes) == 12 and sum(ax.axison for ax in figure.axes) == 8
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_colours_of_the_plots_and_of_the_page_agree(plotted):
    page = report.to_html(sections.build(plotted))
    light = page.split("prefers-color-scheme")[0]
    for i, colour in enumerate(plots.COLOURS):
        assert f"--line-{i}: {colour};" in light
    assert "var(--line-0)" in page and plots.INK not in page.split("</style>")[1]


def test_bands_are_intervals_where_there_are_any_and_do_not_flatten_the_lines(plotted):
    ax = plots.learning_curve(plotted, "tweets", "rating").axes[0]
    found = plotted.curves().query(
        "target == 'tweets' and task == 'rating' and strategy == 'target_only'"
    )
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(found["high"].max())
    wide = stand_in(Plotted)
    wide.curves = lambda: plotted.curves().assign(low=-9.0, high=9.0)
    assert np.ptp(plots.learning_curve(wide, "tweets", "rating").axes[0].get_ylim()) < 2.5


def test_the_forest_plot_draws_every_difference_where_it_is(plotted):
    figure = plotted.plot_differences()
    assert [ax.get_title("left") for ax in figure.axes] == [
        "tweets: rating",
        "tweets: polarity",
        "nyt: rating",
        "nyt: polarity",
    ]
    ax, found = figure.axes[0], plotted.verdicts()
    found = found[(found["target"] == "tweets") & (found["task"] == "rating")]
    marks = [line for line in ax.lines if line.get_marker() not in ("", "None", None)]
    np.testing.assert_allclose([m.get_xdata()[0] for m in marks], found["value"])
    shapes = dict(zip(("helped", "hurt", "undecided"), "^vo"))
    assert [m.get_marker() for m in marks] == [shapes[v] for v in found["verdict"]]
    assert ax.get_yticklabels()[0].get_text() == "fine_tune, 16"
    assert not [m for ax in figure.axes for m in ax.lines if m.get_marker() in ("<", ">")]
    wide = plotted.verdict_table.assign(high=lambda t: t["high"].where(t.index > 0, 9.0))
    cut = dataclasses.replace(plotted, verdict_table=wide).plot_differences().axes[0].lines
    assert [m.get_ydata()[0] for m in cut if m.get_marker() == ">"] == [0]
    assert [t.get_text() for t in figure.legends[0].texts] == ["helped", "hurt", "undecided"]
    with pytest.raises(DataError, match="needs differences"):
        detail_plots.forest_plot(
            dataclasses.replace(plotted, verdict_table=plotted.verdict_table[:0])
        )


def test_reliability_curves_leave_out_empty_bins(plotted):
    ax = plotted.plot_reliability("tweets", "polarity", "fine_tune", 16).axes[0]
    bins = plotted.reliability(target="tweets", task="polarity", strategy="fine_tune", budget=16)
    (line,) = [c.lines[0] for c in ax.containers if c.get_label() == "fine_tune"]
    np.testing.assert_allclose(
        np.asarray(line.get_xdata(), float), bins.loc[bins["rows"] > 0, "predicted"]
    )
    np.testing.assert_allclose(
        np.asarray(line.get_ydata(), float), bins.loc[bins["rows"] > 0, "observed"]
    )
    assert {c.get_label() for c in ax.containers} == {"target_only", "fine_tune"}
    (bars,) = ax.containers[-1].lines[2]
    ends = np.asarray(bars.get_segments()[0], float)[:, 1]
    np.testing.assert_allclose(ends, [bins["low"][0], bins["high"][0]])


def test_a_confusion_matrix_has_its_numbers_in_its_cells(plotted):
    ax = plotted.plot_confusion("tweets", "polarity", "fine_tune", 16).axes[0]
    assert [t.get_text() for t in ax.texts] == ["310", "90", "55", "805"]
    np.testing.assert_allclose(
        ax.images[0].get_array(), [[310 / 400, 90 / 400], [55 / 860, 805 / 860]]
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["neg", "pos"]


def test_classes_without_a_row_leave_their_line_blank(plotted):
    plotted = dataclasses.replace(plotted)
    plotted.confusion = lambda *place: pd.DataFrame([[0, 0], [3, 1]], ["a", "b"], ["a", "b"])
    shares = (
        plotted.plot_confusion("tweets", "polarity", "fine_tune", 16).axes[0].images[0].get_array()
    )
    np.testing.assert_array_equal(np.ma.filled(shares.astype(float), np.nan)[0], [np.nan, np.nan])


def test_undefined_bands_leave_the_axis_to_the_values(plotted):
    bare = stand_in(Plotted)
    bare.curves = lambda: plotted.curves().assign(low=np.nan, high=np.nan)
    drawn = bare.curves().query("target == 'tweets' and task == 'rating'")["value"].dropna()
    low, high = plots.learning_curve(bare, "tweets", "rating").axes[0].get_ylim()
    assert low < drawn.min() and drawn.max() < high < drawn.max() + np.ptp(drawn)


def test_a_plot_of_no_target_says_why(plotted):
    with pytest.raises(DataError, match=r"see comparison\.unusable"):
        plots.learning_curves(dataclasses.replace(plotted, targets=[]))


@pytest.mark.parametrize("name", ["$x_$", "$^$", "a$b"])
def test_a_dollar_begins_no_formula(tmp_path, name):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 30)
    run = write_run(
        tmp_path,
        y,
        {s: {16: noisy(rng, y, [0.7, 0.8])} for s in ("target_only", name)},
        sources=("target_only",),
    )
    change_run(run, lambda content: content["provenance"]["plan"].update(baseline=name))
    c = Comparison(tmp_path)
    place = ("tweets", "mood", name, 16)
    figures = [
        c.plot_differences(),
        c.plot_learning_curves(),
        c.plot_reliability(*place),
        c.plot_confusion(*place),
    ]
    for figure in figures:
        assert figure._repr_png_()
        assert any(name in text.get_text() for text in figure.findobj(Text))
