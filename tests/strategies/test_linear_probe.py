"""The solved heads on a model: what they are anchored in, and what they are solved on."""

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.errors import PenaltyWarning, TrainingError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import LinearProbe
from tf_transfer.strategies.linear_models import fit_ridge
from tf_transfer.strategies.solve_heads import solve_heads

pytestmark = pytest.mark.filterwarnings("ignore::tf_transfer.errors.PenaltyWarning")


@pytest.fixture(scope="module")
def model():
    model = tiny.make_model()
    model.first = tiny.snapshot(model)
    return model


# 1.6e9: seconds since 1970, which float32 tells to two minutes
@pytest.mark.parametrize("offset", [0.0, 1e8, 1.6e9])
def test_a_regression_head_is_ridge_on_the_features_in_the_labels_unit(model, offset):
    tiny.restore(model, model.first)
    model.heads["stars"].kernel.assign(np.zeros((16, 1)))
    table = tiny.make_table(40, seed=1)
    table["stars"] += offset
    table.loc[:4, "stars"] = None
    solve_heads(model, table)
    known = table["stars"].notna().to_numpy()
    x, y = model.encode(table, verbose=0).astype(float), table["stars"][known].to_numpy() - offset
    solved = fit_ridge(x[known], (y - y.mean()) / y.std())
    expected = (x @ solved.kernel[:, 0] + solved.bias) * y.std() + y.mean()
    np.testing.assert_allclose(
        model.predict(table, verbose=0)["stars"].scores - offset, expected, rtol=1e-3, atol=1e-3
    )


def test_source_heads_are_kept_where_the_target_says_nothing(model):
    """Heads of tasks without labels stay to the bit; the others are the start plus the solved
    change.
    """
    tiny.restore(model, model.first)
    fitted = LinearProbe().fit(model, tiny.make_table(40, seed=1))
    adapted = LinearProbe().adapt(
        fitted, tiny.make_table(8, seed=2).drop(columns=["mood", "themes"])
    )
    for name in ("mood", "themes"):
        assert tiny.same(
            [v.numpy() for v in fitted.model.heads[name].weights],
            [v.numpy() for v in adapted.heads[name].weights],
        )
    table = tiny.make_table(8, seed=2)
    x = model.encode(table, verbose=0).astype(float)
    head = fitted.model.heads["stars"]
    mean, deviation, _ = head.scale.numpy().astype(float)
    start = x @ head.kernel.numpy().astype(float)[:, 0] + float(head.bias[0])
    standard = (table["stars"].to_numpy() - mean) / deviation
    solved = fit_ridge(x, standard - start)
    expected = (start + x @ solved.kernel[:, 0] + solved.bias) * deviation + mean
    np.testing.assert_allclose(
        adapted.predict(table, verbose=0)["stars"].scores, expected, rtol=1e-3, atol=1e-3
    )


def test_a_source_may_lack_the_column_of_second_texts(model):
    table = tiny.make_table(8, seed=3)
    paired = TransferModel(model.encoder.copy(), tiny.TASKS, text_pair="more", max_length=16)
    fitted = LinearProbe().fit(paired, {"pairs": table.assign(more=table["text"]), "single": table})
    assert np.isfinite(fitted.model.heads["stars"].kernel.numpy()).all()


def test_the_encoder_stays_and_features_are_computed_once(model, monkeypatch):
    tiny.restore(model, model.first)
    calls, compute = [], model._vectoriser._compute
    monkeypatch.setattr(model._vectoriser, "_compute", lambda *a: calls.append(1) or compute(*a))
    source, other, support = (tiny.make_table(rows, seed=rows) for rows in (150, 160, 6))
    probe = LinearProbe()
    probe.fit(model, {"source": source, "other": other})
    assert len(calls) == 2
    adapted = probe.adapt(probe.fit(model, source), support)
    monkeypatch.setattr(
        adapted._vectoriser, "_compute", lambda *a: pytest.fail("the source was kept")
    )
    adapted.predict(source, verbose=0)
    assert len(calls) == 2
    encoder = len(model.encoder.state)
    assert tiny.same(tiny.snapshot(adapted)[:encoder], model.first[:encoder])


