"""Numbers, names and the verdict as a reader sees them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.stand_in_comparison import stand_in, verdict
from tf_transfer import report
from tf_transfer.report import verdict as verdicts
from tf_transfer.report import wording


def only(*rows, **changes):
    """A comparison with just these verdicts."""
    return dataclasses.replace(stand_in(**changes), verdict_table=pd.DataFrame(rows))


def equivalent(*place, value=0.001):
    return verdict(*place, value, half=0.004) | {"verdict": "equivalent"}


# -- the verdict in one sentence ------------------------------------------------------------------


def test_headline_of_one_place_gives_the_difference():
    c = only(
        verdict("tweets", "rating", 16, "multi_task", "pearson", 0.26),
        verdict("tweets", "rating", 64, "multi_task", "pearson", 0.01),
        verdict("tweets", "rating", 16, "scratch", "pearson", -0.5),
    )
    c.tasks = c.tasks[:1]
    assert report.headline(c) == (
        "Source data helped tweets at 16 labels (multi_task +.26 Pearson r [.21, .31]); undecided: "
        "tweets at 64 labels."
    )
    assert verdicts.overall(c) == {"verdict": "helped", "symbol": "▲", "word": "Helped"}


def test_headline_joins_places_and_picks_the_clearest_difference():
    c = only(
        verdict("nyt", "polarity", 16, "fine_tune", "f1_macro", 0.30, half=0.2),
        verdict("nyt", "polarity", 64, "fine_tune", "f1_macro", 0.20, half=0.04),
        verdict("tweets", "rating", 64, "multi_task", "pearson", 0.06),
        verdict("tweets", "rating", 16, "multi_task", "pearson", 0.06),
        verdict("tweets", "rating", 256, "linear_probe", "pearson", -0.0621, half=0.062),
    )
    assert report.headline(c) == (
        "Source data helped tweets and nyt at 16 and 64 labels, most clearly nyt at 64 labels "
        "(fine_tune +.20 macro F1 on polarity [.16, .24]), and hurt tweets at 256 labels "
        "(linear_probe −.0621 Pearson r on rating [−.1241, −.0001])."
    )
    assert verdicts.overall(c) == {"verdict": "helped", "symbol": "▲", "word": "Mostly helped"}


def test_headline_when_it_only_hurt():
    c = only(*(verdict("tweets", "rating", b, "fine_tune", "pearson", -0.2) for b in (16, 64, 256)))
    assert report.headline(c) == (
        "Source data hurt tweets at every label budget, most clearly tweets at 16 labels "
        "(fine_tune −.20 Pearson r on rating [−.25, −.15]), and was not seen to help anywhere."
    )
    assert verdicts.overall(c) == {"verdict": "hurt", "symbol": "▼", "word": "Hurt"}


def test_headline_when_undecided_says_what_could_have_been_told():
    c = only(
        verdict("tweets", "rating", 16, "fine_tune", "pearson", 0.01),
        verdict("nyt", "rating", 16, "fine_tune", "pearson", 0.01, half=0.012),
        verdict("tweets", "rating", 16, "majority", "pearson", -0.5),
    )
    assert report.headline(c) == (
        "Undecided: no strategy differed by more than chance from itself without the source. It "
        "could have shown differences in Pearson r of .012 at best and .05 at worst."
    )
    assert verdicts.overall(c) == {"verdict": "undecided", "symbol": "○", "word": "Undecided"}


def test_an_experiment_that_could_show_nothing_says_so():
    """1.62 in macro F1 is no difference that there can be."""
    row = verdict("tweets", "polarity", 16, "fine_tune", "f1_macro", 0.3, half=0.9) | {
        "minimum_effect": np.inf
    }
    assert report.headline(only(row)) == (
        "Undecided: no strategy differed by more than chance from itself without the source. It "
        "was too small to show any difference in macro F1: use more test rows or seeds."
    )
    found = next(pd.DataFrame([row | {"rows_needed": np.inf, "seeds_needed": np.inf}]).itertuples())
    assert (
        wording.to_settle(found)
        == "no possible difference would have shown: use more test rows or seeds"
    )
    assert [wording.least(x) for x in (np.inf, np.nan, 0.05)] == ["none", "–", "±.05"]


def test_headline_does_not_count_help_for_what_the_baseline_beats():
    beaten = verdict("tweets", "rating", 16, "linear_probe", "pearson", 0.2, behind=True)
    assert report.headline(only(beaten)) == (
        "Source data helped linear_probe alone on tweets at 16 labels, where target_only is better "
        "still."
    )
    hurt = verdict("nyt", "rating", 16, "fine_tune", "pearson", -0.2)
    assert report.headline(only(beaten, hurt)).endswith(
        "; it helped linear_probe alone on tweets at 16 labels, where target_only is better still."
    )
    ahead = verdict("tweets", "rating", 16, "fine_tune", "pearson", 0.3)
    assert report.headline(only(beaten, ahead)).startswith(
        "Source data helped tweets at 16 labels (fine_tune +.30"
    )


def test_headline_tells_no_difference_that_matters_from_undecided():
    same, open_ = (
        equivalent("tweets", "rating", 256, "fine_tune", "pearson"),
        verdict("nyt", "rating", 16, "fine_tune", "pearson", 0.01),
    )
    assert (
        report.headline(only(same))
        == "Source data made no difference that matters on tweets at 256 labels."
    )
    assert verdicts.overall(only(same)) == {
        "verdict": "equivalent",
        "symbol": "≈",
        "word": "No difference that matters",
    }
    assert report.headline(only(same, open_)).endswith(
        "on tweets at 256 labels; undecided: nyt at 16 labels."
    )
    assert verdicts.overall(only(same, open_))["verdict"] == "undecided"
    helped = verdict("nyt", "rating", 64, "fine_tune", "pearson", 0.2)
    assert report.headline(only(same, open_, helped)).endswith(
        "; it made no difference that matters on tweets at 256 labels; undecided: nyt at 16 labels."
    )


def test_both_are_said_unless_one_is_four_times_as_frequent():
    helped = [
        verdict("tweets", "rating", 16, s, "pearson", 0.2)
        for s in ("fine_tune", "multi_task", "linear_probe")
    ]
    hurt = verdict("nyt", "rating", 16, "fine_tune", "pearson", -0.2)
    assert verdicts.overall(only(*helped, hurt)) == {
        "verdict": "mixed",
        "symbol": "▲▼",
        "word": "Helped and hurt",
    }
    more = verdict("tweets", "rating", 64, "fine_tune", "pearson", 0.2)
    assert verdicts.overall(only(*helped, more, hurt))["word"] == "Mostly helped"
    opposite = [verdict("tweets", "rating", b, "fine_tune", "pearson", -0.2) for b in (16, 64, 256)]
    assert verdicts.overall(only(helped[1], hurt, *opposite))["word"] == "Mostly hurt"


def test_headline_without_anything_to_say():
    undefined = verdict("tweets", "rating", 16, "fine_tune", "pearson", np.nan)
    assert report.headline(only(undefined)) == "Undecided: no difference is defined."
    without = only(
        verdict("tweets", "rating", 16, "majority", "pearson", 0.5), source_strategies=[]
    )
    assert report.headline(without) == "No strategy was compared with itself without source data."
    assert verdicts.overall(without)["word"] == "Undecided"


def test_headline_counts_what_it_does_not_name():
    targets = list("abcdef")
    c = only(
        *(verdict(t, "rating", 16, "fine_tune", "pearson", 0.2) for t in targets), targets=targets
    )
    assert "helped a, b, c and d at 16 labels, 2 more targets, most" in report.headline(c)


# -- numbers ---------------------------------------------------------------------------------------


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
    [
        (np.nan, "–"),
        (0.0, "< 0.1 s"),
        (4.24, "4.2 s"),
        (59.4, "59 s"),
        (59.7, "1 min 00 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


def test_interval_of_a_metric():
    assert wording.interval(0.782, 0.741, 0.812) == ".78 [.74, .81]"
    assert wording.interval(0.5, 0.499, 0.501) == ".5000 [.4990, .5010]"
    assert (
        wording.interval(0.5, np.nan, np.nan) == ".50"
        and wording.interval(np.nan, 0, 1) == "undefined"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.nan, "–"),
        (258, "258"),
        (9999, "9,999"),
        (12_345, "12.3 k"),
        (4_386_178, "4.39 M"),
        (3.4e9, "3.4 G"),
    ],
)
def test_quantity(value, text):
    assert wording.quantity(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.5, "+.5"), (-0.025, "−.025"), (20.0, "+20"), (-1.5, "−1.5")]
)
def test_tick(value, text):
    assert wording.tick(value) == text


def test_strategies_without_source_data_or_encoder_are_better_or_worse():
    words = [
        wording.verdict_word(v, transfer) for v in wording.SYMBOLS for transfer in (True, False)
    ]
    assert words == [
        "helped",
        "better",
        "hurt",
        "worse",
        *["no difference that matters"] * 2,
        *["undecided"] * 2,
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"rows_needed": 5400.0, "seeds_needed": 9.0},
            "; 5,400 test rows or 9 seeds would settle it",
        ),
        ({"rows_needed": np.inf, "seeds_needed": 9.0}, "; 9 seeds would settle it"),
        ({"rows_needed": 5400.0, "seeds_needed": np.nan}, "; 5,400 test rows would settle it"),
        (
            {"rows_needed": np.inf, "seeds_needed": np.inf},
            "; neither 100,000 test rows nor 30 seeds would settle it",
        ),
        (
            {"rows_needed": np.inf, "seeds_needed": np.nan},
            "; even 100,000 test rows would not settle it",
        ),
        # as many as there are: the correction took it back
        ({"rows_needed": 1260.0, "seeds_needed": np.nan}, ""),
        ({"rows_needed": np.nan, "seeds_needed": np.nan}, ""),
    ],
)
def test_what_would_settle_an_undecided_difference(changes, text):
    row = pd.DataFrame([verdict("tweets", "rating", 16, "fine_tune", "pearson", 0.01, **changes)])
    assert (
        wording.to_settle(next(row.itertuples())) == f"a difference of ±.05 would have shown{text}"
    )
    for other in ({"verdict": "helped"}, {"minimum_effect": np.nan}):
        assert wording.to_settle(next(row.assign(**other).itertuples())) == ""


def test_counts():
    assert [wording.count(x) for x in (1260.4, np.nan, np.inf)] == ["1,260", "–", "∞"]
