"""Gradient rules: how the gradients of several tasks become one. One file a rule; see `base`."""

from __future__ import annotations

from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.training.gradient_rules.base import GradientRule, Losses
from tf_transfer.training.gradient_rules.pcgrad import PCGrad
from tf_transfer.training.gradient_rules.sum import Sum

RULES: dict[str, GradientRule] = {}
"""By name. What `register` adds later works everywhere."""


def _check(rule: GradientRule) -> None:
    """Raises:
    DataError: a rule has no name, or cannot be a key by which a traced step is found again.
    """
    if not isinstance(getattr(rule, "name", None), str) or type(rule).__hash__ is None:
        raise DataError(
            f"A gradient rule must have a name and be hashable.\nReceived {type(rule).__name__}.\n"
            "Set name: ClassVar[str], and use @dataclasses.dataclass(frozen=True)."
        )


def register(rule: GradientRule) -> GradientRule:
    """Adds a rule, so that its name stands for it in ``gradient_rule=`` and in experiment files.

    Raises:
        DataError: it is no rule, or there is one of its name.
    """
    if not isinstance(rule, GradientRule):
        raise DataError(f"A gradient rule must be a GradientRule.\nReceived {_received(rule)}")
    _check(rule)
    if rule.name in RULES:
        raise DataError(
            f"A gradient rule must have a name of its own.\nReceived {rule.name!r}, which there is."
        )
    RULES[rule.name] = rule
    return rule


_BUILT_IN = tuple(register(rule) for rule in (Sum(), PCGrad()))
DEFAULT = RULES["sum"]


def added() -> tuple[GradientRule, ...]:
    """The rules that `register` has added to those of the toolkit."""
    return tuple(rule for rule in RULES.values() if rule not in _BUILT_IN)


def rule_of(rule: str | GradientRule) -> GradientRule:
    """The rule of a name, or ``rule`` itself.

    Raises:
        DataError: there is none of that name, or it is no rule; the message names those that there
            are.
    """
    if isinstance(rule, GradientRule):
        _check(rule)
        return rule
    if isinstance(rule, str) and rule in RULES:
        return RULES[rule]
    raise DataError(
        f"gradient_rule must be one of {listed(sorted(RULES), most=30)}, or a GradientRule.\n"
        f"Received {_received(rule)}"
    )


def name_of(rule: str | GradientRule) -> str:
    """The name by which `rule_of` gives the rule again.

    Raises:
        DataError: no name stands for it.
    """
    wanted = rule_of(rule)
    if RULES.get(wanted.name) != wanted:
        raise DataError(
            "An experiment names its gradient rules.\n"
            f"Received {wanted!r}, which no name stands for.\n"
            "Call tf_transfer.training.gradient_rules.register(rule) first."
        )
    return wanted.name


def check_several(rule: str | GradientRule, tasks: list[str]) -> None:
    """Whether a rule has something to do.

    Args:
        tasks: names of the tasks with a loss_weight above 0.

    Raises:
        DataError: it is not the default, and there is one task.
    """
    if rule_of(rule) != DEFAULT and len(tasks) < 2:
        raise DataError(
            "A gradient rule is for several tasks with a loss_weight above 0.\n"
            f"Received gradient_rule={rule_of(rule).name!r} with {listed(tasks)} alone, whose "
            "training it would not change.\nLeave it out, or give more tasks."
        )


def _received(value: object) -> str:
    if isinstance(value, type) and issubclass(value, GradientRule):
        return f"the class {value.__name__}.\nGive an object of it: {value.__name__}()."
    return f"{value!r}.{nearest(value, RULES)}"


__all__ = [
    "DEFAULT",
    "RULES",
    "GradientRule",
    "Losses",
    "PCGrad",
    "Sum",
    "added",
    "check_several",
    "name_of",
    "register",
    "rule_of",
]
