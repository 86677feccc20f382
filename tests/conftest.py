"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

import fairdarts_tf  # noqa: F401  (before TensorFlow, which then loads as it does in the commands)

# The same examples every time: a check that fails can be repeated, and one that passes passes again.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

PROJECT = Path(__file__).resolve().parents[1]

LONGEST = [
    "test_workers",
    "test_synchronized_replicas",
    "test_golden_supernet",
    "test_studies",
    "test_docstrings",
    "test_tuning",
    "test_replicas",
    "test_mobile_network",
    "test_mobile_search",
    "test_mobile_replicas",
    "test_kills",
    "test_precision_replicas",
    "test_train_run",
    "test_search_essentials",
    "test_search_precision",
    "test_kernels",
    "test_switches",
    "test_benchmark_command",
    "test_not_finite_search",
    "test_notebooks",
    "test_examples",
    "test_train_examples",
]
"""Modules that take longest, which come first: where several processes share the tests, none then ends alone."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference values and real data beside the checkout; tests that need it skip without it."""
    folder = PROJECT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("needs the reference values in ../shared, which are not part of the project")
    return folder
