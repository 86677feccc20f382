"""The update rules of the reference: reduce, clip, add the decay, step.

They differ from Keras' rules of the same names where PyTorch does:

- the decay is coupled: ``decay * value`` joins the gradient, after clipping, and so enters momentum and moments;
- clipping acts on the gradient summed over all replicas, not on each replica's part;
- the momentum of SGD is a running sum of gradients, multiplied by the learning rate of the day, whereas Keras' holds
  past learning rates: they part when the rate changes;
- epsilon of Adam is added after the bias correction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from fairdarts_tf.loss_scale import LEAST_SCALE, LossScale, unless_skipped


class ReferenceOptimizer(keras.optimizers.Optimizer):
    """Reduces gradients over replicas, clips their global norm, and adds the coupled decay.

    Args:
        learning_rate: Rate of a step, or a schedule.
        decay: Added to the gradient, times the value. Defaults to 0.
        max_norm: The global norm that gradients are clipped to, before the decay. Defaults to None: no clipping.
        scales_loss: Whether the loss is scaled dynamically, as float16 needs: take the gradient of `scale_loss`'s
            result. Defaults to False.

    Attributes:
        loss_scale: The state of that scaling once the optimizer is built, or None.
        watch_norm: Called, in the graph of each step, with the global norm of the gradient, which is finite if the
            gradient is. A step that the scaling of the loss skips has the norm 0, as long as a smaller scale may help.
    """

    def __init__(
        self,
        learning_rate: float,
        decay: float = 0.0,
        max_norm: float | None = None,
        scales_loss: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.decay = decay
        self.max_norm = max_norm
        self.scales_loss = scales_loss
        self.loss_scale: LossScale | None = None
        self.watch_norm: Callable[[tf.Tensor], None] | None = None

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the state of the loss scaling, if there is one."""
        super().build(variables)
        if self.scales_loss:
            self.loss_scale = LossScale(self)

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns what the gradient is to be taken of."""
        return loss if self.loss_scale is None else self.loss_scale.multiply(loss)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Adds the decay and applies the rule to one variable."""
        decay = tf.constant(self.decay, variable.dtype)
        self._apply_rule(gradient + decay * variable, variable, tf.cast(learning_rate, variable.dtype))

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this optimizer."""
        options = {"decay": self.decay, "max_norm": self.max_norm, "scales_loss": self.scales_loss}
        return super().get_config() | options

    def _backend_update_step(
        self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable], learning_rate: object
    ) -> None:
        """Reads the learning rate once, not for each variable."""
        super()._backend_update_step(grads, trainable_variables, tf.convert_to_tensor(learning_rate))

    def _all_reduce_sum_gradients(
        self, grads_and_vars: list[tuple[tf.Tensor, tf.Variable]]
    ) -> list[tuple[tf.Tensor, tf.Variable]]:
        """Sums over replicas, as Keras does at this point, and only then clips."""
        gradients, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        if self.loss_scale is not None:
            gradients = self.loss_scale.unscale(gradients)
        if self.watch_norm is not None or self.max_norm is not None:
            norm = tf.linalg.global_norm(gradients)
            gradients = clip_by_global_norm(gradients, self.max_norm, norm)
            self._watch(norm)
        return list(zip(gradients, variables, strict=True))

    def _watch(self, norm: tf.Tensor) -> None:
        if self.watch_norm is None:
            return
        if self.loss_scale is not None:
            skipped = tf.math.is_nan(norm) & (self.loss_scale.scale >= LEAST_SCALE)
            norm = tf.where(skipped, tf.zeros_like(norm), norm)
        self.watch_norm(norm)

    def _assign(self, gradient: tf.Tensor, variable: tf.Variable, value: tf.Tensor) -> None:
        """Assigns a value, unless the gradient overflowed."""
        self.assign(variable, value if self.loss_scale is None else unless_skipped(gradient, value, variable))

    def _apply_rule(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        raise NotImplementedError


@keras.saving.register_keras_serializable("fairdarts_tf")
class MomentumSGD(ReferenceOptimizer):
    """Stochastic gradient descent whose momentum sums gradients, as PyTorch's.

    ``velocity = momentum * velocity + gradient; variable -= learning_rate * velocity``

    Args:
        learning_rate: Defaults to 0.005, FairDARTS' (the published cells: 0.0025; DARTS: 0.025).
        momentum: Defaults to 0.9.
        decay: Defaults to 3e-4.
        max_norm: Defaults to 5.
    """

    def __init__(
        self,
        learning_rate: float = 0.005,
        momentum: float = 0.9,
        decay: float = 3e-4,
        max_norm: float | None = 5.0,
        name: str = "momentum_sgd",
        **kwargs: object,
    ) -> None:
        super().__init__(learning_rate, decay, max_norm, name=name, **kwargs)
        self.momentum = momentum

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the velocities of the variables."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")

    def values_after(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
        """Returns what a step would make of variables, without clipping, and changes nothing.

        That is the virtual step of DARTS' second order, whose authors do not clip it.

        Args:
            gradients: Summed over replicas.
            variables: Some of those that the optimizer was built on.
        """
        values = []
        for gradient, variable in zip(gradients, variables, strict=True):
            value = tf.convert_to_tensor(variable)
            velocity = tf.convert_to_tensor(self._velocities[self._get_variable_index(variable)])
            momentum, decay = tf.constant(self.momentum, value.dtype), tf.constant(self.decay, value.dtype)
            rate = tf.cast(self.learning_rate, value.dtype)
            values.append(value - rate * (momentum * velocity + gradient + decay * value))
        return values

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this optimizer."""
        return super().get_config() | {"momentum": self.momentum}

    def _apply_rule(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        velocity = self._velocities[self._get_variable_index(variable)]
        if self.loss_scale is None:
            # The same rule as one operation, where the graph of a supernet would have nine for each of its weights.
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle,
                accum=velocity.value.handle,
                lr=learning_rate,
                grad=gradient,
                momentum=tf.constant(self.momentum, variable.dtype),
            )
            return
        new_velocity = tf.constant(self.momentum, variable.dtype) * velocity + gradient
        self._assign(gradient, velocity, new_velocity)
        self._assign(gradient, variable, variable - learning_rate * new_velocity)


