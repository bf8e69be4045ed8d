"""Measure and improve the transfer learning of pretrained language models with TensorFlow and
Keras.

Names are imported when they are first used, so that ``import tf_transfer`` does not wait for
TensorFlow.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "advisor.advice": ("Advice",),
    "advisor.advise": ("advise",),
    "assets.fetching": ("fetch",),
    "batches.rows": ("to_dataset",),
    "training.callbacks.resume": ("Resume",),
    "training.callbacks.suite": ("EvaluateSuite",),
    "devices.distribution": ("connect",),
    "episodes.class_splits": ("check_class_disjoint", "split_classes"),
    "data.cleaning": ("clean_text",),
    "comparison.compare": ("compare",),
    "comparison.comparison": ("Comparison",),
    "encoders.encoder": ("Encoder",),
    "encoders.freezing": ("freeze",),
    "encoders.loading": ("load_encoder",),
    "evaluation.episodes": ("EpisodeComparison", "evaluate_episodes"),
    "evaluation.fitted": ("Fitted",),
    "episodes.files": ("freeze_episodes", "load_episodes"),
    "episodes.episode": ("Episode",),
    "episodes.sampler": ("EpisodeSampler",),
    "errors": (
        "AssetError",
        "CheckpointError",
        "DataError",
        "DistributionError",
        "LabelWarning",
        "PenaltyWarning",
        "TrainingError",
        "TransferError",
        "VersionError",
    ),
    "scikit_learn.estimators": ("TransferClassifier", "TransferRegressor", "TransferTagger"),
    "evaluation.scores": ("Evaluation", "evaluate"),
    "experiments.experiment": ("Experiment", "load_experiment"),
    "meta_gradients.functional": ("fast_weights",),
    "meta_gradients.gradient_check": ("gradcheck",),
    "data.leakage": ("audit_leakage",),
    "data.leakage_report": ("LeakageReport",),
    "model.model": ("TransferModel", "load_model"),
    "model.served": ("decode_served",),
    "statistics.paired_tests": ("mcnemar", "row_tests", "sign_flip_p"),
    "evaluation.predictions": ("Prediction", "Predictions"),
    "data.readers": ("read_dataset",),
    "statistics.intervals": ("bootstrap_interval", "paired_difference", "verdict"),
    "strategies": (
        "ANIL",
        "MAML",
        "FineTune",
        "Lexicon",
        "LinearProbe",
        "Majority",
        "MetaSGD",
        "MultiTask",
        "ProtoMAML",
        "ProtoNet",
        "Reptile",
        "Scratch",
        "Strategy",
        "TargetOnly",
        "TfIdf",
        "WordOverlap",
        "WordWindows",
    ),
    "tuning.result": ("TuneResult",),
    "tuning.tune": ("tune",),
    "data.splits": ("split_table",),
    "data.tables": ("clean_table", "load_table", "save_table"),
    "data.tagged_tokens": ("join_tokens",),
    "data.located_answers": ("locate_answers",),
    "encoders.tiny": ("tiny_encoder",),
    "kinds.tasks": ("Task", "infer_tasks"),
}
_ORIGIN = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_ORIGIN]


def __getattr__(name: str):
    if name not in _ORIGIN:
        raise AttributeError(f"module 'tf_transfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tf_transfer.{_ORIGIN[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