def test_a_loss_weight_of_0_leaves_the_head():
    tasks = [
        Task("mood", kind="classification", classes=tiny.MOODS),
        Task("stars", kind="regression", loss_weight=0),
    ]
    model = tiny.make_model(tasks)
    before = {n: [v.numpy() for v in h.weights] for n, h in model.heads.items()}
    LinearProbe().fit(model, tiny.make_table(10))
    assert tiny.same(before["stars"], [v.numpy() for v in model.heads["stars"].weights])
    assert not tiny.same(before["mood"], [v.numpy() for v in model.heads["mood"].weights])


@pytest.mark.parametrize("probe", [LinearProbe(), LinearProbe(uses_source=False)])
def test_the_random_weights_of_a_fresh_head_leave_no_trace(model, probe):
    """Also in a probe that has not seen its source: nothing has taught the head."""
    support, heads = tiny.make_table(3, seed=5), []
    for seed in (1, 2):
        tiny.restore(model, model.first)
        model.restart(seed)
        adapted = probe.adapt(model, support)
        heads.append(
            [v.numpy() for head in adapted.heads.values() for v in head.trainable_variables]
        )
    assert tiny.same(*heads)


def test_a_class_that_the_source_lacks_has_no_anchor():
    """Its random weights are not in the solution; those of the taught classes are where it
    starts.
    """
    task = Task("mood", kind="classification", classes=(*tiny.MOODS, "new"))
    model, support = tiny.make_model([task]), tiny.make_table(24, seed=5)
    model.encoder.trainable = False
    support["mood"] = support["mood"].replace("glad", "new")
    first, heads = tiny.snapshot(model), []
    for seed in (1, 2):
        tiny.restore(model, first)
        model.restart(seed)
        fitted = LinearProbe().fit(model, tiny.make_table(40, seed=1))
        assert fitted.model.heads["mood"].taught.numpy().tolist() == [1] * len(tiny.MOODS) + [0]
        adapted = LinearProbe().adapt(fitted, support)
        heads.append([v.numpy() for v in adapted.heads["mood"].trainable_variables])
    assert tiny.same(*heads)
    assert adapted.heads["mood"].taught.numpy().all()


TAUGHT = np.random.default_rng(8).normal(size=(16, 1))


def make_taught(model):
    """The model with a head for stars that is as if a source had taught it."""
    tiny.restore(model, model.first)
    model.heads["stars"].kernel.assign(TAUGHT)
    model.heads["stars"].note_labels(np.array([1.0, 5.0]))


def test_a_source_head_is_the_anchor_where_it_knows_the_labels(model):
    make_taught(model)
    support = tiny.make_table(8, seed=5)
    support["stars"] = model.predict(support, verbose=0)["stars"].scores + [0.01, -0.01] * 4
    kernels = {}
    for anchored in (True, False):
        copy = model.copy()
        solve_heads(copy, support, anchored=anchored)
        kernels[anchored] = copy.heads["stars"].kernel.numpy()
    assert np.abs(kernels[True] - TAUGHT).max() < 0.05
    assert np.abs(kernels[False] - TAUGHT).max() > 0.5


def test_a_source_head_that_is_wrong_is_overcome(model):
    """Labels of the opposite sign, and enough of them."""
    make_taught(model)
    support = tiny.make_table(24, seed=5)
    support["stars"] = -model.predict(support, verbose=0)["stars"].scores
    copy = model.copy()
    solve_heads(copy, support, tasks=model.tasks, anchored=True)
    found = copy.predict(support, verbose=0)["stars"].scores
    assert np.corrcoef(found, support["stars"])[0, 1] > 0.95


def test_a_source_that_is_always_the_same_changes_nothing(model):
    """Its vectors are all equal: its head has no weights to be drawn to."""
    tiny.restore(model, model.first)
    same = pd.DataFrame(
        {
            "text": ["warm rain"] * 9,
            "mood": ["glad"] * 9,
            "stars": [3.0] * 9,
            "themes": [["water"]] * 9,
        }
    )
    support, test = tiny.make_table(12, seed=5), tiny.make_table(9, seed=6)
    alone = LinearProbe(uses_source=False).adapt(model, support).predict(test, verbose=0)
    fitted = LinearProbe().fit(model, same)
    assert np.abs(fitted.model.heads["mood"].kernel.numpy()).max() < 1e-6
    beside = LinearProbe().adapt(fitted, support).predict(test, verbose=0)
    np.testing.assert_allclose(beside["mood"].scores, alone["mood"].scores, atol=1e-3)