@keras.saving.register_keras_serializable("fairdarts_tf")
class ReferenceAdam(ReferenceOptimizer):
    """Adam with its epsilon after the bias correction, as PyTorch's.

    ``variable -= learning_rate * m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)``

    Args:
        learning_rate: Defaults to 3e-3, FairDARTS' rate of the alphas (DARTS: 3e-4).
        beta_1: Defaults to 0.9 (DARTS: 0.5).
        beta_2: Defaults to 0.999.
        epsilon: Defaults to 1e-8.
        decay: Defaults to 1e-3.
    """

    def __init__(
        self,
        learning_rate: float = 3e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 1e-3,
        max_norm: float | None = None,
        name: str = "reference_adam",
        **kwargs: object,
    ) -> None:
        super().__init__(learning_rate, decay, max_norm, name=name, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the first and second moments of the variables."""
        if self.built:
            return
        super().build(variables)
        self._first, self._second = self.add_optimizer_variables(variables, ["first_moment", "second_moment"])

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this optimizer."""
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def _apply_rule(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        first, second = self._first[index], self._second[index]
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        skipped = 0 if self.loss_scale is None else tf.cast(self.loss_scale.skipped_steps, self.iterations.dtype)
        step = tf.cast(self.iterations + 1 - skipped, dtype)
        new_first = beta_1 * first + (1 - beta_1) * gradient
        new_second = beta_2 * second + (1 - beta_2) * tf.square(gradient)
        self._assign(gradient, first, new_first)
        self._assign(gradient, second, new_second)
        mean = new_first / (1 - tf.pow(beta_1, step))
        deviation = tf.sqrt(new_second / (1 - tf.pow(beta_2, step)))
        change = learning_rate * mean / (deviation + tf.constant(self.epsilon, dtype))
        self._assign(gradient, variable, variable - change)


def clip_by_global_norm(
    gradients: tuple[tf.Tensor, ...], max_norm: float | None, norm: tf.Tensor | None = None
) -> tuple[tf.Tensor, ...]:
    """Scales gradients down so that their common norm is at most ``max_norm``, as PyTorch's ``clip_grad_norm_``.

    Args:
        gradients: Tensors of any shapes.
        max_norm: The bound, or None to leave them alone.
        norm: Their common norm, where it is known. Defaults to None: it is computed.
    """
    if max_norm is None:
        return gradients
    norm = tf.linalg.global_norm(gradients) if norm is None else norm
    scale = tf.minimum(tf.constant(max_norm, norm.dtype) / (norm + 1e-6), 1.0)
    return tuple(gradient * scale for gradient in gradients)
