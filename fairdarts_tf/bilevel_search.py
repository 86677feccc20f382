"""The bilevel search: alphas on one half of the training set, weights on the other, in alternation.

One step first updates the alphas by the gradient of the loss on a batch of the search half, taken at the current
weights (first order), then the weights by the gradient on a batch of the training half (DARTS, section 2.3, with
xi = 0).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.accumulation import in_parts
from fairdarts_tf.batch_statistics import synchronized_statistics
from fairdarts_tf.finite_check import FiniteCheck
from fairdarts_tf.kernels.library import portable_graph
from fairdarts_tf.losses import zero_one_loss
from fairdarts_tf.model_state import optimizer_variables
from fairdarts_tf.one_graph import OneGraphModel
from fairdarts_tf.optimizers import ReferenceOptimizer
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.separable_chain import fixed_kernels

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import SearchPerturbations

Batch = tuple[tf.Tensor, tf.Tensor]
"""Images (batch, height, width, channels) and labels (batch,)."""

Penalty = tuple[float, Callable[[Mapping[str, tf.Tensor]], tf.Tensor]]
"""A weight, and a function of the mixing weights by kind to a scalar."""

_LOSSES = {"train": "the loss of the training half", "search": "the loss of the search half"}
_WEIGHT_GRADIENT = "the gradient in the weights"
_ALPHA_GRADIENT = "the gradient in the alphas"


class Search(OneGraphModel):
    """A supernet under bilevel search, to be driven by `fit`.

    `compile` takes both optimizers and builds each on its own variables, within the scope of the strategy that the
    search was made in: unbuilt optimizers lose their state at a restart.

    Args:
        supernet: A built supernet with `space`, `alphas`, `network_weights` and `mixing_weights`.

    Attributes:
        updates_alphas: Whether a step updates the alphas; False during a warm-up. Call
            `make_train_function(force=True)` after a change.
        finite_check: What of the steps' losses and gradients was not finite; made by `compile`.
        perturbations: What disturbs the operations while they are trained, or None, the default.

    Example:
        >>> space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=2, layers=3)
        >>> search = fd.Search(space.supernet((8, 8, 1), num_classes=10))
        >>> search(np.zeros((4, 8, 8, 1), "float32")).shape, search.alphas()["normal"].shape
        (TensorShape([4, 10]), (2, 2))
    """

    _WATCHED = (_LOSSES["search"], _ALPHA_GRADIENT, _LOSSES["train"], _WEIGHT_GRADIENT)

    def __init__(self, supernet: keras.Model, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.supernet = supernet
        self.updates_alphas = True
        self.perturbations: SearchPerturbations | None = None
        self._means = {
            name: keras.metrics.Mean(name=name, dtype="float32")
            for name in ("train_loss", "train_accuracy", "search_loss", "search_accuracy", "zero_one")
        }
        self.built = True

    def compile(
        self,
        weight_optimizer: ReferenceOptimizer,
        alpha_optimizer: ReferenceOptimizer,
        zero_one: str = "l2",
        zero_one_weight: float = 10.0,
        penalties: Mapping[str, Penalty] | None = None,
        sync_batch_norm: bool = False,
        accumulate: int = 1,
        jit_compile: bool = False,
        **kwargs: object,
    ) -> None:
        """Prepares the search.

        Args:
            weight_optimizer: For the weights of the network.
            alpha_optimizer: For the alphas.
            zero_one: Name of the zero-one loss: ``"l2"``, ``"l1"`` or ``"none"``. Defaults to ``"l2"``.
            zero_one_weight: Its weight beside the cross-entropy. Defaults to 10.
            penalties: What else the alphas descend, by name, under which it is reported without its weight. Defaults to
                None: nothing.
            sync_batch_norm: Whether BatchNorm uses the statistics of the whole batch, not of each replica's part.
                Defaults to False.
            accumulate: Parts that a replica's batch is taken in, one after the other: see `fairdarts_tf.accumulation`.
                Defaults to 1.
            jit_compile: Whether XLA compiles the step. Defaults to False.
            kwargs: Of `keras.Model.compile`.

        Raises:
            ConfigurationError: When there is no such zero-one loss.
        """
        super().compile(optimizer=weight_optimizer, jit_compile=jit_compile, **kwargs)
        self.alpha_optimizer = alpha_optimizer
        self.zero_one = zero_one_loss(zero_one)
        self.zero_one_weight = zero_one_weight
        self.penalties = dict(penalties or {})
        self.sync_batch_norm = sync_batch_norm
        self.accumulate = accumulate
        with self.distribute_strategy.scope():
            self._means |= {name: keras.metrics.Mean(name=name, dtype="float32") for name in self.penalties}
            weight_optimizer.build(self.supernet.network_weights)
            alpha_optimizer.build(list(self.supernet.alphas.values()))
            self.finite_check = FiniteCheck(self._WATCHED)
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            self._alphas_before = [
                tf.Variable(table.numpy(), trainable=False, aggregation=first) for table in self._alpha_tables
            ]
        weight_optimizer.watch_norm = functools.partial(self.finite_check.note, _WEIGHT_GRADIENT)
        alpha_optimizer.watch_norm = self._watch_alphas

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What a step reports, averaged over an epoch."""
        return list(self._means.values())

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the supernet's logits."""
        return self.supernet(images, training=training)

    def train_step(self, data: tuple[Batch, Batch]) -> dict[str, tf.Tensor]:
        """Updates the alphas once, then the weights.

        Args:
            data: A batch of the training half and one of the search half.

        Returns:
            The running means of the metrics.
        """
        training_batch, search_batch = data
        if self.updates_alphas:
            gradients = self.step_alpha_gradients(training_batch, search_batch)
            self.alpha_optimizer.apply(gradients, self._alpha_tables)
        self.optimizer.apply(self.weight_gradients(training_batch), self.supernet.network_weights)
        return self.get_metrics_result()

    def test_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Measures loss and accuracy on a batch of the search half, with the running statistics."""
        images, labels = data
        self._record("search", labels, self.supernet(images, training=False))
        return {name: self._means[name].result() for name in ("search_loss", "search_accuracy")}

    def step_alpha_gradients(self, training_batch: Batch, search_batch: Batch) -> list[tf.Tensor]:
        """Returns the gradients that a step's update of the alphas applies: of the loss at the weights as they are."""
        return self.alpha_gradients(search_batch)

    def alpha_gradients(self, batch: Batch) -> list[tf.Tensor]:
        """Returns this replica's part of the gradients of the search loss in the alphas, table by table, to be applied.

        The search loss is the mean cross-entropy of the batch plus the weighted zero-one loss (FairDARTS).
        The parts of all replicas sum to the gradient of the whole batch.
        """
        images, labels = batch
        with fixed_kernels():
            return self._gradients(
                images, labels, self._alpha_tables, "search", self.alpha_optimizer, penalty=self._penalty
            )

    def weight_gradients(self, batch: Batch) -> list[tf.Tensor]:
        """Returns this replica's part of the gradients of the mean cross-entropy in the weights, to be applied."""
        images, labels = batch
        return self._gradients(images, labels, self.supernet.network_weights, "train", self.optimizer)

    def alphas(self) -> dict[str, np.ndarray]:
        """Returns the raw alphas, (rows, operations), by kind."""
        return {kind: np.array(table.numpy()) for kind, table in self.supernet.alphas.items()}

    def mixing_weights(self) -> dict[str, np.ndarray]:
        """Returns the relaxed alphas, (rows, operations) in float64, by kind.

        In float64, as what reads the alphas from a file has them: a genotype shown is the genotype derived.
        """
        relax, in_play = relaxation(self.supernet.relaxation).of_array, self.supernet.space.in_play
        return {kind: relax(table, in_play.get(kind)) for kind, table in self.alphas().items()}

    def learning_rates(self) -> dict[str, float]:
        """Returns the rates in use, of the weights and of the alphas."""
        return {
            "weights": float(self.optimizer.learning_rate),
            "alphas": float(self.alpha_optimizer.learning_rate),
        }

    def alphas_of_last_step(self) -> dict[str, np.ndarray]:
        """Returns the raw alphas that the last step began with, (rows, operations), by kind."""
        if not self.updates_alphas:
            return self.alphas()
        return {
            kind: np.array(table.numpy()) for kind, table in zip(self.supernet.alphas, self._alphas_before, strict=True)
        }

    @property
    def before_updates(self) -> tuple[str, ...]:
        """What of `finite_check` a step computes before it updates anything, whatever its learning rates are."""
        return self._WATCHED[:2] if self.updates_alphas else self._WATCHED[2:]

    def state_variables(self) -> dict[str, keras.Variable]:
        """Returns all that a checkpoint must hold besides the metrics, by name."""
        return (
            {variable.path: variable for variable in self.supernet.variables}
            | optimizer_variables("weight_optimizer", self.optimizer)
            | optimizer_variables("alpha_optimizer", self.alpha_optimizer)
        )

    @property
    def skipped_steps(self) -> int | None:
        """Updates, of weights or alphas, that were skipped as a gradient overflowed; None where no loss is scaled."""
        scales = [optimizer.loss_scale for optimizer in (self.optimizer, self.alpha_optimizer) if optimizer.loss_scale]
        return sum(int(scale.skipped_steps.numpy()) for scale in scales) if scales else None

    @property
    def _alpha_tables(self) -> list[keras.Variable]:
        return list(self.supernet.alphas.values())

    def _gradients(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        variables: list[keras.Variable],
        half: str,
        optimizer: ReferenceOptimizer,
        penalty: Callable[[], tf.Tensor] | None = None,
    ) -> list[tf.Tensor]:
        """Returns the gradients of mean cross-entropy plus penalty, each divided by the number of replicas.

        They are those of the scaled loss where the optimizer, which divides again, scales its loss.

        Optimizers sum gradients over replicas. What every replica computes in full, as a penalty, must be divided no
        less than the mean of its part of the batch, or its weight would grow with the number of replicas.
        """
        gradients, logits = self._differentiate(images, labels, variables, half, optimizer, penalty)
        self._record(half, labels, logits)
        return gradients

    def _differentiate(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        variables: list[keras.Variable],
        half: str,
        optimizer: ReferenceOptimizer,
        penalty: Callable[[], tf.Tensor] | None = None,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns what `_gradients` does, and the logits, without recording either."""

        def differentiate(
            images: tf.Tensor, labels: tf.Tensor, part: tf.Tensor | int
        ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            gradients, logits = self._differentiate_part(images, labels, part, variables, half, optimizer, penalty)
            return gradients, [logits]

        dtype = self.supernet.classifier.compute_dtype
        gradients, (logits,) = in_parts(differentiate, images, labels, self.accumulate, variables, [dtype])
        return gradients, logits

    def _differentiate_part(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        part: tf.Tensor | int,
        variables: list[keras.Variable],
        half: str,
        optimizer: ReferenceOptimizer,
        penalty: Callable[[], tf.Tensor] | None,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns the gradients of a part of the batch as if it were all, and its logits."""
        sources = [variable.value for variable in variables]
        # Only these variables are watched: the other half's gradients would be traced in vain.
        with portable_graph(self.jit_compile), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            with synchronized_statistics(self.sync_batch_norm):
                logits = self.supernet(images, training=True, **self._disturbances(images, half, part))
            loss = tf.reduce_mean(_cross_entropy(labels, logits))
            if penalty is not None:
                loss += tf.cast(penalty(), loss.dtype)
            self.finite_check.note(_LOSSES[half], loss)
            loss = optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)
        return tape.gradient(loss, sources, unconnected_gradients="zero"), logits

    def _watch_alphas(self, gradient_norm: tf.Tensor) -> None:
        """Checks the gradient, and keeps the alphas, of which an update that is not finite leaves none to be seen."""
        self.finite_check.note(_ALPHA_GRADIENT, gradient_norm)
        for kept, table in zip(self._alphas_before, self._alpha_tables, strict=True):
            kept.assign(table.value)

    def _disturbances(self, images: tf.Tensor, half: str, part: tf.Tensor | int) -> dict[str, object]:
        """Returns what the supernet is called with besides: both passes of a step on the same images draw the same."""
        if self.perturbations is None:
            return {}
        return {"perturbation": self.perturbations.at(self.optimizer.iterations, half, images, part, self.accumulate)}

    def _penalty(self) -> tf.Tensor:
        weights = self.supernet.mixing_weights()
        zero_one = self.zero_one(self._in_play(weights))
        # Each replica computes it; a step counts once, also where their number changes within an epoch.
        share = 1.0 / self.distribute_strategy.num_replicas_in_sync
        self._means["zero_one"].update_state(zero_one, sample_weight=share)
        penalty = self.zero_one_weight * zero_one
        for name, (weight, function) in self.penalties.items():
            value = function(weights)
            self._means[name].update_state(value, sample_weight=share)
            penalty += weight * tf.cast(value, penalty.dtype)
        return penalty

    def _in_play(self, weights: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """Returns the mixing weights that exist: all of a table, or those of it that are in play, as a vector."""
        in_play = self.supernet.space.in_play
        return [
            tf.gather(tf.reshape(table, [-1]), np.flatnonzero(in_play[kind])) if kind in in_play else table
            for kind, table in weights.items()
        ]

    def _record(self, half: str, labels: tf.Tensor, logits: tf.Tensor) -> None:
        hits = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
        self._means[f"{half}_loss"].update_state(_cross_entropy(labels, logits))
        self._means[f"{half}_accuracy"].update_state(hits)

    def _maybe_symbolic_build(self, iterator: object = None, data_batch: object = None) -> None:
        """Does nothing: all is built, and Keras would take a batch from the data and so shift their order."""


class SingleLevelSearch(Search):
    """Updates alphas and weights together, by one gradient on one batch (DARTS discusses it as an alternative)."""

    _WATCHED = (_LOSSES["train"], _ALPHA_GRADIENT, _WEIGHT_GRADIENT)

    @property
    def before_updates(self) -> tuple[str, ...]:
        """All of `finite_check`: both updates follow from one gradient."""
        return self._WATCHED

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates alphas and weights by the gradient on one batch.

        Args:
            data: A batch of the whole training set.

        Returns:
            The running means of the metrics.
        """
        images, labels = data
        alphas, weights = self._alpha_tables, self.supernet.network_weights
        gradients = self._gradients(images, labels, alphas + weights, "train", self.optimizer, penalty=self._penalty)
        of_alphas, of_weights = gradients[: len(alphas)], gradients[len(alphas) :]
        if self.updates_alphas:
            one = tf.ones([])
            ratio = self.alpha_optimizer.scale_loss(one) / self.optimizer.scale_loss(one)
            self.alpha_optimizer.apply([gradient * tf.cast(ratio, gradient.dtype) for gradient in of_alphas], alphas)
        self.optimizer.apply(of_weights, weights)
        return self.get_metrics_result()


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each image, (batch,)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
