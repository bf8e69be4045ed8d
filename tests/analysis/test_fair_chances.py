"""What the two sides of a verdict did, and answers with classes that the target does not have."""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, probabilities, right_in

Y = np.tile([0, 1], 30)
ONE = {16: [right_in(Y, 0.6), right_in(Y, 0.7)], 64: [right_in(Y, 0.6), None]}
NOTES = {
    "target_only": {
        "settings": {"steps on the target": 100, "heads solved first": True},
        "parameters": 10,
    },
    "fine_tune": {
        "settings": {
            "steps on the source": 40,
            "steps on the target": 60,
            "heads solved first": True,
        },
        "parameters": 10,
        "source_seconds": 30.0,
    },
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    scores = {"target_only": ONE, "fine_tune": ONE}
    table = make_comparison(tmp_path_factory.mktemp("run"), Y, scores, notes=NOTES).sides()
    return table.set_index("what")


def test_each_thing_that_either_side_did_has_a_row(sides):
    assert list(sides.index) == [
        "steps on the source",
        "steps on the target",
        "heads solved first",
        "weights changed on the target",
        "seconds on the target",
        "seconds on the source",
    ]
    assert set(sides["against"]) == {"target_only"} and set(sides["strategy"]) == {"fine_tune"}


def test_what_differs_is_marked(sides):
    assert sides.loc["steps on the target", ["with_source", "without", "differs"]].tolist() == [
        60,
        100,
        True,
    ]
    assert sides.loc["steps on the source", ["with_source", "without", "differs"]].tolist() == [
        40,
        "",
        True,
    ]
    assert (
        not sides.loc["heads solved first", "differs"]
        and not sides.loc["weights changed on the target", "differs"]
    )
    assert (
        sides.loc["seconds on the source", "differs"]
        and not sides.loc["seconds on the target", "differs"]
    )


def test_a_number_that_varies_between_cells_is_a_range(tmp_path):
    comparison = make_comparison(tmp_path, Y, {"target_only": ONE, "fine_tune": ONE})
    notes = [{"settings": {"steps": n}} for n in (112, 100, 100)]
    comparison.notes = lambda strategy: notes
    (row,) = comparison.sides().to_dict("records")
    assert (row["with_source"], row["differs"]) == ("100 to 112", False)


def test_rates_differ_where_they_are_not_the_same(tmp_path):
    rates = {"target_only": 2e-4, "fine_tune": 3e-4}
    notes = {name: {"settings": {"peak rate on the target": rate}} for name, rate in rates.items()}
    sides = make_comparison(
        tmp_path, Y, {"target_only": ONE, "fine_tune": ONE}, notes=notes
    ).sides()
    assert sides.set_index("what").loc["peak rate on the target", "differs"]


@pytest.mark.parametrize(
    ("ours", "differs"), [(1000, False), (1009, False), (1011, True), (989, True)]
)
def test_a_weight_more_or_less_is_no_difference(tmp_path, ours, differs):
    notes = {"target_only": {"parameters": 1000}, "fine_tune": {"parameters": ours}}
    sides = make_comparison(
        tmp_path, Y, {"target_only": ONE, "fine_tune": ONE}, notes=notes
    ).sides()
    row = sides.set_index("what").loc["weights changed on the target"]
    assert (row["with_source"], row["without"], row["differs"]) == (ours, 1000, differs)


def test_answers_with_classes_of_the_source_alone_are_counted(tmp_path):
    """Of two classes the target has the first: every answer with the second is impossible."""
    y = np.zeros(40, int)
    answers = [np.arange(40) < 4, np.arange(40) < 12]
    scores = {
        "target_only": {16: [probabilities(y), probabilities(y)]},
        "fine_tune": {16: [probabilities(a.astype(int)) for a in answers]},
    }
    found = make_comparison(tmp_path, y, scores, classes=np.array([True, False])).foreign_answers()
    table = found.set_index("strategy")
    assert table.loc["fine_tune", ["share", "rows", "likeliest"]].tolist() == [
        pytest.approx(16 / 80),
        40,
        "sad",
    ]
    assert table.loc["target_only", ["share", "likeliest"]].tolist() == [0.0, ""]


def test_where_the_target_has_all_classes_there_is_nothing_to_count(tmp_path):
    scores = {"target_only": ONE, "fine_tune": ONE}
    assert (
        make_comparison(tmp_path, Y, scores, classes=np.array([True, True])).foreign_answers().empty
    )


def test_classes_of_a_multilabel_task_are_read_and_not_counted(tmp_path):
    y = np.ones((20, 3), np.float32)
    options = {"task": "themes", "classes": np.array([True, False, True])}
    comparison = make_comparison(
        tmp_path, y, {"target_only": {16: [y]}, "fine_tune": {16: [y]}}, **options
    )
    assert comparison.targets == ["tweets"] and comparison.foreign_answers().empty
