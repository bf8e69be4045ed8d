"""Only `tf_transfer/kinds/` names a kind of task: everything else asks the kind."""

import ast

import pytest

from tests.structure import KINDS, PACKAGE, kinds_named_outside, named_kinds, read_package
from tf_transfer.kinds import KINDS as REGISTERED


def test_no_kind_is_named_outside_the_folder_of_the_kinds():
    places = kinds_named_outside(read_package(PACKAGE))
    assert not places, "A kind of task is named outside tf_transfer/kinds/:\n" + "\n".join(places)


def test_the_walker_knows_every_kind():
    assert set(KINDS) <= set(REGISTERED)


@pytest.mark.parametrize("source", [
    'if kind == "regression":\n    pass',
    'if kind in ("multilabel", other):\n    pass',
    'losses = {"classification": loss}',
    'names = "regression", other',
    'def fit(kind="classification"):\n    pass',
    'def fit(*, kind="classification"):\n    pass',
    'kind = "multilabel"',
    'class Head:\n    kind: str = "multilabel"',
    'match kind:\n    case "regression":\n        pass',
    'known["regression"]',
    'task_of("regression")',
    'Task(kind="a" if flag else "regression")',
    'def fit(kind: Literal["regression"]):\n    pass',
])  # fmt: skip
def test_a_name_of_a_kind_is_seen(source):
    assert len(named_kinds(ast.parse(source))) == 1


@pytest.mark.parametrize("source", [
    'Task("mood", kind="regression")',
    'dataclasses.replace(task, kind="classification")',
    '"""regression"""',
    'def fit():\n    "regression"',
    'class Head:\n    """multilabel"""',
    'loss = f()\n"""classification"""',
    "# regression",
    'print("a regression of two numbers")',
    "regression = classification.multilabel",
])  # fmt: skip
def test_what_is_no_name_of_a_kind_passes(source):
    assert named_kinds(ast.parse(source)) == []


def test_the_line_is_the_one_of_the_name():
    assert named_kinds(
        ast.parse('kinds = (\n    "regression",\n    other,\n    "multilabel",\n)')
    ) == [2, 4]
