"""The largest eigenvalue of a symmetric matrix that is known only by its products with vectors (Lanczos, 1950)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_PRODUCTS = 20
TOLERANCE = 1e-3
"""Change of the estimate, as a share of it, at which it counts as found."""


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    seed: int = 0,
    most_products: int = MOST_PRODUCTS,
    tolerance: float = TOLERANCE,
) -> float:
    """Returns the largest eigenvalue, not the largest in magnitude.

    The matrix is projected on the vectors b, Ab, A(Ab), ..., made orthogonal to all before them. The projection's
    largest eigenvalue approaches the matrix' from below, the faster the further that lies from the others.

    Args:
        product: Returns the matrix times a vector, (size,).
        size: Rows of the matrix.
        seed: Chooses b.
        most_products: The most products asked for. Defaults to 20.
        tolerance: Stops once the estimate changes by no more than this share of it. Defaults to 1e-3.
    """
    vector = np.random.RandomState(seed).normal(size=size)
    basis: list[np.ndarray] = []
    diagonal: list[float] = []
    beside: list[float] = []
    estimate = 0.0
    vector /= np.linalg.norm(vector)
    for _ in range(min(most_products, size)):
        basis.append(vector)
        image = np.asarray(product(vector), np.float64)
        diagonal.append(float(vector @ image))
        previous, estimate = estimate, _largest_of_tridiagonal(diagonal, beside)
        if len(basis) > 2 and abs(estimate - previous) <= tolerance * abs(estimate):
            break
        # Twice, as rounding leaves something of the old vectors in what one projection returns.
        for _ in range(2):
            image = image - np.array(basis).T @ (np.array(basis) @ image)
        norm = float(np.linalg.norm(image))
        if norm <= 1e-10 * max(abs(estimate), 1e-30):
            break
        beside.append(norm)
        vector = image / norm
    return estimate


def _largest_of_tridiagonal(diagonal: list[float], beside: list[float]) -> float:
    return float(np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))[-1])
