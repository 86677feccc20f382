"""The compiled kernels: each against TensorFlow's own operations in float64, and how they are built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gradient_testing import assert_as_exact, gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf import convolutions
from fairdarts_tf.kernels import library as built
from fairdarts_tf.kernels.terms import (
    BatchNorm,
    moved_statistics,
    normalized_terms,
    scaled_terms,
    separable_terms,
    sum_terms,
)

EPSILON = 1e-5
few = settings(max_examples=12, deadline=None, derandomize=True)
needs_kernels = pytest.mark.skipif(built.library() is None, reason="the kernels cannot be compiled here")


def batch_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    return tf.nn.batch_normalization(x, *tf.nn.moments(x, [0, 1, 2]), beta, gamma, EPSILON)


@needs_kernels
@few
@given(
    st.tuples(st.integers(2, 19), st.integers(2, 19)),
    st.sampled_from([1, 3, 8, 16, 20]),
    st.sampled_from([1, 5, 16, 32, 48, 65]),
    st.integers(1, 3),
    st.sampled_from([3, 5, 7]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
    st.integers(1, 2),
)
def test_separable(
    size: tuple[int, int], channels: int, filters: int, edges: int, side: int, stride: int, dilation: int, count: int
):
    """Outputs and all gradients of one and two stages with BatchNorm, whatever the channels, sides and strides."""
    random = np.random.default_rng(side)
    widths = [channels, filters, filters]
    weights = []
    for before, after in zip(widths[:count], widths[1:], strict=False):
        shapes = (side, side, before, 1), (1, 1, before, after), (after,), (after,)
        weights += [random.normal(size=(edges, *shape)) for shape in shapes]
    tensors = [random.normal(size=(3, *size, channels)), *weights]

    def fast(images: tf.Tensor, *weights: tf.Tensor) -> list:
        stages = [weights[4 * i : 4 * i + 4] for i in range(count)]
        norms = [BatchNorm(gamma, beta, EPSILON) for *_, gamma, beta in stages]
        terms = separable_terms(images, [stage[:2] for stage in stages], norms, stride, dilation)[-1]
        return [sum_terms([term]) for term in terms]

    def plain(images: tf.Tensor, *weights: tf.Tensor) -> list:
        outputs = [images] * edges
        for index in range(count):
            depthwise, pointwise, gamma, beta = weights[4 * index : 4 * index + 4]
            for e, x in enumerate(outputs):
                between = convolutions.depthwise(tf.nn.relu(x), depthwise[e], 1 if index else stride, dilation)
                outputs[e] = batch_norm(convolutions.pointwise(between, pointwise[e]), gamma[e], beta[e])
        return outputs

    found, exact = gradients(fast, tensors, "float32"), gradients(plain, tensors, "float64")
    assert_as_exact(found, exact, gradients(plain, tensors, "float32"))


@needs_kernels
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
@pytest.mark.parametrize("shared", [False, True])
def test_sum_of_normalised_and_scaled_tensors(channels: int, shared: bool):
    random = np.random.default_rng(channels)
    count = 1 if shared else 3
    images = [random.normal(1.0, 2.0, size=(2, 5, 7, channels)) for _ in range(count)]
    weights = [random.normal(size=(3, channels)), random.normal(size=(3, channels)), random.normal(size=(3, 1))]

    def fast(gamma: tf.Tensor, beta: tf.Tensor, scales: tf.Tensor, *images: tf.Tensor) -> list:
        terms = normalized_terms(images, BatchNorm(gamma, beta, EPSILON), 3) + scaled_terms(images[0], scales)
        return [sum_terms(terms), sum_terms(normalized_terms(images, BatchNorm(scales, None, EPSILON), 3))]

    def plain(gamma: tf.Tensor, beta: tf.Tensor, scales: tf.Tensor, *images: tf.Tensor) -> list:
        edges = images * 3 if shared else images
        normalised = [batch_norm(x, gamma[e], beta[e]) for e, x in enumerate(edges)]
        scaled = [batch_norm(x, scales[e], tf.zeros_like(beta[e])) for e, x in enumerate(edges)]
        return [tf.add_n([*normalised, *[images[0] * scales[e] for e in range(3)]]), tf.add_n(scaled)]

    tensors = [*weights, *images]
    assert_as_exact(gradients(fast, tensors, "float32"), gradients(plain, tensors, "float64"))


@needs_kernels
def test_running_statistics_take_the_unbiased_variance():
    random = np.random.default_rng(0)
    images = random.normal(3.0, 2.0, size=(4, 3, 3, 5))
    old = random.normal(size=(2, 1, 5)).astype("float32")
    terms = normalized_terms([tf.constant(images, "float32")], BatchNorm(None, None, EPSILON), 1)
    found = moved_statistics(terms, *old, share=0.25)
    expected = images.mean((0, 1, 2)), images.var((0, 1, 2), ddof=1)
    for new, before, batch in zip(found, old, expected, strict=True):
        np.testing.assert_allclose(new[0], 0.75 * before[0] + 0.25 * batch, rtol=1e-5)


@needs_kernels
def test_a_mean_far_from_zero_costs_no_digits():
    images = np.random.default_rng(0).normal(1000.0, 1.0, size=(8, 9, 9, 16)).astype("float32")
    (term,) = normalized_terms([tf.constant(images)], BatchNorm(None, None, EPSILON), 1)
    exact = images.astype("float64")
    normalised = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + EPSILON)
    np.testing.assert_allclose(sum_terms([term]), normalised, atol=2e-4)


@needs_kernels
def test_what_is_not_a_number_stays_that():
    images = np.ones((1, 4, 4, 3), "float32")
    images[0, 0, 0, 0] = np.nan
    kernels = tf.ones([1, 3, 3, 3, 1]), tf.ones([1, 1, 1, 3, 2])
    ((term,),) = separable_terms(tf.constant(images), [kernels], [BatchNorm(None, None, EPSILON)], stride=1)
    assert np.isnan(sum_terms([term])).all()


@needs_kernels
def test_shapes_that_do_not_fit_are_refused():
    kernels = tf.ones([1, 3, 3, 4, 1]), tf.ones([1, 1, 1, 3, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not fit"):
        separable_terms(tf.ones([1, 4, 4, 3]), [kernels], [BatchNorm(None, None, EPSILON)], stride=1)


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Loads the kernels in a process of its own, whose cache is a folder."""
    code = "from fairdarts_tf.kernels.library import library; print(library() is not None)"
    variables = os.environ | {"XDG_CACHE_HOME": str(folder)} | environment
    variables.pop(built.SWITCH, None)
    return subprocess.run(
        [sys.executable, "-c", code], env=variables | environment, capture_output=True, text=True, check=True
    )


