"""The plots of a search stay readable when a trial has gone astray."""

import types

import pandas as pd
import pytest

from tf_transfer.tuning.plots import plot_arguments, plot_trials


@pytest.fixture
def astray():
    """From the sign, trials of which one scored far worse than the others."""

    def make(sign: int):
        scores = [0.5 - sign * miss for miss in (0.02, 0.0, 0.01, 40.0, 0.03)]
        table = pd.DataFrame(
            {
                "trial": range(5),
                "status": "completed",
                "strategy": "fine_tune",
                "score": scores,
                "low": scores,
                "high": scores,
                "expected": scores,
                "epochs": [1, 2, 1, 3, 3],
            }
        )
        best = types.SimpleNamespace(trial=1)
        return types.SimpleNamespace(
            trials=table,
            sign=sign,
            objective="stars/mae",
            best_trial=best,
            arguments=lambda label: ["epochs"],
        )

    return make


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("plot", [plot_trials, lambda result: plot_arguments(result, "fine_tune")])
def test_a_trial_gone_astray_does_not_flatten_the_others(astray, sign, plot):
    low, high = plot(astray(sign)).axes[0].get_ylim()
    others = [0.5 - sign * 0.03, 0.5]
    assert low < min(others) and max(others) < high and high - low < 0.2


@pytest.mark.parametrize("plot", [plot_trials, lambda result: plot_arguments(result, "$x_$")])
def test_a_dollar_begins_no_formula(astray, plot):
    result = astray(1)
    result.trials["strategy"] = "$x_$"
    result.trials["loss_weight.$y_$"] = ["$a_$", "b", "b", "b", "b"]
    result.arguments, result.objective = lambda label: ["loss_weight.$y_$"], "$z_$/mae"
    assert plot(result)._repr_png_()
