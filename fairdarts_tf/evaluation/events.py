"""What TensorBoard shows of an evaluation: its numbers and the confusion matrix."""

from __future__ import annotations

import os

import tensorflow as tf

from fairdarts_tf.evaluation.result import Evaluation
from fairdarts_tf.event_files import readable_errors, write_row
from fairdarts_tf.event_pictures import write_picture
from fairdarts_tf.report.confusion import draw_confusion
from fairdarts_tf.runs import Run


def write_events(evaluation: Evaluation, directory: str | os.PathLike[str]) -> None:
    """Writes an evaluation to the event files of a directory, beside those of the run that it holds.

    Args:
        evaluation: What was found.
        directory: Its ``tensorboard`` directory is written; made if absent.

    Raises:
        RunError: When the files cannot be written.
    """
    run, split = Run(directory), evaluation.split or "images"
    measures = evaluation.measures
    numbers = {"top_1_accuracy": measures.top_1, f"top_{measures.k}_accuracy": measures.top_k, "loss": measures.loss}
    with readable_errors(run):
        writer = tf.summary.create_file_writer(str(run.tensorboard))
        with writer.as_default(step=0):
            write_row(numbers, f"evaluation/{split}/")
            write_picture(f"confusion/{split}", draw_confusion(measures.confusion, evaluation.class_names))
        writer.close()
