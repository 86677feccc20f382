"""The lines that a search prints after each epoch."""

from __future__ import annotations

from fairdarts_tf.durations import in_words
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row


def describe_epoch(row: Row, epochs: int, genotype: AnyGenotype | None) -> str:
    """Returns one line of numbers and one for each kind of the genotype so far: its cells, or its layers."""
    parts = [f"epoch {row['epoch']}/{epochs}", _half(row, "train")]
    if row["search_loss"] is not None:
        parts.append(_half(row, "search"))
    if row["zero_one"] is not None:
        parts.append(f"zero-one {row['zero_one']:z.4f}")
    parts += [
        f"on/off/undecided {row['operations_on']}/{row['operations_off']}/{row['operations_undecided']}",
        f"skips {'+'.join(str(value) for name, value in row.items() if name.endswith('_skips'))}",
        f"{row['seconds']:.1f} s",
        f"about {in_words(row['seconds'] * (epochs - row['epoch']))} left",
    ]
    return "\n".join(["  ".join(parts), *_cells(genotype)])


def _half(row: Row, half: str) -> str:
    return f"{half} loss {row[f'{half}_loss']:.4f} accuracy {100 * row[f'{half}_accuracy']:.2f} %"


def _cells(genotype: AnyGenotype | None) -> list[str]:
    if genotype is None:
        return ["  no genotype yet: too few operations reach the threshold"]
    return [
        f"  {kind:<6}  " + ", ".join(f"{item.place} {item.op}" for item in genotype.items(kind))
        for kind in genotype.kinds
    ]
