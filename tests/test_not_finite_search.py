"""NaN in a search: which step is named, what is kept of it, and how the search goes on with half the rates."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from not_finite import with_nan
from tiny_search import EDGES, OPERATIONS, search, tiny_flags, tiny_settings, without_pictures

from fairdarts_tf import fitting
from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint
from fairdarts_tf.data import pipeline
from fairdarts_tf.errors import NotFiniteError
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.search_run import build_search, run_search
from fairdarts_tf.unrolled_search import UnrolledSearch

ALPHA_RATE = 3e-3

pytestmark = pytest.mark.filterwarnings("ignore:Even though the .*run_functions_eagerly:UserWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tiny step takes less time than tracing it, or than a picture."""
    without_pictures(monkeypatch)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_step_is_named_and_kept_and_the_search_can_go_on(tmp_path, monkeypatch, capsys):
    """A NaN among the images of the search half at the third step, the first of the second epoch."""
    flags = tiny_flags(tmp_path / "run", checkpoint_steps=1)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "bilevel_batches", with_nan(pipeline.bilevel_batches, 3))
        assert search(*flags) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    path = tmp_path / "run" / "not_finite-000000003.npz"
    assert "step 3 (epoch 2): NaN or infinity in the loss of the search half" in line
    assert str(path) in line and "--on_nan=retry" in line
    kept = arrays(path)
    assert kept["step"] == 3 and np.isnan(kept["search_images"]).all() and np.isfinite(kept["train_images"]).all()
    assert kept["what"].tolist()[:2] == ["the loss of the search half", "the gradient in the alphas"]
    assert kept["search_labels"].shape == kept["train_labels"].shape == (50,)
    assert kept["rates/weights"] == pytest.approx(0.003) and kept["rates/alphas"] == pytest.approx(ALPHA_RATE)
    before = arrays(tmp_path / "run" / "alphas.npz")
    for kind, table in before.items():
        np.testing.assert_array_equal(kept[f"alphas/{kind}"], table)
    largest = max(abs(table).max() for table in before.values())
    assert abs(kept["largest_alphas"][0]) == largest and len(kept["largest_alphas"]) == 2 * EDGES * len(OPERATIONS)
    kind, edge, operation = [part.split()[-1] for part in str(kept["largest_alphas_at"][0]).split(", ")]
    assert abs(before[kind][int(edge), int(operation)]) == largest
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    assert newest.stem.endswith("2") and all(
        np.isfinite(value).all() for value in load_checkpoint(newest).values() if value.dtype.kind == "f"
    )
    # The images of another start have no NaN.
    assert search(*flags) == 0
    assert len(rows(tmp_path / "run" / "history.csv")) == 2


