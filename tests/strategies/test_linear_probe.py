"""The solved heads against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, LeaveOneOut, cross_val_predict

from tests import tiny
from tf_transfer.model import TransferModel
from tf_transfer.strategies import LinearProbe, linear_probe
from tf_transfer.strategies.linear_probe import PENALTIES, logistic, ridge, solve_heads
from tf_transfer.tasks import Task

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(60, 5)) * [1, 2, 0.5, 3, 1] + 4
TRUE = DRAWS.normal(size=(5, 3))
CLASSES = (X @ TRUE + DRAWS.gumbel(size=(60, 3)) * 3).argmax(1)
ONE_HOT = np.eye(3)[CLASSES]
ONES, ZEROS = np.ones(60), np.zeros((60, 3))
SPREAD = np.square(X - X.mean(0)).sum(1).mean()


def test_ridge_has_the_penalty_of_least_leave_one_out_error():
    y = X @ TRUE[:, 0] + DRAWS.normal(size=60) * 4
    alphas = np.array(PENALTIES) * SPREAD
    errors = [np.mean((cross_val_predict(Ridge(a), X, y, cv=LeaveOneOut()) - y) ** 2) for a in alphas]
    best = Ridge(alphas[int(np.argmin(errors))]).fit(X, y)
    kernel, bias = ridge(X, y)
    np.testing.assert_allclose(kernel, best.coef_, rtol=1e-6)
    assert bias == pytest.approx(best.intercept_)
    assert 0 < np.argmin(errors) < len(alphas) - 1


def test_ridge_of_one_row_is_its_label():
    kernel, bias = ridge(X[:1], np.array([2.5]))
    assert not kernel.any() and bias == 2.5


@pytest.fixture
def one_penalty(monkeypatch):
    monkeypatch.setattr(linear_probe, "PENALTIES", (2.0 / SPREAD,))
    return LogisticRegression(C=1 / 2.0, max_iter=10_000, tol=1e-8)


def assert_solved(found, coefficients, intercepts):
    change, shift = found
    np.testing.assert_allclose(change, coefficients, rtol=0.01, atol=2e-3)
    # Softmax logits are free up to a constant; a centred view takes it away.
    logits = X @ change + shift
    expected = X @ coefficients + intercepts
    if change.shape[1] > 2:
        logits, expected = (v - v.mean(1, keepdims=True) for v in (logits, expected))
    np.testing.assert_allclose(logits, expected, atol=0.02)


@pytest.mark.parametrize("weighted", [False, True])
def test_classification_is_scikit_learns_logistic_regression(one_penalty, weighted):
    weights = 1.0 + 2 * (CLASSES == 1) if weighted else ONES
    oracle = one_penalty.fit(X, CLASSES, sample_weight=weights)
    found = logistic(X, ONE_HOT, ZEROS, weights, exclusive=True)
    assert_solved(found, oracle.coef_.T, oracle.intercept_)


def test_multilabel_is_one_logistic_regression_a_label(one_penalty):
    targets = (X @ TRUE[:, :2] + DRAWS.logistic(size=(60, 2)) * 3 > (X @ TRUE[:, :2]).mean(0)).astype(float)
    oracles = [LogisticRegression(C=1 / 2.0, max_iter=10_000, tol=1e-8).fit(X, t) for t in targets.T]
    found = logistic(X, targets, ZEROS[:, :2], ONES, exclusive=False)
    assert_solved(found, np.hstack([o.coef_.T for o in oracles]), np.hstack([o.intercept_ for o in oracles]))


def test_the_penalty_of_a_classification_has_the_least_cross_validated_loss(monkeypatch):
    order = np.random.default_rng(0).permutation(60)
    x, y = (X - X.mean(0))[order], CLASSES[order]
    losses = []
    for penalty in PENALTIES[::2]:
        oracle, loss = LogisticRegression(C=1 / (penalty * SPREAD), max_iter=10_000), 0.0
        for learn, check in KFold(5).split(x):
            scores = oracle.fit(x[learn], y[learn]).predict_proba(x[check])
            loss += len(check) * log_loss(y[check], scores, labels=[0, 1, 2])
        losses.append(loss)
    chosen, solve = [], linear_probe._solve

    def spy(x, targets, start, weights, penalty, exclusive):
        chosen.append(penalty)
        return solve(x, targets, start, weights, penalty, exclusive)

    monkeypatch.setattr(linear_probe, "_solve", spy)
    logistic(X, ONE_HOT, ZEROS, ONES, exclusive=True)
    assert chosen[-1] == pytest.approx(PENALTIES[::2][int(np.argmin(losses))] * SPREAD)
    assert len(chosen) == 5 * len(PENALTIES[::2]) + 1


@pytest.mark.parametrize(("classes", "solved"), [([0, 1, 2, 3], 1), ([0, 1, 2, 2], 4 * len(PENALTIES[::2]) + 1)])
def test_with_a_row_a_class_nothing_is_left_out_to_be_found(monkeypatch, classes, solved):
    chosen, solve = [], linear_probe._solve
    monkeypatch.setattr(linear_probe, "_solve", lambda *args: chosen.append(args[4]) or solve(*args))
    x = X[:4]
    logistic(x, np.eye(4)[classes], np.zeros((4, 4)), np.ones(4), exclusive=True)
    spread = np.square(x - x.mean(0)).sum(1).mean()
    assert len(chosen) == solved and (solved > 1 or chosen == [pytest.approx(PENALTIES[8] * spread)])


def test_the_penalty_pulls_towards_the_start(monkeypatch):
    start = X @ TRUE
    monkeypatch.setattr(linear_probe, "PENALTIES", (1e9,))
    change, _ = logistic(X, ONE_HOT, start, ONES, exclusive=True)
    assert np.abs(change).max() < 1e-6
    monkeypatch.setattr(linear_probe, "PENALTIES", (1e-9,))
    free, shift = logistic(X, ONE_HOT, start, ONES, exclusive=True)
    other, other_shift = logistic(X, ONE_HOT, ZEROS, ONES, exclusive=True)
    logits, expected = start + X @ free + shift, X @ other + other_shift
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=0.05
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("exclusive", [True, False])
def test_few_rows_of_one_class_stay_finite(rows, exclusive):
    targets = np.tile([1.0, 0.0], (rows, 1))
    change, shift = logistic(X[:rows], targets, ZEROS[:rows, :2], ONES[:rows], exclusive=exclusive)
    assert np.isfinite(change).all() and np.abs(shift).max() < 100
    scores = X[:rows] @ change + shift
    assert (scores[:, 0] > scores[:, 1]).all()


# -- on a model -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    model = tiny.make_model()
    model.first = tiny.snapshot(model)
    return model


@pytest.mark.parametrize("offset", [0.0, 1e8, 1.6e9])  # 1.6e9: seconds since 1970, which float32 tells to two minutes
def test_a_regression_head_is_ridge_on_the_features_in_the_labels_unit(model, offset):
    tiny.restore(model, model.first)
    model.heads["stars"].kernel.assign(np.zeros((16, 1)))
    table = tiny.make_table(40, seed=1)
    table["stars"] += offset
    table.loc[:4, "stars"] = None
    solve_heads(model, table)
    known = table["stars"].notna().to_numpy()
    x, y = model.encode(table, verbose=0).astype(float), table["stars"][known].to_numpy()
    centred = x - x[known].mean(0)
    alphas = np.array(PENALTIES) * np.square(centred[known]).sum(1).mean()
    expected = RidgeCV(alphas=alphas).fit(x[known], y - offset).predict(x)
    np.testing.assert_allclose(model.predict(table, verbose=0)["stars"].scores - offset, expected, atol=1e-3)


def test_source_heads_are_kept_where_the_target_says_nothing(model):
    """Heads of tasks without labels stay to the bit; the others are the start plus the solved change."""
    tiny.restore(model, model.first)
    fitted = LinearProbe().fit(model, tiny.make_table(40, seed=1))
    adapted = LinearProbe().adapt(fitted, tiny.make_table(8, seed=2).drop(columns=["mood", "themes"]))
    for name in ("mood", "themes"):
        assert tiny.same(
            [v.numpy() for v in fitted.heads[name].weights], [v.numpy() for v in adapted.heads[name].weights]
        )
    table = tiny.make_table(8, seed=2)
    x = model.encode(table, verbose=0).astype(float)
    head = fitted.heads["stars"]
    mean, deviation, _ = head.scale.numpy().astype(float)
    start = x @ head.kernel.numpy().astype(float)[:, 0] + float(head.bias[0])
    kernel, bias = ridge(x, (table["stars"].to_numpy() - mean) / deviation - start)
    expected = (start + x @ kernel + bias) * deviation + mean
    np.testing.assert_allclose(adapted.predict(table, verbose=0)["stars"].scores, expected, rtol=1e-3, atol=1e-3)


def test_a_source_may_lack_the_column_of_second_texts(model):
    table = tiny.make_table(8, seed=3)
    paired = TransferModel(model.encoder.copy(), tiny.TASKS, text_pair="more", max_length=16)
    fitted = LinearProbe().fit(paired, {"pairs": table.assign(more=table["text"]), "single": table})
    assert np.isfinite(fitted.heads["stars"].kernel.numpy()).all()


def test_the_encoder_stays_and_features_are_computed_once(model, monkeypatch):
    tiny.restore(model, model.first)
    calls, compute = [], model._vectoriser._compute
    monkeypatch.setattr(model._vectoriser, "_compute", lambda *a: calls.append(1) or compute(*a))
    source, other, support = (tiny.make_table(rows, seed=rows) for rows in (150, 160, 6))
    probe = LinearProbe()
    probe.fit(model, {"source": source, "other": other})
    assert len(calls) == 2
    adapted = probe.adapt(probe.fit(model, source), support)
    monkeypatch.setattr(adapted._vectoriser, "_compute", lambda *a: pytest.fail("the source was kept"))
    adapted.predict(source, verbose=0)
    assert len(calls) == 2
    encoder = len(model.encoder.state)
    assert tiny.same(tiny.snapshot(adapted)[:encoder], model.first[:encoder])


def test_a_loss_weight_of_0_leaves_the_head():
    tasks = [Task("mood", kind="classification", classes=tiny.MOODS), Task("stars", kind="regression", loss_weight=0)]
    model = tiny.make_model(tasks)
    before = {n: [v.numpy() for v in h.weights] for n, h in model.heads.items()}
    LinearProbe().fit(model, tiny.make_table(10))
    assert tiny.same(before["stars"], [v.numpy() for v in model.heads["stars"].weights])
    assert not tiny.same(before["mood"], [v.numpy() for v in model.heads["mood"].weights])


def test_the_random_weights_of_a_fresh_head_leave_no_trace(model):
    """With 3 labels the penalty is large: an anchor in random weights would be all that is left."""
    support, found = tiny.make_table(3, seed=5), []
    for seed in (1, 2):
        tiny.restore(model, model.first)
        model.restart(seed)
        adapted = LinearProbe(uses_source=False).adapt(model, support)
        found.append([v.numpy() for head in adapted.heads.values() for v in head.trainable_variables])
    assert tiny.same(*found)


def test_a_source_head_is_the_anchor_of_the_target(model):
    tiny.restore(model, model.first)
    model.heads["stars"].kernel.assign(np.full((16, 1), 0.5))
    support = tiny.make_table(8, seed=5)
    found = {}
    for anchored in (True, False):
        copy = model.copy()
        solve_heads(copy, support, anchored=anchored)
        found[anchored] = copy.heads["stars"].kernel.numpy()
    assert np.abs(found[True] - 0.5).mean() < np.abs(found[False] - 0.5).mean()
