"""The correction of a run's verdicts, by hand."""

import dataclasses

import numpy as np
import pytest

from tf_transfer.statistics import power
from tf_transfer.statistics.intervals import Difference, paired_difference
from tf_transfer.statistics.verdicts import COLUMNS, false_discovery_rate, next_level, verdict_table


def row(p, transfer=True, sign=1, note=""):
    """A place and its difference, whose interval excludes 0 where p is below .05."""
    low, high = (0.01, 0.03) if p < 0.05 else (-0.01, 0.03)
    ends = (low, high) if sign > 0 else (-high, -low)
    place = {"target": "t", "task": "a", "budget": 4, "strategy": "s", "transfer": transfer}
    return place, Difference(0.02 * sign, *ends, 0.95, "f1_macro", 100, 3, note, p)


def test_words_of_the_family_go_by_q():
    """Of p .011, .022, .045, .5, .9 Benjamini and Hochberg's q are .055, .055, .075, .625, .9: none
    is below .05 / 1.05, so all may be no effect, and these are q.
    """
    table = verdict_table([row(0.011), row(0.045), row(0.022, sign=-1), row(0.5), row(0.9)])
    np.testing.assert_allclose(table["q"], [0.055, 0.075, 0.055, 0.625, 0.9])
    assert list(table["verdict"]) == ["undecided"] * 5
    assert list(table["note"] != "") == [True, True, True, False, False]
    assert (
        "excludes 0, but among 5 comparisons" in table["note"][1] and "q = 0.07" in table["note"][1]
    )
    assert list(table.columns) == list(COLUMNS)


def test_the_second_stage_corrects_for_those_that_may_be_no_effect():
    """Of p .01, .02, .04, .9 Benjamini and Hochberg's are .04, .04, .0533, .9: two of four are
    left, so q is 1.05 / 2 of them, and not below p.
    """
    table = verdict_table([row(0.01), row(0.04), row(0.02, sign=-1), row(0.9)])
    np.testing.assert_allclose(table["q"], [0.021, 0.04, 0.021, 0.9])
    assert list(table["verdict"]) == ["helped", "helped", "hurt", "undecided"]


def test_other_strategies_and_a_family_of_one_are_left_as_they_are():
    table = verdict_table(
        [row(0.04), row(0.04, transfer=False), row(0.03, transfer=False), row(0.9, transfer=False)]
    )
    assert list(table["q"]) == list(table["p"])
    assert list(table["verdict"]) == ["helped", "helped", "helped", "undecided"]


def test_without_a_correction_words_go_by_the_intervals():
    table = verdict_table([row(0.04), row(0.9), row(0.8)], correction=None)
    assert list(table["verdict"]) == ["helped", "undecided", "undecided"] and list(table["q"]) == [
        0.04,
        0.9,
        0.8,
    ]


def test_undefined_differences_are_no_members_and_notes_are_kept():
    table = verdict_table([row(np.nan), row(0.04, note="one seed"), row(0.9)])
    assert np.isnan(table["q"][0]) and table["q"][1] == pytest.approx(0.08)
    assert table["note"][1].startswith("one seed; the interval excludes 0, but among 2 comparisons")


def test_equivalence_stays():
    place, found = row(0.04)
    equivalent = Difference(
        0.02, 0.01, 0.03, 0.95, "f1_macro", 100, 3, "", 0.04, margin=0.1, equivalent=True
    )
    assert (
        verdict_table([(place, equivalent), (place, found), row(0.9)])["verdict"][0] == "equivalent"
    )


def test_a_true_effect_among_fifty_comparisons_is_found():
    """p is resolved below .05 / 50."""
    table = verdict_table([row(2e-4), *[row(0.5 + i / 100) for i in range(49)]])
    assert table["verdict"][0] == "helped" and (table["verdict"][1:] == "undecided").all()


def test_no_differences_make_an_empty_table():
    assert list(verdict_table([]).columns) == list(COLUMNS)


def test_needs_are_of_the_undecided_alone_also_of_those_taken_back():
    rows = [row(0.001), row(0.045), row(0.6), row(0.9)]
    rows = [
        (place, dataclasses.replace(found, rows_needed=250.0, seeds_needed=4.0))
        for place, found in rows
    ]
    table = verdict_table(rows)
    assert list(table["verdict"]) == ["helped", "undecided", "undecided", "undecided"]
    for column, needed in (("rows_needed", 250), ("seeds_needed", 4)):
        np.testing.assert_array_equal(table[column], [np.nan, needed, needed, needed])


def test_needs_are_those_of_the_level_that_the_family_asks_for():
    """Alone the difference is above its minimum effect, and the rows at hand would settle it. As
    the first verdict of 61 it needs p below .05 / 61.
    """
    rng = np.random.default_rng(1)
    error, shift = rng.gamma(4, 0.5, 300) + 2, rng.normal(0, 0.3, 300)
    shift += 0.053 - shift.mean()
    found = paired_difference("mae", "regression", np.zeros(300), [error - shift], [error])
    assert found.minimum_effect < found.value and found.rows_needed == 300
    others = [row(0.3 + i / 100) for i in range(60)]
    table = verdict_table([(others[0][0], found), *others])
    assert table.loc[0, "verdict"] == "undecided" and table.loc[0, "q"] == pytest.approx(
        61 * found.p
    )
    factors = [power.factor(299, alpha) for alpha in (0.05, 0.05 / 61)]
    effect = found.minimum_effect * factors[1] / factors[0]
    assert (
        table.loc[0, "minimum_effect"] == pytest.approx(effect, rel=1e-3) and effect > found.value
    )
    assert table.loc[0, "rows_needed"] == pytest.approx(300 * (effect / found.value) ** 2, rel=0.02)
    assert (
        verdict_table([(others[0][0], found), *others], correction=None).loc[0, "minimum_effect"]
        < found.value
    )


@pytest.mark.parametrize("others", [[0.001, 0.002, 0.6, 0.9, 0.8], [0.6, 0.9, np.nan], [0.001], []])
def test_below_the_next_level_one_more_is_a_verdict(others):
    level = next_level([*others, 0.3])
    assert level <= 0.05
    assert false_discovery_rate([*others, 0.999 * level])[-1] < 0.05
    if level < 0.05 and 0.001 not in others:
        assert false_discovery_rate([*others, 1.001 * level])[-1] >= 0.05


def test_false_discovery_rate_has_two_stages():
    """Sorted .03, .04, .6, .9: one-stage .08, .08, .8 and .9, none below .05 / 1.05, so that all
    stays. With .001 and .002 before them, .006, .006, .06, .06, .72 and .9: four of six are left,
    which makes 1.05 * 4 / 6 of them.
    """
    got = false_discovery_rate([0.6, np.nan, 0.03, 0.9, 0.04])
    np.testing.assert_allclose(got, [0.8, np.nan, 0.08, 0.9, 0.08])
    got = false_discovery_rate([0.6, 0.001, 0.03, 0.9, 0.002, 0.04])
    np.testing.assert_allclose(got, [0.6, 0.0042, 0.042, 0.9, 0.0042, 0.042])
    assert np.isnan(false_discovery_rate([np.nan])).all() and len(false_discovery_rate([])) == 0
    assert false_discovery_rate([0.049])[0] == 0.049
