"""Accuracy, loss and confusion matrix, from the probabilities of each image's classes."""

from __future__ import annotations

import dataclasses

import numpy as np

from fairdarts_tf.errors import DataError, RunError

TOP = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Measures:
    """How a network's probabilities agree with the labels.

    Attributes:
        top_1: Share of the images whose most probable class is their own.
        top_k: Share of the images whose own class is among the `k` most probable ones.
        k: 5, or the number of classes where there are fewer.
        loss: Mean cross-entropy, in nats.
        confusion: (classes, classes), int64: images of class ``row`` that were taken for class ``column``.
    """

    top_1: float
    top_k: float
    k: int
    loss: float
    confusion: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of every class, each (classes,); NaN where a score is not defined.

    Attributes:
        precision: Of the images taken for the class, the share that is of it; NaN where none was.
        recall: Of the images of the class, the share that was taken for it; NaN where there are none.
        f1: The harmonic mean of both; NaN where the class has no images and none was taken for it.
        count: Images of the class, int64.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    count: np.ndarray


def measure(log_probabilities: np.ndarray, labels: np.ndarray) -> Measures:
    """Compares a network's output with the labels. Of equally probable classes the lower label counts as the first.

    Args:
        log_probabilities: (N, classes), as `log_softmax` and `log_of` return them.
        labels: (N,), integers.

    Raises:
        DataError: When the shapes differ, there are no images, or a label has no class.
        RunError: When a value is no number: the network has diverged.
    """
    _check(log_probabilities, labels)
    count, classes = log_probabilities.shape
    own = log_probabilities[np.arange(count), labels][:, np.newaxis]
    earlier = np.arange(classes) < labels[:, np.newaxis]
    rank = ((log_probabilities > own) | ((log_probabilities == own) & earlier)).sum(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, log_probabilities.argmax(axis=1)), 1)
    k = min(TOP, classes)
    return Measures(
        top_1=float((rank == 0).mean()),
        top_k=float((rank < k).mean()),
        k=k,
        loss=-float(own.mean(dtype=np.float64)),
        confusion=confusion,
    )


def class_scores(confusion: np.ndarray) -> ClassScores:
    """Returns the scores of every class from a confusion matrix (classes, classes), rows by label."""
    right, taken, count = np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    return ClassScores(_ratio(right, taken), _ratio(right, count), _ratio(2 * right, taken + count), count)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the logarithms of the probabilities that logits (N, classes) stand for, as float64."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_of(probabilities: np.ndarray) -> np.ndarray:
    """Returns the logarithms of probabilities (N, classes); one that was rounded to 0 counts as the least float32."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), np.finfo(np.float32).tiny))


def _check(log_probabilities: np.ndarray, labels: np.ndarray) -> None:
    if log_probabilities.ndim != 2 or labels.shape != log_probabilities.shape[:1] or not len(labels):
        raise DataError(
            f"probabilities of shape {log_probabilities.shape} and labels of shape {labels.shape} do not belong "
            "together. Expected (images, classes) and (images,), with at least one image."
        )
    if labels.min() < 0 or labels.max() >= log_probabilities.shape[1]:
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}, but the network tells {log_probabilities.shape[1]} "
            "classes apart. Choose the data set that it was trained on."
        )
    broken = ~np.isfinite(log_probabilities).all(axis=1)
    if broken.any():
        raise RunError(
            f"the network's output for {broken.sum()} of {len(broken)} images is no number: its training diverged. "
            "Train it again, with a lower --learning_rate."
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
