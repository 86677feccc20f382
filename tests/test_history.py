"""The history of a search: rows, alphas, and what is counted."""

from __future__ import annotations

import csv

import numpy as np

from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.history import COLUMNS, History, count_operations

OPERATIONS = ("skip_connect", "sep_conv_3x3")
GENOTYPE = Genotype(
    normal=(("skip_connect", 2, 0), ("skip_connect", 2, 1)),
    normal_concat=(2,),
    reduce=(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1)),
    reduce_concat=(2,),
)
WEIGHTS = {
    "normal": np.array([[0.9, 0.85], [0.1, 0.5]]),
    "reduce": np.array([[0.15, 0.16], [0.84, 0.99]]),
}


def history() -> History:
    found = History()
    for epoch in (1, 2):
        tables = {kind: np.full((2, 2), epoch + 0.1) for kind in ("normal", "reduce")}
        found.append({"epoch": epoch, "train_loss": 1 / 3, "normal_skips": 2, "unknown": 1}, tables)
    return found


def test_csv_has_every_column_and_leaves_blank_what_was_not_measured():
    rows = list(csv.DictReader(history().csv().splitlines()))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[1]["epoch"] == "2" and rows[1]["normal_skips"] == "2"
    assert rows[1]["search_loss"] == "" == rows[1]["zero_one"]
    assert float(rows[0]["train_loss"]) == np.float32(1 / 3) or abs(float(rows[0]["train_loss"]) - 1 / 3) < 1e-9


def test_arrays_are_float32_by_epoch():
    arrays = history().arrays()
    assert sorted(arrays) == ["epoch", "normal", "reduce"]
    assert arrays["epoch"].tolist() == [1, 2]
    assert arrays["normal"].shape == (2, 2, 2) and arrays["normal"].dtype == np.float32
    np.testing.assert_array_equal(arrays["reduce"][1], np.full((2, 2), 2.1, np.float32))


def test_an_empty_history():
    assert History().csv() == ",".join(COLUMNS) + "\n"
    assert History.from_arrays(History().to_arrays()) == History()


def test_reads_back_what_it_wrote_to_the_bit():
    again = History.from_arrays(history().to_arrays())
    assert again.rows == history().rows
    assert again.csv() == history().csv()
    for kind in ("normal", "reduce"):
        np.testing.assert_array_equal(again.arrays()[kind], history().arrays()[kind])


def test_counts_at_the_threshold():
    counts = count_operations(WEIGHTS, {}, 0.85, GENOTYPE)
    assert (counts["operations_on"], counts["operations_off"], counts["operations_undecided"]) == (3, 2, 3)
    assert (counts["normal_above_threshold"], counts["reduce_above_threshold"]) == (2, 1)
    assert (counts["normal_skips"], counts["reduce_skips"]) == (2, 1)


def test_counts_add_up_where_on_and_off_overlap():
    counts = count_operations(WEIGHTS, {}, 0.2, None)
    assert counts["operations_on"] + counts["operations_off"] + counts["operations_undecided"] == 8
    assert counts["operations_undecided"] == 0
    assert counts["normal_skips"] == counts["reduce_skips"] == 0
