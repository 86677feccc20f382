"""Rematerialisation: a layer is computed again for its gradient, so that nothing between its input and output is kept.

The memory of a step then holds the inputs of the layers, and what one layer needs at a time (Chen et al., *Training
deep nets with sublinear memory cost*, 2016). The second computation is the first one again, with the same weights and
the same batch: the gradient is the same. The running statistics of BatchNorm move once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence

import keras
import tensorflow as tf

from fairdarts_tf.second_derivatives import second_derivatives_wanted

Compute = Callable[..., tf.Tensor]
Result = Callable[..., Sequence[tf.Tensor]]
Select = Callable[[Result, Sequence[tf.Tensor]], Sequence[tf.Tensor]]


def rematerialized(compute: Compute, layer: keras.layers.Layer, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns ``compute(*inputs)``, which the gradient computes again.

    Where second derivatives are wanted it is computed plainly: what is kept cannot be saved there.

    Args:
        compute: Of tensors to a tensor, with the weights of the layer alone; a function, but for the running statistics
            that it assigns to the layer's variables.
        layer: Built.
        inputs: All tensors that a gradient may be asked for.
    """
    if second_derivatives_wanted():
        return compute(*inputs)
    return _rematerialized(lambda result, tensors: result(compute, *tensors), layer, inputs, of_weights=True)


def rematerialized_choice(
    place: tf.Tensor,
    computes: Sequence[Compute],
    layer: keras.layers.Layer,
    inputs: Sequence[tf.Tensor],
    of_weights: bool,
    traced: dict[Hashable, list[Callable]],
) -> tf.Tensor:
    """Returns ``computes[place](*inputs)``, and computes no other; the gradient computes that one again.

    `tf.switch_case` would do the same with a graph of gigabytes for the 21 layers of seven choices, whatever the batch:
    it puts all branches into the graph, and its gradient hands on what any of them keeps from all. Here a branch is a
    function that is called, keeps nothing, and has its gradient taken by another such function.

    Args:
        place: Which, int32.
        computes: As that of `rematerialized`, all with results of one shape; they may read no tensor but their own.
        layer: Built.
        inputs: As those of `rematerialized`.
        of_weights: Whether a gradient may be asked for the layer's weights, too.
        traced: The functions of this layer and these computations so far; new ones are added.
    """
    if second_derivatives_wanted():
        return tf.switch_case(place, [functools.partial(compute, *inputs) for compute in computes])

    def select(result: Result, tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        if tf.executing_eagerly():
            return result(computes[int(place)], *tensors)
        signature = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors)
        key = (result.__name__, of_weights, signature, _replica())
        if key not in traced:
            traced[key] = [
                tf.function(functools.partial(result, compute), autograph=False).get_concrete_function(*signature)
                for compute in computes
            ]
        results = traced[key][0].outputs
        return tf.raw_ops.StatelessCase(
            branch_index=place,
            input=list(tensors),
            Tout=[tensor.dtype for tensor in results],
            branches=traced[key],
            output_shapes=[tensor.shape for tensor in results],
        )

    return _rematerialized(select, layer, inputs, of_weights)


def _replica() -> int:
    """Returns which replica is traced; strategies tell it as a number or as a constant of the graph."""
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    return int(tf.get_static_value(number)) if tf.is_tensor(number) else number


def _rematerialized(
    select: Select, layer: keras.layers.Layer, inputs: Sequence[tf.Tensor], of_weights: bool
) -> tf.Tensor:
    """Returns the output of the computation that ``select`` takes; it hands tensors to what is wanted of that one."""
    weights, statistics = list(layer.trainable_variables), list(layer.non_trainable_variables)
    kernels, before = ([tf.convert_to_tensor(variable) for variable in group] for group in (weights, statistics))
    asked = [*inputs, *(kernels if of_weights else [])]
    others = [*([] if of_weights else kernels), *before]
    after: list[Sequence[tf.Tensor]] = []

    def output_and_statistics(compute: Compute, *tensors: tf.Tensor) -> list[tf.Tensor]:
        """Returns the output and the statistics at given inputs and weights, without changing any variable."""
        variables = zip([*weights, *statistics], tensors[len(inputs) :], strict=True)
        with keras.StatelessScope(state_mapping=list(variables)) as scope:
            output = compute(*tensors[: len(inputs)])
        return [output, *(tf.convert_to_tensor(scope.get_current_value(variable)) for variable in statistics)]

    def gradients(compute: Compute, upstream: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
        watched = list(tensors[: len(asked)])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            output, *_ = output_and_statistics(compute, *watched, *tensors[len(asked) :])
        return tape.gradient(output, watched, upstream, unconnected_gradients="zero")

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Sequence[tf.Tensor]]]:
        output, *moved = select(output_and_statistics, [*tensors, *others])
        after.append(moved)

        def gradient(upstream: tf.Tensor) -> Sequence[tf.Tensor]:
            # Only once its gradient has arrived: earlier it would be the first computation over again, kept as long.
            with tf.control_dependencies([upstream]):
                again = [tf.identity(tensor) for tensor in tensors]
            return select(gradients, [upstream, *again, *others])

        return output, gradient

    output = run(*asked)
    for variable, value in zip(statistics, after[0], strict=True):
        variable.assign(value)
    return output
