"""The step that trains a found network."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.accumulation import in_parts
from fairdarts_tf.batch_statistics import synchronized_statistics
from fairdarts_tf.finite_check import FiniteCheck
from fairdarts_tf.found_network import network_variables
from fairdarts_tf.kernels.library import portable_graph
from fairdarts_tf.model_state import optimizer_variables
from fairdarts_tf.one_graph import OneGraphModel
from fairdarts_tf.optimizers import ReferenceOptimizer
from fairdarts_tf.training.confusion import ConfusionCount
from fairdarts_tf.training.weight_average import WeightAverage

Batch = tuple[tf.Tensor, tf.Tensor]
"""Images (batch, height, width, channels) and labels (batch,)."""

_LOSS, _GRADIENT = "the loss", "the gradient"


class Training(OneGraphModel):
    """A found network under training, to be driven by `fit`.

    `compile` builds the optimizer within the scope of the strategy that the training was made in.

    Args:
        network: A built network.

    Attributes:
        average: The moving average of the weights, or None.
        finite_check: What of the steps' losses and gradients was not finite; made by `compile`.
        confusion: What the images that were tested are taken for; made by `compile`.
    """

    def __init__(self, network: keras.Model, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.average: WeightAverage | None = None
        self._means = {name: keras.metrics.Mean(name=name, dtype="float32") for name in ("loss", "accuracy")}
        self.built = True

    def compile(
        self,
        optimizer: ReferenceOptimizer,
        auxiliary_weight: float = 0.4,
        label_smoothing: float = 0.0,
        average_decay: float = 0.0,
        sync_batch_norm: bool = False,
        accumulate: int = 1,
        jit_compile: bool = False,
        **kwargs: object,
    ) -> None:
        """Prepares the training.

        Args:
            optimizer: For all trainable weights.
            auxiliary_weight: Weight of the auxiliary head's loss, if the network has that head. Defaults to 0.4.
            label_smoothing: The share of the target that is spread evenly over all classes. Defaults to 0.
            average_decay: Decay of the moving average of the weights. Defaults to 0: none is kept.
            sync_batch_norm: Whether BatchNorm uses the statistics of the whole batch, not of each replica's part.
                Defaults to False.
            accumulate: Parts that a replica's batch is taken in, one after the other: see `fairdarts_tf.accumulation`.
                What drop path drops is drawn for each part by itself. Defaults to 1.
            jit_compile: Whether XLA compiles the step. Defaults to False.
            kwargs: Of `keras.Model.compile`.
        """
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self.auxiliary_weight = auxiliary_weight
        self.label_smoothing = label_smoothing
        self.sync_batch_norm = sync_batch_norm
        self.accumulate = accumulate
        with self.distribute_strategy.scope():
            optimizer.build(self.network.trainable_variables)
            self.average = WeightAverage(network_variables(self.network), average_decay) if average_decay else None
            self.finite_check = FiniteCheck((_LOSS, _GRADIENT))
            self.confusion = ConfusionCount(self.network.num_classes)
        optimizer.watch_norm = functools.partial(self.finite_check.note, _GRADIENT)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What a step reports, averaged over all images of an epoch."""
        return list(self._means.values())

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the network's logits."""
        return self.network(images, training=training)

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the weights by the gradient of the loss on a batch.

        The loss is the mean cross-entropy with smoothed labels, plus the auxiliary head's with its weight.

        Args:
            data: A batch of the training images.

        Returns:
            The running means of the metrics; the loss there is the main classifier's.
        """
        images, labels = data
        variables, dtype = self.network.trainable_variables, self.network.classifier.compute_dtype
        gradients, (logits, losses) = in_parts(
            self._differentiate, images, labels, self.accumulate, variables, [dtype, dtype]
        )
        step = tf.convert_to_tensor(self.optimizer.iterations)
        self.optimizer.apply(gradients, self.network.trainable_variables)
        if self.average is not None:
            self.average.update(step)
        return self._record(labels, logits, losses)

    def _differentiate(
        self, images: tf.Tensor, labels: tf.Tensor, part: tf.Tensor | int
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Returns the gradients of a part of the batch as if it were all, and logits and losses of its images."""
        sources = [variable.value for variable in self.network.trainable_variables]
        with portable_graph(self.jit_compile), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            logits, auxiliary = self._outputs(images)
            losses = self._cross_entropy(labels, logits, self.label_smoothing)
            loss = tf.reduce_mean(losses)
            if auxiliary is not None:
                smoothed = self._cross_entropy(labels, auxiliary, self.label_smoothing)
                loss += self.auxiliary_weight * tf.reduce_mean(smoothed)
            self.finite_check.note(_LOSS, loss)
            # Optimizers sum gradients over replicas.
            loss = self.optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)
        return tape.gradient(loss, sources, unconnected_gradients="zero"), [logits, losses]

    def test_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Measures plain cross-entropy and accuracy on a batch, with the running statistics."""
        images, labels = data
        logits = self.network(images, training=False)
        self.confusion.add(labels, tf.argmax(logits, axis=-1))
        return self._record(labels, logits, self._cross_entropy(labels, logits))

    def learning_rates(self) -> dict[str, float]:
        """Returns the rate in use."""
        return {"weights": float(self.optimizer.learning_rate)}

    def alphas_of_last_step(self) -> dict[str, np.ndarray]:
        """Returns nothing: a found network has no alphas."""
        return {}

    @property
    def before_updates(self) -> tuple[str, ...]:
        """What of `finite_check` a step computes before it updates anything, whatever its learning rate is: all."""
        return (_LOSS, _GRADIENT)

    def state_variables(self) -> dict[str, keras.Variable]:
        """Returns all that a checkpoint must hold besides the metrics, by name."""
        averages = self.average.variables if self.average is not None else {}
        return (
            {variable.path: variable for variable in self.network.variables}
            | optimizer_variables("optimizer", self.optimizer)
            | {f"average/{name}": variable for name, variable in averages.items()}
        )

    def kept_weights(self) -> dict[str, np.ndarray]:
        """Returns the weights that the run keeps, by name: their moving average, where there is one."""
        kept = network_variables(self.network) if self.average is None else self.average.variables
        return {name: np.array(variable.numpy()) for name, variable in kept.items()}

    def _outputs(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        with synchronized_statistics(self.sync_batch_norm):
            outputs = self.network(images, training=True)
        return outputs if isinstance(outputs, tuple) else (outputs, None)

    def _cross_entropy(self, labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
        """Returns the cross-entropy of each image, (batch,)."""
        if not smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        targets = tf.one_hot(labels, self.network.num_classes, dtype=logits.dtype)
        targets = targets * (1.0 - smoothing) + smoothing / self.network.num_classes
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _record(self, labels: tf.Tensor, logits: tf.Tensor, losses: tf.Tensor) -> dict[str, tf.Tensor]:
        self._means["loss"].update_state(losses)
        self._means["accuracy"].update_state(tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels))
        return self.get_metrics_result()

    def _maybe_symbolic_build(self, iterator: object = None, data_batch: object = None) -> None:
        """Does nothing: all is built, and Keras would take a batch from the data and so shift their order."""