@needs_kernels
def test_are_compiled_once_and_again_where_they_are_not_whole(tmp_path: Path):
    assert start(tmp_path, CC="cc -O3").stdout == "True\n"
    (library,) = (tmp_path / "fairdarts_tf").glob("*.so")
    written, whole = library.stat().st_mtime_ns, library.read_bytes()
    assert start(tmp_path, CC="cc -O3").stdout == "True\n"
    assert library.stat().st_mtime_ns == written
    library.write_bytes(whole[: len(whole) // 2])
    assert start(tmp_path, CC="cc -O3").stdout == "True\n"
    assert library.read_bytes() == whole


@needs_kernels
def test_no_gradient_is_left_unwritten():
    row = tf.ones([4, 3])
    images = tf.ones([1, 2, 2, 3])
    (of_row,) = built.library().fairdarts_normalized_sum_gradient(tensors=[images], rows=[row], upstream=images)
    np.testing.assert_array_equal(of_row, [[-4.0] * 3, [0.0] * 3, [4.0] * 3, [0.0] * 3])


@needs_kernels
@pytest.mark.parametrize(
    "change", [{"rows": [np.ones((4, 3), "float32")]}, {"images": [np.ones((1, 0, 4, 3), "float32")]}]
)
def test_rows_of_a_shared_image_and_images_without_pixels_are_refused(change: dict):
    inputs = {
        "images": [tf.ones([1, 4, 4, 3])],
        "rows": [],
        "depthwise": tf.ones([2, 3, 3, 3, 1]),
        "pointwise": tf.ones([2, 1, 1, 3, 2]),
        "gamma": tf.zeros([0]),
        "beta": tf.zeros([0]),
    }
    options = {"edges": 2, "stride": 1, "dilation": 1, "epsilon": EPSILON, "of_kernels": True}
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not fit"):
        built.library().fairdarts_separable(**inputs | change, **options)


@needs_kernels
def test_without_a_cache_they_are_compiled_for_the_process_alone(tmp_path: Path):
    (tmp_path / "fairdarts_tf").write_text("in the way")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert start(tmp_path, TMPDIR=str(temporary)).stdout == "True\n"
    assert not any(path.name.startswith("fairdarts_tf-") for path in temporary.iterdir())


def test_without_a_compiler_a_note_says_what_it_costs(tmp_path: Path):
    found = start(tmp_path, CC="no-such-compiler")
    assert found.stdout == "False\n"
    (note,) = [line for line in found.stderr.splitlines() if line.startswith("note:")]
    assert "twice as long" in note and "no C compiler" in note


def test_a_compiler_that_fails_is_quoted(tmp_path: Path):
    broken = tmp_path / "cc"
    broken.write_bytes(b"#!/bin/sh\necho 'error: no floor for the probl\xe8me' >&2; exit 1\n")
    broken.chmod(0o755)
    found = start(tmp_path, CC=str(broken))
    assert found.stdout == "False\n"
    assert "no floor" in found.stderr
    assert "Traceback" not in found.stderr


def test_can_be_switched_off(tmp_path: Path):
    found = start(tmp_path, **{built.SWITCH: "0"})
    assert found.stdout == "False\n"
    assert "note:" not in found.stderr


def test_a_portable_graph_has_none():
    assert not built.usable(tf.float64)
    with built.portable_graph():
        assert not built.usable(tf.float32)
        with built.portable_graph(False):
            assert not built.usable(tf.float32)
    assert built.usable(tf.float32) == (built.library() is not None)


@needs_kernels
@pytest.mark.parametrize(
    ("precision", "xla", "synchronized", "said"),
    [
        ("float32", False, False, ""),
        ("float32", True, False, "--xla"),
        ("mixed_bfloat16", False, True, "--precision=mixed_bfloat16 and --sync_batch_norm on several replicas"),
    ],
)
def test_a_run_without_them_says_why(capsys, precision: str, xla: bool, synchronized: bool, said: str):
    built.say_if_left_out(precision, xla, synchronized)
    error = capsys.readouterr().err
    assert (f"with {said} cells" in error) if said else not error