MOODS = Task(
    "mood", kind="classification", classes=("calm", "glad", "sad", "bored", "cross", "proud")
)


@pytest.fixture(scope="module")
def tempered():
    """A model of six moods."""
    return tiny.make_model([MOODS])


def moods(names: list[str], seed: int) -> pd.DataFrame:
    table = tiny.make_table(2 * len(names), seed)[["text"]]
    return table.assign(mood=pd.Series(names * 2, dtype=object))


@pytest.mark.parametrize(
    ("own", "known", "kept"),
    [
        (["sad", "bored"], 0.0, False),
        (["sad", "bored", "cross", "calm"], 0.25, False),
        (["sad", "calm"], 0.5, True),
        (["calm"], 1.0, True),
    ],
)
def test_a_source_with_other_classes_is_no_anchor_for_those_that_the_target_lacks(
    tempered, own, known, kept
):
    """They were answered nearly always: what the target has labels of had nothing but its few rows
    to say.
    """
    support = moods(own * 2, seed=5)
    assert support["mood"].isin(["calm", "glad", "proud"]).mean() == known
    head = tempered.heads["mood"]
    head.kernel.assign(np.repeat(TAUGHT, 6, axis=1))
    head.taught.assign([1.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    kernels = {}
    for anchored in (True, False):
        copy = tempered.copy()
        solve_heads(copy, support, anchored=anchored)
        kernels[anchored] = copy.heads["mood"].kernel.numpy()
    glad = kernels[True][:, 1]
    assert (np.corrcoef(glad, TAUGHT[:, 0])[0, 1] > 0.9) == kept
    assert np.array_equal(kernels[True], kernels[False]) == (known == 0)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_labels_of_any_size_are_solved(scale):
    model = tiny.make_model([Task("stars", kind="regression")])
    first, table = tiny.snapshot(model), tiny.make_table(24, seed=1)
    expected = LinearProbe().adapt(model, table).predict(table, verbose=0)["stars"].scores
    tiny.restore(model, first)
    scaled = (
        LinearProbe()
        .adapt(model, table.assign(stars=table["stars"] * scale))
        .predict(table, verbose=0)
    )
    np.testing.assert_allclose(scaled["stars"].scores / scale, expected, rtol=1e-3)


def test_vectors_that_are_no_numbers_are_refused(model):
    tiny.restore(model, model.first)
    model.encoder.state[0].assign(np.full(model.encoder.state[0].shape, np.nan))
    with pytest.raises(
        TrainingError,
        match=r"vectors must be finite numbers.\nReceived nan in row 0 \(9 such rows\)",
    ):
        LinearProbe(uses_source=False).adapt(model, tiny.make_table(9))
    tiny.restore(model, model.first)


def test_a_choice_at_the_end_of_the_penalties_is_said(model):
    tiny.restore(model, model.first)
    support = tiny.make_table(12, seed=5)
    support["mood"] = np.random.default_rng(0).permutation(support["mood"])
    with pytest.warns(PenaltyWarning, match="is the greatest of those tried: a greater one might"):
        solved = LinearProbe(uses_source=False)
        solved.adapt(model, support)


def test_a_head_of_a_few_rows_that_may_be_chance_is_nothing_to_draw_another_one_to(model):
    """Two or three lucky folds are no knowledge."""
    tiny.restore(model, model.first)
    few, many = (tiny.make_table(rows, seed=9)[["text", "mood"]] for rows in (6, 60))
    taught = {}
    for rows, table in (("few", few), ("many", many)):
        copy = model.copy()
        skill = solve_heads(copy, table, tasks=model.tasks[:1])["mood"].skill
        taught[rows] = skill, copy.heads["mood"].taught.numpy().any()
    assert 0 < taught["few"][0] < 6 < taught["many"][0]
    assert [known for _, known in taught.values()] == [False, True]
