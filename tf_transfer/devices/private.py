"""What the package takes from Keras, TensorFlow and keras-tuner beyond their public names.

An upgrade may take a private name away. So each function here has a test of its own in
`tests/test_private_names.py`, and no other module reads a private name of these packages. What a
subclass overrides or inherits stays in the subclass; the same tests list it.
"""

from __future__ import annotations

from collections.abc import Sequence


def layers_of(layer, *, itself: bool = True, nested: bool = True) -> list:
    """The layers inside a Keras layer, in the order in which it was given them.

    The public ``submodules`` sorts them by attribute and also lists metrics; places of frozen
    layers and numbers of dropout layers depend on the order.

    Args:
        itself: put the layer itself first.
        nested: go down to the innermost layers.
    """
    return list(layer._flatten_layers(recursive=nested, include_self=itself))


def own_weights(layer) -> tuple[list, list]:
    """The two lists in which a layer holds its own trainable weights and its other own weights.

    The public lists are copies and include the weights of sublayers, so they cannot freeze one
    weight of a layer.
    """
    return layer._trainable_weights, layer._non_trainable_weights


def draw_masks_from(layer, generator) -> None:
    """Makes a Keras dropout layer draw its masks from ``generator``.

    The public ``seed`` gives masks that depend on how often the layer was called.
    """
    layer._random_generator = generator


def mask_metrics(scores, mask) -> None:
    """Makes the metrics of `compile` skip the rows of ``scores`` where ``mask`` is 0.

    Keras has no argument for it: those of ``metrics=`` are not given the weights of the rows.
    """
    scores._keras_mask = mask


def step_counter(model):
    """The variable in which a Keras model counts its training steps.

    The public ``optimizer.iterations`` also counts the steps of earlier runs.
    """
    return model._train_counter


def has_metrics(compiled_metrics) -> bool:
    """Whether `compile` was given metrics.

    The public ``metrics`` of the container is empty until the first step.
    """
    return bool(compiled_metrics._user_metrics or compiled_metrics._user_weighted_metrics)


def schedule_of(optimizer):
    """The schedule of an optimizer, or its learning rate where it has none.

    The public ``learning_rate`` gives only the schedule's present value. None: an optimizer of
    Keras' legacy kind, or one that wraps another.
    """
    return getattr(optimizer, "_learning_rate", None)


def is_built_for(optimizer, variables: Sequence) -> bool | None:
    """Whether an optimizer was built for all of ``variables``; None where it was not built.

    The public API has no question for it, and the optimizer raises a KeyError in its step. An
    optimizer of Keras' legacy kind is never built: it takes any variable.
    """
    known = getattr(optimizer, "_index_dict", None)
    return None if known is None else all(optimizer._var_key(v) in known for v in variables)


def rebuild(optimizer, variables: Sequence) -> None:
    """Builds an optimizer anew for other variables; its variables but ``iterations`` are new.

    The public ``build`` does nothing the second time.
    """
    optimizer._variables = [v for v in optimizer._variables if v is optimizer.iterations]
    optimizer._built = False
    optimizer.build(list(variables))


def build_legacy(optimizer, variables: Sequence) -> None:
    """Makes the variables of an optimizer of Keras' legacy kind.

    In public it makes them only in its first step.
    """
    optimizer._create_all_weights(variables)


def loss_scale_variables(optimizer) -> list:
    """The variables of a `LossScaleOptimizer` that adapts its scale; [] of any other optimizer.

    The public ``loss_scale`` is a tensor, which a backup cannot be restored into.
    """
    scale = getattr(optimizer, "_loss_scale", None)
    variables = [getattr(scale, name, None) for name in ("current_loss_scale", "counter")]
    return [variable for variable in variables if variable is not None]


def whole_variable(variable):
    """The variable of all replicas that a replica's copy belongs to; itself where there is none.

    The public ``values`` lead only from the whole to the copies.
    """
    whole = getattr(variable.handle, "_distributed_container", None)
    return variable if whole is None else whole()


def unchanged_inputs(operation) -> list[int] | None:
    """The numbers of the inputs that a call, a branch or a loop in a graph does not change.

    None: the operation calls nothing. TensorFlow notes the numbers in an attribute of the operation
    that has no public accessor.
    """
    try:
        return list(operation.get_attr("_read_only_resource_inputs"))
    except ValueError:
        return None


def hyperband_trials(oracle) -> int:
    """How many trials one iteration of keras-tuner's Hyperband makes.

    The oracle says it nowhere in public, and its rounding is its own.
    """
    brackets = range(oracle._get_num_brackets())
    sizes = (
        oracle._get_size(bracket, round_number)
        for bracket in brackets
        for round_number in range(oracle._get_num_rounds(bracket))
    )
    return sum(sizes)
