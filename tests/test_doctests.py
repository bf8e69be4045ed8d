"""The examples in the docstrings print what they say."""

import doctest
import importlib
import inspect
import re

import pytest

import tf_transfer
from tests.snippets import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "tf_transfer").rglob("*.py")
    if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
)
SHOWN = (
    "load_table",
    "clean_table",
    "split_table",
    "clean_text",
    "audit_leakage",
    "Task",
    "infer_tasks",
    "EpisodeSampler",
    "split_classes",
    "check_class_disjoint",
    "load_experiment",
    "paired_difference",
    "bootstrap_interval",
    "mcnemar",
    "sign_flip_p",
    "row_tests",
    "Predictions",
    "Evaluation",
    "FineTune",
    "LinearProbe",
    "TfIdf",
    "tiny_encoder",
    "freeze",
    "fast_weights",
)
"""Public names that a reader should see in use."""


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name):
    module = importlib.import_module(name)
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    runner, said = doctest.DocTestRunner(optionflags=options), []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=said.append)
    found = runner.summarize(verbose=False)
    assert found.attempted and not found.failed, "".join(said)


@pytest.mark.parametrize("name", SHOWN)
def test_the_main_functions_show_an_example(name):
    assert ">>> " in inspect.getdoc(getattr(tf_transfer, name))
