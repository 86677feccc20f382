"""What an evaluation found, as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from pathlib import Path

from fairdarts_tf.evaluation.measures import ClassScores, Measures, class_scores
from fairdarts_tf.files import write_atomically, write_text_atomically
from fairdarts_tf.report.confusion import confusion_png


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a network tells the images of a split apart.

    Attributes:
        class_names: By label.
        measures: Accuracy, loss and confusion matrix.
        dataset: Name of the data set; empty where it is not known.
        split: Name of the split; empty where it is not known.
        weights: Which weights the network had, in words; empty where it is not known.
    """

    class_names: tuple[str, ...]
    measures: Measures
    dataset: str = ""
    split: str = ""
    weights: str = ""

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.measures.confusion.sum())

    def to_json(self) -> str:
        """Returns JSON text, one class a line; a score that is not defined is null."""
        measures = self.measures
        fields = {
            "dataset": self.dataset,
            "split": self.split,
            "weights": self.weights,
            "images": self.images,
            "top_1_accuracy": measures.top_1,
            f"top_{measures.k}_accuracy": measures.top_k,
            "loss": measures.loss,
        }
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
        lines.append(f'"classes": {_list(_class_fields(self.class_names, class_scores(measures.confusion)))}')
        lines.append(f'"confusion_matrix": {_list(measures.confusion.tolist())}')
        return "{\n  " + ",\n  ".join(lines) + "\n}"

    def to_text(self) -> str:
        """Returns a table for people."""
        measures = self.measures
        source = f"{self.dataset}, {self.split}: " if self.dataset else ""
        lines = [f"{source}{self.images} images of {len(self.class_names)} classes"]
        lines += [f"weights: {self.weights}"] if self.weights else []
        lines.append("")
        lines.append(f"top-1 accuracy  {measures.top_1:8.2%}")
        lines.append(f"top-{measures.k} accuracy  {measures.top_k:8.2%}")
        lines.append(f"loss            {measures.loss:8.4f}  (mean cross-entropy, nats)")
        return "\n".join([*lines, "", *_table(self.class_names, class_scores(measures.confusion))])

    def save(self, directory: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Writes ``evaluation_SPLIT.json`` and ``confusion_SPLIT.png`` and returns their paths.

        Args:
            directory: Made if absent.

        Raises:
            OSError: When a file cannot be written; an older one is then untouched.
        """
        # A split may be a slice, as test[:50%].
        suffix = re.sub(r"[^\w-]+", "_", self.split).strip("_") or "images"
        table, picture = (Path(directory, name) for name in (f"evaluation_{suffix}.json", f"confusion_{suffix}.png"))
        table.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(table, self.to_json() + "\n")
        write_atomically(picture, lambda file: file.write(confusion_png(self.measures.confusion, self.class_names)))
        return table, picture


def _class_fields(names: tuple[str, ...], scores: ClassScores) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            **{score: _or_none(getattr(scores, score)[label]) for score in ("precision", "recall", "f1")},
            "count": int(scores.count[label]),
        }
        for label, name in enumerate(names)
    ]


def _or_none(score: float) -> float | None:
    return None if math.isnan(score) else float(score)


def _list(items: list[object]) -> str:
    return "[\n    " + ",\n    ".join(json.dumps(item) for item in items) + "\n  ]"


def _table(names: tuple[str, ...], scores: ClassScores) -> list[str]:
    width = max(len("class"), *(len(name) for name in names))
    lines = [f"{'class':{width}}  precision    recall        F1   images"]
    for label, name in enumerate(names):
        shares = "".join(f"{_percent(column[label]):>10}" for column in (scores.precision, scores.recall, scores.f1))
        lines.append(f"{name:{width}} {shares}{scores.count[label]:9d}")
    return lines


def _percent(score: float) -> str:
    return "-" if math.isnan(score) else f"{score:.2%}"
