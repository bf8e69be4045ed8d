"""The plots of a comparison for notebooks: Matplotlib figures, imported when the first is asked
for.
"""

from __future__ import annotations


class ComparisonPlots:
    """The plotting methods of `Comparison`."""

    def plot_learning_curves(self):
        """A matplotlib Figure: the primary metrics against the label budget."""
        from tf_transfer.report.plots import learning_curves

        return learning_curves(self)

    def plot_differences(self):
        """A matplotlib Figure, the forest plot: every verdict's difference with its 95 % interval.

        Raises:
            DataError: there is nothing to compare.
        """
        from tf_transfer.report.detail_plots import forest_plot

        return forest_plot(self)

    def plot_confusion(self, target: str, task: str, strategy: str, budget: int):
        """A matplotlib Figure: the confusion matrix of one strategy, rows summed over seeds.

        Raises:
            DataError: as `Comparison.confusion`.
        """
        from tf_transfer.report.detail_plots import confusion_plot

        return confusion_plot(self, target, task, strategy, budget)

    def plot_reliability(self, target: str, task: str, strategy: str, budget: int):
        """A matplotlib Figure: calibration curves of a strategy and of what it is compared with.

        Raises:
            DataError: as `Comparison.reliability`.
        """
        from tf_transfer.report.detail_plots import reliability_plot

        return reliability_plot(self, target, task, strategy, budget)
