"""What a search prints after each epoch."""

from __future__ import annotations

from fairdarts_tf.durations import in_words
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row
from fairdarts_tf.prices import UNITS
from fairdarts_tf.quantities import write_quantity


def describe_epoch(row: Row, epochs: int, cost: str = "none") -> str:
    """Returns one line of numbers.

    Args:
        row: The epoch's row of the history.
        epochs: How many epochs there are.
        cost: The kind of cost that the search aims at, or ``"none"``, the default.
    """
    parts = [f"epoch {row['epoch']}/{epochs}", _half(row, "train")]
    if row["search_loss"] is not None:
        parts.append(_half(row, "search"))
    if row["zero_one"] is not None:
        parts.append(f"zero-one {row['zero_one']:z.4f}")
    if row.get("expected_cost") is not None:
        parts.append(_cost(row, cost))
    parts += [
        f"on/off/undecided {row['operations_on']}/{row['operations_off']}/{row['operations_undecided']}",
        f"skips {'+'.join(str(value) for name, value in row.items() if name.endswith('_skips'))}",
        f"{row['seconds']:.1f} s",
        f"about {in_words(row['seconds'] * (epochs - row['epoch']))} left",
    ]
    return "  ".join(parts)


def _half(row: Row, half: str) -> str:
    return f"{half} loss {row[f'{half}_loss']:.4f} accuracy {100 * row[f'{half}_accuracy']:.2f} %"


def _cost(row: Row, cost: str) -> str:
    expected, derived = (
        "none" if row[name] is None else write_quantity(row[name], UNITS[cost])
        for name in ("expected_cost", "derived_cost")
    )
    return f"{cost} expected {expected}, derived {derived}"


def describe_genotype(genotype: AnyGenotype | None) -> str:
    """Returns one line for each kind of a genotype, its cells or its layers; or one that says that there is none."""
    if genotype is None:
        return "  no genotype yet: too few operations reach the threshold"
    return "\n".join(
        f"  {kind:<6}  " + ", ".join(f"{item.place} {item.op}" for item in genotype.items(kind))
        for kind in genotype.kinds
    )
