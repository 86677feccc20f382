"""Reading TF_CONFIG: which workers there are, and which of them this one is."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf.cluster import Cluster, read_cluster
from fairdarts_tf.devices import cluster_of
from fairdarts_tf.errors import ConfigurationError

TWO = ["10.0.0.1:12345", "node-2.example:12345"]


def read(config: object) -> Cluster:
    return read_cluster({"TF_CONFIG": config if isinstance(config, str) else json.dumps(config)})


def config(cluster: object, kind: object = "worker", index: object = 0) -> dict[str, object]:
    return {"cluster": cluster, "task": {"type": kind, "index": index}}


@pytest.mark.parametrize("index", [0, 1, "1"])
def test_workers(index: int | str):
    cluster = read(config({"worker": TWO}, index=index))
    assert cluster == Cluster(tuple(TWO), int(index))
    assert cluster.has_several and cluster.is_chief == (int(index) == 0)


def test_a_chief_comes_first():
    both = {"worker": TWO, "chief": ["chief:1"]}
    assert read(config(both, "chief")) == Cluster(("chief:1", *TWO), 0)
    assert read(config(both, "worker", 1)) == Cluster(("chief:1", *TWO), 2)


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}}'])
def test_no_cluster(text: str):
    assert read_cluster({"TF_CONFIG": text}) == read_cluster({}) == Cluster()
    assert not Cluster().has_several and Cluster().is_chief


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[" * 100_000,
        config(["a:1"]),
        config({"ps": ["a:1"]}),
        config({"worker": "a:1"}),
        config({"worker": ["a"]}),
        config({"worker": ["a:0"]}),
        config({"worker": ["a:1", "a:1"]}),
        config({"worker": []}),
        config({"chief": ["a:1", "b:1"]}),
        config({"worker": TWO}, index=2),
        config({"worker": TWO}, index=-1),
        config({"worker": TWO}, index=True),
        config({"worker": TWO}, kind="chief"),
        config({"worker": TWO}, kind=["worker"]),
        {"cluster": {"worker": TWO}},
    ],
)
def test_what_is_broken_is_refused(broken: object):
    with pytest.raises(ConfigurationError, match="TF_CONFIG .*Expected: .*docs/scaling.md"):
        read(broken)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["cluster", "worker", "task", "type", "x"]), inner),
)


@settings(max_examples=200, deadline=None)
@given(st.text() | JSON.map(json.dumps))
def test_whatever_it_holds_gives_a_cluster_or_one_error(text: str):
    with contextlib.suppress(ConfigurationError):
        assert read(text).index >= 0


def test_which_strategies_look_at_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(config({"worker": TWO})))
    assert cluster_of("auto").has_several and cluster_of("multi_worker").has_several
    assert not cluster_of("none").has_several and not cluster_of("mirrored").has_several
    monkeypatch.delenv("TF_CONFIG")
    assert not cluster_of("auto").has_several
    with pytest.raises(ConfigurationError, match="--strategy=mirrored"):
        cluster_of("multi_worker")
