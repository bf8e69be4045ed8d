"""What `analysis` and the advisor say of a comparison."""

from __future__ import annotations

from tf_transfer.analysis.best import best
from tf_transfer.analysis.calibration import reliability
from tf_transfer.analysis.changed_rows import changed_rows
from tf_transfer.analysis.confusion import confusion
from tf_transfer.analysis.costs import costs
from tf_transfer.analysis.curves import curve_gains, curves
from tf_transfer.analysis.encoder_effect import encoder_effect
from tf_transfer.analysis.foreign_answers import foreign_answers
from tf_transfer.analysis.label_worth import label_worth
from tf_transfer.analysis.sides import sides
from tf_transfer.analysis.slices import slices
from tf_transfer.analysis.sources import source_gains


class ComparisonAnalyses:
    """The methods of `Comparison` that look into its rows: functions of `analysis`, whose first
    argument is the comparison.
    """

    best = best
    changed_rows = changed_rows
    confusion = confusion
    costs = property(costs)
    curve_gains = curve_gains
    curves = curves
    encoder_effect = encoder_effect
    foreign_answers = foreign_answers
    label_worth = label_worth
    reliability = reliability
    sides = sides
    slices = slices
    source_gains = source_gains

    @property
    def advice(self):
        """The `Advice` that was kept in the run's folder before training (``compare --advise``), or
        None.

        Raises:
            CheckpointError: it cannot be read.
        """
        if not self.run.advice_path.is_file():
            return None
        from tf_transfer.advisor.advice import load_advice

        return load_advice(self.run.advice_path)
