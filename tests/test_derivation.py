"""From values to genotypes: each method by hand, ties, missing nodes, margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf.derivation import METHODS, confidence, derive, format_report
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS

OPERATIONS = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
# Rows: node 2 from 0, 1; node 3 from 0, 1, 2.
VALUES = np.array(
    [
        [0.10, 0.86, 0.20],
        [0.90, 0.30, 0.88],
        [0.95, 0.94, 0.93],
        [0.50, 0.20, 0.84],
        [0.10, 0.70, 0.20],
    ]
)
EMPTY_NODE_2 = np.array(
    [
        [0.10, 0.20, 0.30],
        [0.40, 0.50, 0.60],
        [0.86, 0.20, 0.10],
        [0.10, 0.10, 0.10],
        [0.10, 0.99, 0.10],
    ]
)


def both(table: np.ndarray) -> dict[str, np.ndarray]:
    return {"normal": table, "reduce": table}


def items(table: np.ndarray, method: str, threshold: float = 0.85, operations=OPERATIONS):
    return derive(both(table), operations, method, threshold).normal


def test_darts_by_hand():
    assert items(VALUES, "darts") == (
        ("max_pool_3x3", 2, 1),
        ("skip_connect", 2, 0),
        ("max_pool_3x3", 3, 0),
        ("sep_conv_3x3", 3, 1),
    )


def test_threshold_sparse_by_hand():
    assert items(VALUES, "threshold_sparse") == (
        ("max_pool_3x3", 2, 1),
        ("skip_connect", 2, 0),
        ("max_pool_3x3", 3, 0),
    )


def test_threshold_edge_by_hand():
    assert items(VALUES, "threshold_edge") == (
        ("skip_connect", 2, 0),
        ("max_pool_3x3", 2, 1),
        ("sep_conv_3x3", 2, 1),
        ("max_pool_3x3", 3, 0),
        ("skip_connect", 3, 0),
    )


def test_the_threshold_itself_is_kept():
    assert len(items(VALUES, "threshold_sparse", 0.84)) == 4
    assert len(items(VALUES, "threshold_sparse", 0.8400001)) == 3


def test_ties_go_to_the_lower_index():
    equal = np.full((5, 3), 0.9)
    first_two = (
        ("max_pool_3x3", 2, 0),
        ("max_pool_3x3", 2, 1),
        ("max_pool_3x3", 3, 0),
        ("max_pool_3x3", 3, 1),
    )
    assert items(equal, "darts") == items(equal, "threshold_sparse") == first_two
    assert [item.op for item in items(equal, "threshold_edge")] == ["max_pool_3x3", "skip_connect"] * 5


def test_ties_among_many_edges_go_to_the_lower_index():
    nodes = 40
    strengths = np.random.default_rng(0).choice([0.1, 0.5, 0.9], nodes * (nodes + 3) // 2)
    found = items(np.repeat(strengths[:, None], 3, axis=1), "darts")
    expected, first = [], 0
    for inputs in range(2, nodes + 2):
        node = strengths[first : first + inputs]
        expected += sorted(range(inputs), key=lambda source, node=node: (-node[source], source))[:2]
        first += inputs
    assert [item.source for item in found] == expected


@pytest.mark.parametrize("method", METHODS)
def test_none_is_never_chosen(method):
    table = np.column_stack([np.ones(5), VALUES])
    assert items(table, method, operations=("none", *OPERATIONS)) == items(VALUES, method)


def test_an_empty_node_goes_with_what_reads_it():
    found = derive(both(EMPTY_NODE_2), OPERATIONS, "threshold_sparse", 0.85)
    # Node 3 loses its strongest edge, which came from node 2, and nothing takes that edge's place.
    assert found.normal == found.reduce == (("max_pool_3x3", 3, 0),)
    assert found.normal_concat == found.reduce_concat == (3,)
    assert found.pruned() == found


def test_darts_leaves_no_node_empty():
    found = derive(both(EMPTY_NODE_2), OPERATIONS, "darts")
    assert found.normal_concat == (2, 3) and len(found.normal) == 4


@pytest.mark.parametrize("derivation", [derive, confidence])
def test_an_empty_cell_names_its_largest_value(derivation):
    with pytest.raises(GenotypeError, match=r"reduce cell would be empty.*0\.97.*0\.9500.*--threshold.*--method=darts"):
        derivation({"normal": VALUES + 0.04, "reduce": VALUES}, OPERATIONS, "threshold_sparse", 0.97)


def test_a_cell_whose_only_operation_reads_an_empty_node_is_empty():
    table = np.full((5, 3), 0.1)
    table[4, 1] = 0.99
    with pytest.raises(GenotypeError, match=r"normal cell would be empty.*0\.9900"):
        items(table, "threshold_edge")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "dart"}, ConfigurationError, "Did you mean 'darts'"),
        ({"method": None}, ConfigurationError, "unknown method None"),
        ({"threshold": 1.5}, ConfigurationError, "from 0 to 1"),
        ({"threshold": "x"}, ConfigurationError, "threshold is 'x' (str), but must be a number"),
        ({"threshold": None}, ConfigurationError, "threshold is None (NoneType), but must be a number"),
        ({"max_skips": 1.5}, ConfigurationError, "max_skips is 1.5 (float), but must be a whole number"),
        ({"max_skips": "a"}, ConfigurationError, "max_skips is 'a' (str), but must be a whole number"),
        ({"threshold": float("nan")}, ConfigurationError, "from 0 to 1"),
        ({"operations": OPERATIONS[:2]}, GenotypeError, "2 operations"),
        ({"operations": ("max_pool_3x3", "skip", "sep_conv_3x3")}, GenotypeError, "unknown operation 'skip'"),
        ({"values": both(VALUES[:4])}, GenotypeError, "4 edges"),
        ({"values": both(VALUES[0])}, GenotypeError, "shape"),
        ({"values": both(VALUES * np.inf)}, GenotypeError, "not finite"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error) as raised:
        derive(**({"values": both(VALUES), "operations": OPERATIONS} | change))
    assert words in str(raised.value)


def tables(edges: int = 14, operations: int = 7) -> st.SearchStrategy[np.ndarray]:
    value = st.integers(0, 20).map(lambda number: number / 20)
    row = st.lists(value, min_size=operations, max_size=operations)
    return st.lists(row, min_size=edges, max_size=edges).map(np.array)


@settings(deadline=None)
@given(tables(), st.sampled_from(sorted(METHODS)), st.sampled_from([0.0, 0.5, 0.85]))
def test_what_every_derivation_keeps_to(table, method, threshold):
    try:
        found = derive(both(table), FAIRDARTS_OPERATIONS, method, threshold)
    except GenotypeError:
        assert method != "darts" and threshold > 0
        return
    assert found.pruned() == found
    rows = confidence(both(table), FAIRDARTS_OPERATIONS, method, threshold)
    assert tuple(row.item for row in rows if row.cell == "normal") == found.normal
    assert tuple(row.item for row in rows if row.cell == "reduce") == found.reduce
    assert all(row.smallest_margin >= 0 for row in rows)
    if method != "darts":
        assert all(row.value >= threshold for row in rows)


@settings(deadline=None)
@given(tables(operations=3))
def test_sparse_is_darts_without_weak_operations(table):
    kept = items(table, "darts")
    assert items(table, "threshold_sparse", 0.0) == kept
    try:
        assert set(items(table, "threshold_sparse", 0.5)) <= set(kept)
    except GenotypeError:
        assert table[:2].max() < 0.5


def rows_of(method: str, table: np.ndarray = VALUES):
    return {
        (row.item.op, *row.item[1:]): row for row in confidence(both(table), OPERATIONS, method) if row.cell == "normal"
    }


def test_margins_of_darts_by_hand():
    row = rows_of("darts")["sep_conv_3x3", 3, 1]
    assert (row.value, row.runner_up, row.runner_up_value) == (0.84, "max_pool_3x3", 0.50)
    assert row.margin == pytest.approx(0.34)
    assert (row.rejected_source, row.rejected_value) == (2, 0.70)
    assert row.rejected_margin == pytest.approx(0.14)
    assert row.threshold_margin is None
    assert row.smallest_margin == pytest.approx(0.14) and not row.coin_flip


def test_margins_where_nothing_was_rejected():
    row = rows_of("darts")["max_pool_3x3", 2, 1]
    assert row.rejected_source is row.rejected_value is row.rejected_margin is None
    assert row.margin == pytest.approx(0.02)


def test_margins_of_threshold_sparse_by_hand():
    row = rows_of("threshold_sparse")["max_pool_3x3", 3, 0]
    assert (row.rejected_source, row.rejected_value) == (1, 0.84)
    assert row.threshold_margin == pytest.approx(0.10)
    assert row.margin == pytest.approx(0.01)


def test_margins_of_threshold_edge_by_hand():
    row = rows_of("threshold_edge")["max_pool_3x3", 3, 0]
    # Two operations of the edge are kept: their competitor is the third.
    assert (row.runner_up, row.runner_up_value) == ("sep_conv_3x3", 0.93)
    assert row.rejected_source is None


def test_an_edge_dropped_with_its_node_is_no_competitor():
    row = rows_of("threshold_sparse", EMPTY_NODE_2)["max_pool_3x3", 3, 0]
    assert row.rejected_source == 1


@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ([[0.95, 0.945, 0.1], [0.9, 0.1, 0.1]], "margin"),
        ([[0.855, 0.1, 0.1], [0.9, 0.1, 0.1]], "threshold_margin"),
    ],
)
def test_coin_flips(table, cause):
    row = rows_of("threshold_sparse", np.array(table))["max_pool_3x3", 2, 0]
    assert row.coin_flip and row.smallest_margin == getattr(row, cause)
    assert not rows_of("threshold_sparse", np.array(table))["max_pool_3x3", 2, 1].coin_flip


def test_coin_flip_between_edges():
    table = np.zeros((5, 3))
    table[:, 0] = [0.9, 0.9, 0.95, 0.9, 0.895]
    rows = rows_of("threshold_sparse", table)
    assert rows["max_pool_3x3", 3, 1].coin_flip and not rows["max_pool_3x3", 3, 0].coin_flip


def test_a_single_operation_has_no_runner_up():
    (row, *_) = confidence(both(np.full((2, 1), 0.9)), ("skip_connect",))
    assert row.runner_up is row.margin is None


def test_report_is_an_aligned_table():
    text = format_report(confidence(both(VALUES), OPERATIONS, "threshold_sparse"))
    head, *lines, last = text.splitlines()
    assert len(lines) == 6
    assert [line.split()[0] for line in lines] == ["normal"] * 3 + ["reduce"] * 3
    start = head.index("operation")
    assert {line[start:].split()[0] for line in lines} == {"max_pool_3x3", "skip_connect"}
    assert sum("coin flip" in line for line in lines) == int(last.split()[0])
    assert not any(line != line.rstrip() for line in text.splitlines())


SKIPPY = np.array(
    [
        [0.10, 0.97, 0.20],
        [0.10, 0.90, 0.96],
        [0.20, 0.99, 0.10],
        [0.30, 0.95, 0.20],
        [0.10, 0.20, 0.88],
    ]
)


def test_the_weakest_skips_go_until_few_enough_are_left():
    """Node 2 keeps its skip; node 3 loses its weaker one, and the next edge takes its place."""
    values = both(SKIPPY)
    three = derive(values, OPERATIONS)
    assert [item.op for item in three.normal].count("skip_connect") == 3
    two = derive(values, OPERATIONS, max_skips=2)
    assert two.normal == (
        ("skip_connect", 2, 0),
        ("sep_conv_3x3", 2, 1),
        ("skip_connect", 3, 0),
        ("sep_conv_3x3", 3, 2),
    )
    assert two.reduce == three.reduce == three.normal
    assert [row.item for row in confidence(values, OPERATIONS, max_skips=2) if row.cell == "normal"] == list(two.normal)
    none = derive(values, OPERATIONS, max_skips=0)
    assert none.normal == (("sep_conv_3x3", 2, 1), ("sep_conv_3x3", 3, 2))


def test_of_equal_skips_the_last_goes():
    equal = np.tile([0.1, 0.9, 0.2], (5, 1))
    assert items(equal, "darts")[1] == ("skip_connect", 2, 1)
    found = derive(both(equal), OPERATIONS, "darts", max_skips=3).normal
    assert [item.op for item in found if item.to == 2] == ["skip_connect"] * 2
    # Its place falls to the skip of the next edge, which is one too many again.
    assert [(item.op, item.source) for item in found if item.to == 3] == [("skip_connect", 0), ("sep_conv_3x3", 1)]


@settings(deadline=None)
@given(tables(), st.sampled_from(sorted(METHODS)), st.integers(0, 4))
def test_limited_skips_by_their_plain_definition(table, method, most):
    """P-DARTS: the weakest skip's value becomes 0, and the cell is derived anew."""
    table = 0.02 + 0.9 * table + 1e-6 * np.arange(table.size).reshape(table.shape)
    column = FAIRDARTS_OPERATIONS.index("skip_connect")

    def plain(values):
        found = derive({"normal": values, "reduce": table}, FAIRDARTS_OPERATIONS, method, 0.5)
        skips = [item for item in found.normal if item.op == "skip_connect"]
        if len(skips) <= most:
            return found
        edges = [item.to * (item.to - 1) // 2 - 1 + item.source for item in skips]
        values = values.copy()
        values[min(edges, key=lambda edge: values[edge, column]), column] = 0
        return plain(values)

    try:
        expected = plain(table)
    except GenotypeError:
        with pytest.raises(GenotypeError):
            derive(both(table), FAIRDARTS_OPERATIONS, method, 0.5, most)
        return
    assert derive(both(table), FAIRDARTS_OPERATIONS, method, 0.5, most) == expected


def test_a_cell_of_skips_alone_is_empty_without_them():
    table = np.full((5, 1), 0.9)
    with pytest.raises(GenotypeError, match="--max_skips=0"):
        derive(both(table), ("skip_connect",), "darts", max_skips=0)
    with pytest.raises(ConfigurationError, match="0 or more"):
        derive(both(table), ("skip_connect",), max_skips=-1)
