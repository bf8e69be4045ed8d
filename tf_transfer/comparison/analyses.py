"""What `analysis` and the advisor say of a comparison; each is imported when it is first asked
for.
"""

from __future__ import annotations

import pandas as pd


class ComparisonAnalyses:
    """The methods of `Comparison` that look into its rows."""

    def curves(self) -> pd.DataFrame:
        """Learning curves with bands: see `analysis.curves.curves`."""
        from tf_transfer.analysis.curves import curves

        return curves(self)

    def curve_gains(self, **options) -> pd.DataFrame:
        """Area between the curves, and where source data starts to hurt: see
        `analysis.curves.curve_gains`.
        """
        from tf_transfer.analysis.curves import curve_gains

        return curve_gains(self, **options)

    def label_worth(self, **options) -> pd.DataFrame:
        """The worth of transfer in labels: see `analysis.label_worth.label_worth`."""
        from tf_transfer.analysis.label_worth import label_worth

        return label_worth(self, **options)

    def slices(self, **options) -> pd.DataFrame:
        """Where it helped and where it hurt: see `analysis.slices.slices`."""
        from tf_transfer.analysis.slices import slices

        return slices(self, **options)

    def changed_rows(
        self, target: str, task: str, strategy: str, budget: int, most: int = 20
    ) -> pd.DataFrame:
        """The rows that transfer broke and mended: see `analysis.changed_rows.changed_rows`."""
        from tf_transfer.analysis.changed_rows import changed_rows

        return changed_rows(self, target, task, strategy, budget, most)

    def source_gains(self) -> pd.DataFrame:
        """The source that carried the gain: see `analysis.sources.source_gains`."""
        from tf_transfer.analysis.sources import source_gains

        return source_gains(self)

    def best(self) -> pd.DataFrame:
        """The best strategy of each place, and those that cannot be told from it: see
        `analysis.best.best`.
        """
        from tf_transfer.analysis.best import best

        return best(self)

    def sides(self) -> pd.DataFrame:
        """What the two sides of each verdict did: see `analysis.sides.sides`."""
        from tf_transfer.analysis.sides import sides

        return sides(self)

    def encoder_effect(self) -> pd.DataFrame:
        """What training on the sources did to the encoder: see
        `analysis.encoder_effect.encoder_effect`.
        """
        from tf_transfer.analysis.encoder_effect import encoder_effect

        return encoder_effect(self)

    def foreign_answers(self) -> pd.DataFrame:
        """Answers with classes that the target does not have: see
        `analysis.foreign_answers.foreign_answers`.
        """
        from tf_transfer.analysis.foreign_answers import foreign_answers

        return foreign_answers(self)

    def reliability(self, **options) -> pd.DataFrame:
        """Calibration curves: see `analysis.calibration.reliability`."""
        from tf_transfer.analysis.calibration import reliability

        return reliability(self, **options)

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
