"""Accuracy, loss and scores of each class against scikit-learn's; the picture of the confusion matrix."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from fairdarts_tf.errors import DataError, RunError
from fairdarts_tf.evaluation.measures import class_scores, log_of, log_softmax, measure
from fairdarts_tf.evaluation.result import Evaluation
from fairdarts_tf.report.confusion import confusion_png, draw_confusion


def logits_and_labels(classes: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits that favour the labels; the last class has no images, the one before is never preferred."""
    random = np.random.default_rng(classes)
    labels = random.integers(0, max(classes - 1, 1), count).astype(np.int32)
    logits = random.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 1
    logits[:, -2] -= 20 if classes > 3 else 0
    return logits, labels


@pytest.mark.parametrize("classes", [2, 3, 5, 6, 40])
def test_equal_scikit_learn(classes):
    logits, labels = logits_and_labels(classes)
    every = np.arange(classes)
    found = measure(log_softmax(logits), labels)
    chosen = logits.argmax(axis=1)
    assert found.k == min(5, classes)
    assert found.top_1 == metrics.accuracy_score(labels, chosen)
    if classes > found.k:
        assert found.top_k == metrics.top_k_accuracy_score(labels, logits, k=5, labels=every)
    else:
        assert found.top_k == 1
    probabilities = np.exp(log_softmax(logits))
    assert found.loss == pytest.approx(metrics.log_loss(labels, probabilities, labels=every), rel=1e-6)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, chosen, labels=every))
    scores = class_scores(found.confusion)
    expected = metrics.precision_recall_fscore_support(labels, chosen, labels=every, zero_division=np.nan)
    for score, value in zip((scores.precision, scores.recall, scores.f1, scores.count), expected, strict=True):
        assert np.allclose(score, value, equal_nan=True)


def test_probabilities_give_what_logits_give():
    logits, labels = logits_and_labels(6)
    probabilities = np.exp(log_softmax(logits)).astype(np.float32)
    assert measure(log_of(probabilities), labels).loss == pytest.approx(measure(log_softmax(logits), labels).loss)


def test_large_logits_and_probabilities_of_zero_stay_finite():
    labels = np.array([1, 0], np.int32)
    assert measure(log_softmax(np.array([[1e4, 0.0], [0.0, -1e4]], np.float32)), labels).loss == pytest.approx(5000)
    assert measure(log_of(np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)), labels).loss == pytest.approx(43.7, abs=0.1)


def test_of_equal_classes_the_lower_label_is_first():
    found = measure(np.zeros((3, 7)), np.array([0, 4, 5], np.int32))
    assert (found.top_1, found.top_k) == (1 / 3, 2 / 3)
    assert found.confusion[:, 0].sum() == 3


def test_unfit_arrays():
    with pytest.raises(DataError, match="do not belong together"):
        measure(np.zeros((3, 2)), np.zeros(2, np.int32))
    with pytest.raises(DataError, match="labels run from 0 to 2"):
        measure(np.zeros((3, 2)), np.arange(3, dtype=np.int32))
    with pytest.raises(RunError, match="1 of 3 images is no number"):
        measure(np.array([[0, 1], [0, np.nan], [1, 0]]), np.zeros(3, np.int32))


def test_undefined_scores_are_null_and_a_dash(tmp_path):
    logits, labels = logits_and_labels(5)
    found = Evaluation(tuple("abcde"), measure(log_softmax(logits), labels), "digits", "test[:50%]", "best epoch")
    document = json.loads(found.to_json())
    # Never preferred; without images.
    assert document["classes"][3]["precision"] is None and document["classes"][3]["recall"] == 0
    assert document["classes"][4]["recall"] is None and document["classes"][4]["count"] == 0
    assert np.array_equal(document["confusion_matrix"], found.measures.confusion)
    assert document["top_5_accuracy"] == 1 and document["images"] == 400
    *_, row = found.to_text().splitlines()
    assert row.split()[0] == "e" and "-" in row.split()
    table, picture = found.save(tmp_path / "new")
    assert (table.name, picture.name) == ("evaluation_test_50.json", "confusion_test_50.png")
    assert json.loads(table.read_text()) == document


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_picture_shows_every_class(classes):
    confusion = np.zeros((classes, classes), np.int64)
    confusion[np.arange(classes), (np.arange(classes) + 1) % classes] = 3
    names = [f"class ${label} of many, with a long name" for label in range(classes)]
    axes = draw_confusion(confusion, names).axes[0]
    cell = axes.get_window_extent().width / classes
    assert cell >= 2 and cell == pytest.approx(round(cell), abs=1e-6)
    texts = [label.get_text() for label in axes.get_yticklabels()]
    assert texts[0] == "class $0 of many, w…"
    # Names must not overlap.
    positions = [label.get_window_extent() for label in axes.get_yticklabels()[:2]]
    assert not positions[0].overlaps(positions[1])
    image = np.asarray(Image.open(io.BytesIO(confusion_png(confusion, names))).convert("RGB"))
    assert max(image.shape) < 2600
    darkest = (image == [8, 48, 107]).all(axis=2).sum()  # The last of Matplotlib's "Blues".
    assert 0.7 * classes * cell**2 <= darkest <= 1.1 * classes * cell**2


def test_picture_has_counts_where_there_is_room():
    axes = draw_confusion(np.array([[7, 1], [0, 1234]]), ["a", "b"]).axes[0]
    assert {"7", "1", "1234"} <= {text.get_text() for text in axes.texts}
    axes = draw_confusion(np.eye(100, dtype=np.int64) * 77, [str(label) for label in range(100)]).axes[0]
    assert "77" not in {text.get_text() for text in axes.texts}
