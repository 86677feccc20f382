"""The line that a training prints after each epoch."""

from __future__ import annotations

from fairdarts_tf.durations import in_words
from fairdarts_tf.history import Row
from fairdarts_tf.training.history import TrainHistory


def describe_epoch(history: TrainHistory, epochs: int) -> str:
    """Returns one line on the last epoch."""
    row = history.rows[-1]
    parts = [f"epoch {row['epoch']}/{epochs}", _part(row, "train")]
    if row["validation_loss"] is not None:
        best = "  best so far" if history.best_epoch() == row["epoch"] else ""
        parts.append(_part(row, "validation") + best)
    parts += [
        f"{row['seconds']:.1f} s",
        f"about {in_words(row['seconds'] * (epochs - row['epoch']))} left",
    ]
    return "  ".join(parts)


def _part(row: Row, part: str) -> str:
    return f"{part} loss {row[f'{part}_loss']:.4f} accuracy {100 * row[f'{part}_accuracy']:.2f} %"
