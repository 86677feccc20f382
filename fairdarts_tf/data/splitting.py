"""Division of a training set into the half that trains the weights and the half that trains the alphas."""

from __future__ import annotations

import numpy as np

from fairdarts_tf.errors import DataError


def stratified_halves(labels: np.ndarray, train_portion: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides a labelled set in two, each class in the same proportion.

    The first half has exactly ``round(train_portion * N)`` images. The same arguments give the same halves.

    Args:
        labels: ``(N,)``, integers.
        train_portion: Share of the first half, between 0 and 1, both excluded.
        seed: Chooses the images, 0 or larger.

    Returns:
        Indices of the training half and of the search half, int64, each in rising order. They are disjoint and together
        cover all images.

    Raises:
        DataError: When one of the halves would be empty.
    """
    train_count = int(np.floor(len(labels) * train_portion + 0.5)) if 0 < train_portion < 1 else 0
    if not 0 < train_count < len(labels):
        raise DataError(
            f"a training portion of {train_portion} of {len(labels)} images leaves one half empty, but both need "
            "images. Pass a --train_portion such as 0.5."
        )
    classes, counts = np.unique(labels, return_counts=True)
    chooser = np.random.Generator(np.random.PCG64(seed))
    chosen = [
        chooser.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, _quotas(counts, train_count), strict=True)
    ]
    in_training = np.zeros(len(labels), bool)
    in_training[np.concatenate(chosen)] = True
    return np.flatnonzero(in_training), np.flatnonzero(~in_training)


def search_parts(
    labels: np.ndarray, train_portion: float, search_portion: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divides a labelled set for a search, each class in the same proportion; what is in neither part is left out.

    Args:
        labels: ``(N,)``, integers.
        train_portion: Share of the part that trains the weights, between 0 and 1, both excluded.
        search_portion: Share of the part that trains the alphas; 0: all that the first one leaves.
        seed: Chooses the images, 0 or larger. The first part does not depend on the share of the second.

    Returns:
        Indices of the training part and of the search part, int64, each in rising order.

    Raises:
        DataError: When one of them would be empty.
    """
    train, rest = stratified_halves(labels, train_portion, seed)
    count = int(np.floor(len(labels) * search_portion + 0.5))
    if search_portion == 0 or count >= len(rest):
        return train, rest
    if not count:
        raise DataError(
            f"a search portion of {search_portion} of {len(labels)} images is less than one. Pass a larger "
            "--search_portion."
        )
    return train, rest[stratified_halves(labels[rest], count / len(rest), seed)[0]]


def held_back(labels: np.ndarray, portion: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides a training set into what is trained on and what is held back to choose by, each class in proportion.

    Args:
        labels: ``(N,)``, integers.
        portion: Share that is held back, from 0 to below 1.
        seed: Chooses the images, 0 or larger.

    Returns:
        Indices of both parts, int64, each in rising order; the second is empty for a portion of 0.

    Raises:
        DataError: When one of the parts would be empty though a portion is given.
    """
    if portion == 0:
        return np.arange(len(labels), dtype=np.int64), np.empty(0, np.int64)
    return stratified_halves(labels, 1 - portion, seed)


def _quotas(counts: np.ndarray, total: int) -> np.ndarray:
    """Shares out ``total`` in proportion to ``counts``, by the largest remainders; equal ones by the lower class."""
    exact = counts * (total / counts.sum())
    quotas = np.floor(exact).astype(np.int64)
    largest = np.argsort(quotas - exact, kind="stable")
    quotas[largest[: total - quotas.sum()]] += 1
    return quotas
