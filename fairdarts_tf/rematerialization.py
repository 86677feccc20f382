"""Rematerialisation: a layer is computed again for its gradient, so that nothing between its input and output is kept.

The memory of a step then holds the inputs of the layers, and what one layer needs at a time (Chen et al., *Training
deep nets with sublinear memory cost*, 2016). The second computation is the first one again, with the same weights and
the same batch: the gradient is the same. The running statistics of BatchNorm move once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from fairdarts_tf.second_derivatives import second_derivatives_wanted


def rematerialized(
    compute: Callable[..., tf.Tensor], layer: keras.layers.Layer, inputs: Sequence[tf.Tensor]
) -> tf.Tensor:
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
    weights, statistics = list(layer.trainable_variables), list(layer.non_trainable_variables)
    before = [tf.convert_to_tensor(variable) for variable in statistics]
    after: list[list[tf.Tensor]] = []

    def outputs_at(tensors: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the output and the statistics at given inputs and weights, without changing any variable."""
        values = [*tensors[len(inputs) :], *before]
        with keras.StatelessScope(state_mapping=list(zip([*weights, *statistics], values, strict=True))) as scope:
            output = compute(*tensors[: len(inputs)])
        return output, [scope.get_current_value(variable) for variable in statistics]

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Sequence[tf.Tensor]]]:
        output, moved = outputs_at(tensors)
        after.append(moved)

        def gradient(upstream: tf.Tensor) -> Sequence[tf.Tensor]:
            # Only once its gradient has arrived: earlier it would be the first computation over again, kept as long.
            with tf.control_dependencies([upstream]):
                again = [tf.identity(tensor) for tensor in tensors]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(again)
                repeated, _ = outputs_at(again)
            return tape.gradient(repeated, again, upstream, unconnected_gradients="zero")

        return output, gradient

    output = run(*inputs, *(tf.convert_to_tensor(variable) for variable in weights))
    for variable, value in zip(statistics, after[0], strict=True):
        variable.assign(value)
    return output
