"""What a run folder records of its experiment: what cells must share, what was planned, and with
which versions.
"""

from __future__ import annotations

import platform
import time
from importlib import metadata

from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.prepared import Prepared, plain_task


def identities(experiment: Experiment) -> dict:
    """``{label: arguments}`` of all that is trained, variants with the source that they leave
    out.
    """
    plain = {label: [s.name, s.identity()] for label, (s, _) in experiment.trained.items()}
    for label, (_, source) in experiment.variants.items():
        if label in plain:
            plain[label].append({"without": source})
    return plain


def options(experiment: Experiment) -> dict:
    """What results depend on beside tables, tasks, weights and strategies."""
    encoder = experiment.encoder.model_dump(exclude={"name", "revision"})
    return {f"encoder.{k}": v for k, v in encoder.items()} | experiment.model_dump(
        include={"text", "text_pair"}
    )


def provenance(experiment: Experiment, data: Prepared, encoder_hash: str) -> dict:
    """What a reader of the run folder must know: plan, experiment, versions, rows and hashes of the
    data.
    """
    packages = (
        *("tf-transfer", "tensorflow", "tf-keras", "transformers", "tokenizers"),
        *("numpy", "scipy", "pandas", "scikit-learn"),
    )
    lineup = experiment.lineup
    plan = {
        "name": experiment.name,
        "baseline": experiment.twins.get(lineup.reference, lineup.reference),
        "strategies": list(experiment.compared),
        "controls": experiment.controls,
        "source_strategies": [label for label in lineup.judged if label in experiment.controls],
        "twins": experiment.twins,
        "variants": experiment.variants,
        "targets": list(experiment.targets),
        "budgets": experiment.budgets,
        "seeds": experiment.seeds,
        "tasks": [plain_task(t) for t in data.tasks],
        "slices": {
            n: [c for c in experiment.slices if c in t.test] for n, t in data.targets.items()
        },
        "metrics": {t.name: experiment.primary_metric(t) for t in data.tasks},
    }
    rows = {f"source {n}": len(t) for n, t in data.sources.items()}
    for name, target in data.targets.items():
        rows |= {
            f"target {name} (train)": len(target.train),
            f"target {name} (test)": len(target.test),
        }
    return {
        "plan": plan,
        "experiment": experiment.to_plain(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in packages},
        "encoder": {
            "name": experiment.encoder.name,
            "sha256 of weights, configuration and tokenizer": encoder_hash,
        },
        "rows": rows,
        "sha256": {k: data.common[k] for k in rows},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