@pytest.fixture
def too_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient in the weights is NaN at the third step, unless the rate is below 0.002."""
    gradients = Search.weight_gradients

    def patched(search: Search, batch: object) -> list[tf.Tensor]:
        overflows = (search.optimizer.iterations.value == 2) & (search.optimizer.learning_rate.value > 0.002)
        return [tf.where(overflows, float("nan"), gradient) for gradient in gradients(search, batch)]

    monkeypatch.setattr(Search, "weight_gradients", patched)


def test_a_retry_halves_both_rates_and_outlives_a_crash(tmp_path, monkeypatch, capsys, too_fast):
    settings = tiny_settings(on_nan="retry")
    result = run_search(settings, tmp_path / "run")
    error = capsys.readouterr().err
    assert "step 3 (epoch 2): NaN or infinity in the gradient in the weights" in error
    assert "from step 2 with half the learning rates, now 1/2 of" in error
    assert [row["learning_rate"] for row in result.history.rows] == [0.005, 0.0015]
    assert result.search.learning_rates() == {
        "weights": pytest.approx(0.0015),
        "alphas": pytest.approx(ALPHA_RATE / 2),
    }
    assert rows(tmp_path / "run" / "retries.csv") == [
        {"failed_step": "3", "what": "the gradient in the weights", "went_back_to": "2", "rate_factor": "0.5"}
    ]
    assert len(result.history.rows) == 2
    assert all(np.isfinite(table).all() for table in result.search.alphas().values())

    class CrashError(Exception):
        """Stands for a kill."""

    go_back = Recorder.go_back

    def crash(*arguments: object) -> None:
        go_back(*arguments)
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "go_back", crash)
        with pytest.raises(CrashError):
            run_search(settings, tmp_path / "crashed")
    again = run_search(settings, tmp_path / "crashed")
    np.testing.assert_equal(again.search.alphas(), result.search.alphas())
    assert again.history.rows[1]["train_loss"] == result.history.rows[1]["train_loss"]
    assert rows(tmp_path / "crashed" / "retries.csv") == rows(tmp_path / "run" / "retries.csv")


@pytest.mark.parametrize(
    ("step", "checkpoint_steps", "went_back_to", "message"),
    [
        # The step after the first checkpoint, which is the model as it was built: seen at the second time.
        (1, 0, ["0"], "whatever the learning rates"),
        # The step after the second checkpoint: at the second time it goes back to the first.
        pytest.param(2, 1, ["1", "0", "1"], "3 times did not help", marks=pytest.mark.slow),
    ],
)
def test_retries_end(tmp_path, monkeypatch, step, checkpoint_steps, went_back_to, message):
    """What no rate mends."""
    monkeypatch.setattr(pipeline, "bilevel_batches", with_nan(pipeline.bilevel_batches, step))
    monkeypatch.setattr(fitting, "MOST_RETRIES", 3)
    with pytest.raises(NotFiniteError, match=message):
        run_search(tiny_settings(on_nan="retry", checkpoint_steps=checkpoint_steps), tmp_path)
    assert [row["went_back_to"] for row in rows(tmp_path / "retries.csv")] == went_back_to
    factors = [float(row["rate_factor"]) for row in rows(tmp_path / "retries.csv")]
    assert factors == [0.5, 0.25, 0.125][: len(went_back_to)]


def test_a_step_that_depends_on_its_own_rate_is_tried_until_it_is_finite(tmp_path, monkeypatch):
    """The first step of the second order, whose gradient is NaN unless the rate is a quarter; each failure is kept."""
    gradients = UnrolledSearch.weight_gradients

    def patched(search: Search, batch: object) -> list[tf.Tensor]:
        overflows = search.optimizer.learning_rate.value > 0.002
        return [tf.where(overflows, float("nan"), gradient) for gradient in gradients(search, batch)]

    monkeypatch.setattr(UnrolledSearch, "weight_gradients", patched)
    run_search(tiny_settings(on_nan="retry", unrolled=True, epochs=1, steps_per_epoch=1, batch_size=10), tmp_path)
    assert [row["went_back_to"] for row in rows(tmp_path / "retries.csv")] == ["0", "0"]
    kept = [arrays(tmp_path / f"not_finite-000000001{number}.npz") for number in ("", "-1")]
    assert [float(each["rates/weights"]) for each in kept] == pytest.approx([0.005, 0.0025])


def test_what_a_step_computes_before_its_updates():
    first, second = (build_search(tiny_settings(unrolled=unrolled), SHAPE, CLASSES)[0] for unrolled in (False, True))
    assert first.before_updates == ("the loss of the search half", "the gradient in the alphas")
    assert second.before_updates == ()
    for model in (first, second):
        model.updates_alphas = False
        assert model.before_updates == ("the loss of the training half", "the gradient in the weights")


SHAPE, CLASSES = (8, 8, 1), 10


def batch(value: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    images = random.normal(size=(8, *SHAPE)).astype(np.float32) * value
    return tf.constant(images), tf.constant(random.integers(0, CLASSES, 8), tf.int32)


def found(search: Search, train: float = 1.0, searched: float = 1.0) -> set[str]:
    """Runs a step on such images and returns what of it is not finite."""
    search.finite_check.reset()
    search.train_step(batch(train) if type(search) is not Search else (batch(train), batch(searched)))
    return set(search.finite_check.found())


def test_each_half_is_told_from_the_other():
    search, _ = build_search(tiny_settings(), SHAPE, CLASSES)
    assert found(search) == set()
    of_weights = {"the loss of the training half", "the gradient in the weights"}
    assert found(search, train=float("inf")) == of_weights
    search, _ = build_search(tiny_settings(gradient_clip=0), SHAPE, CLASSES)
    search.updates_alphas = False
    assert found(search, searched=float("nan")) == set()
    assert found(search, train=float("nan")) == of_weights
    assert all(np.isfinite(table).all() for table in search.alphas_of_last_step().values())


def test_at_a_single_level():
    search, _ = build_search(tiny_settings(single_level=True), SHAPE, CLASSES)
    assert found(search) == set()
    assert found(search, train=float("nan")) == {
        "the loss of the training half",
        "the gradient in the weights",
        "the gradient in the alphas",
    }


def test_a_step_that_float16_skips_is_none_until_no_scale_helps():
    search, _ = build_search(tiny_settings(precision="mixed_float16"), SHAPE, CLASSES)
    search.optimizer.loss_scale.scale.assign(float("inf"))
    assert found(search) == set() and search.skipped_steps == 1
    search.optimizer.loss_scale.scale.assign(2.0**-16)
    gradients = search.weight_gradients
    search.weight_gradients = lambda batch: [gradient * float("nan") for gradient in gradients(batch)]
    assert found(search) == {"the gradient in the weights"} and search.skipped_steps == 2
    search.weight_gradients = gradients
    assert "the loss of the training half" in found(search, train=float("nan"))
