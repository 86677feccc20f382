"""Search space S2: its layout, what is in play, how a genotype is derived, what it costs, what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tiny_mobile import FIELDS, OPERATIONS, SPACE

from fairdarts_tf.alphas import load_alphas, load_history
from fairdarts_tf.costs import Cost, NetworkSize, network_cost, network_parts
from fairdarts_tf.derivation import format_report
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.history import columns_for, count_operations
from fairdarts_tf.mobile_costs import choice_parts, fixed_parts
from fairdarts_tf.profiling.counts import count
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.sensitivity import DerivationSettings, agreement, row_shares
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import recorded_space, space_of
from fairdarts_tf.spaces.mobile import MobileSpace

IMAGENET = NetworkSize(image_size=224, num_classes=1000)


def test_defaults_are_the_papers():
    space = MobileSpace()
    assert space.operations == (
        "mbconv3_3x3",
        "mbconv3_5x5",
        "mbconv3_7x7",
        "mbconv6_3x3",
        "mbconv6_5x5",
        "mbconv6_7x7",
        "skip_connect",
    )
    assert space.alpha_shapes == {"layers": (21, 7)}
    assert [layer.number for layer in space.layers if not layer.keeps_shape] == [1, 5, 9, 13, 17, 21]
    in_play = space.in_play["layers"]
    assert in_play[:, :6].all() and in_play.sum() == 21 * 7 - 6
    parts = [part for row, column, part in choice_parts(space, IMAGENET) if column == 0]
    shapes = [(part.shape.side, part.shape.inputs) for part in parts]
    assert len(shapes) == 21
    assert [shapes[row] for row in (0, 4, 8)] == [(112, 16), (56, 32), (28, 40)]
    assert [shapes[row] for row in (12, 16, 20)] == [(14, 80), (14, 96), (7, 192)]


def test_costs_of_the_full_layout_by_hand():
    """MobileNetV2's block in every layer: each number is computed here from the paper's table alone."""
    space = MobileSpace()
    column = space.operations.index("mbconv6_3x3")
    values = {"layers": np.eye(7)[[column] * 21]}
    params = 9 * 3 * 32 + 2 * 32 + (9 * 32 + 2 * 32) + (32 * 16 + 2 * 16)
    macs = 112**2 * (9 * 3 * 32 + 9 * 32 + 32 * 16)
    side, inputs = 112, 16
    for width, depth, stride in zip((32, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1), strict=True):
        for place in range(depth):
            wide, outer = 6 * inputs, side // (1 if place else stride)
            params += inputs * wide + 2 * wide + 9 * wide + 2 * wide + wide * width + 2 * width
            macs += side**2 * inputs * wide + outer**2 * (9 * wide + wide * width)
            side, inputs = outer, width
    params += 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    macs += 7**2 * 320 * 1280 + 1280 * 1000
    assert network_cost(space.derive(values), IMAGENET) == Cost(params, macs)


@pytest.mark.parametrize("seed", range(3))
def test_costs_of_the_choices_add_up_to_that_of_every_genotype(seed):
    space = MobileSpace()
    genotype = space.derive({"layers": np.random.default_rng(seed).random((21, 7))})
    choices = {(row, column): part.cost for row, column, part in choice_parts(space, IMAGENET)}
    fixed = sum((part.cost for part in fixed_parts(space, IMAGENET)), Cost())
    total = sum((choices[place] for place in space.chosen(genotype, "layers")), fixed)
    assert total == network_cost(genotype, IMAGENET)
    skip = space.operations.index("skip_connect")
    assert all((cost == Cost()) == (column == skip) for (_, column), cost in choices.items())
    assert set(choices) == set(zip(*map(np.ndarray.tolist, np.nonzero(space.in_play["layers"])), strict=True))
    assert len(network_parts(genotype, IMAGENET)) == 4 + 21
    counts = count(genotype, IMAGENET)
    assert counts.auxiliary_head is None and {group.name for group in counts.operations} >= {"stem", "mbconv6_3x3"}


def test_weights_that_are_not_in_play_are_0_and_the_others_as_without_them():
    alphas = np.random.default_rng(0).normal(size=(4, 5))
    in_play = SPACE.in_play["layers"]
    assert in_play.tolist() == [[True] * 4 + [row in (1, 3)] for row in range(4)]
    sigmoid = RELAXATIONS["sigmoid"].of_array(alphas, in_play)
    np.testing.assert_allclose(sigmoid, np.where(in_play, 1 / (1 + np.exp(-alphas)), 0))
    softmax = RELAXATIONS["softmax"].of_array(alphas, in_play)
    for row, weights, exists in zip(alphas, softmax, in_play, strict=True):
        np.testing.assert_allclose(weights[exists], np.exp(row[exists]) / np.exp(row[exists]).sum())
        assert not weights[~exists].any()


def test_derives_the_largest_in_play_of_each_layer_and_says_how_sure_it_is():
    values = np.array(
        [
            [0.2, 0.9, 0.1, 0.3, 1.0],  # The skip is the largest, but not in play.
            [0.2, 0.3, 0.1, 0.3, 0.8],
            [0.4, 0.1, 0.405, 0.2, 0.0],
            [0.86, 0.1, 0.1, 0.1, 0.86],  # Equal: the lower column.
        ]
    )
    genotype = SPACE.derive({"layers": values}, threshold=0.85)
    assert [item.op for item in genotype.items()] == [OPERATIONS[column] for column in (1, 4, 2, 0)]
    rows = SPACE.confidence({"layers": values}, threshold=0.85)
    assert [row.runner_up for row in rows] == [OPERATIONS[column] for column in (3, 1, 0, 4)]
    assert [row.margin for row in rows] == pytest.approx([0.6, 0.5, 0.005, 0.0])
    assert [row.threshold_margin for row in rows] == pytest.approx([0.05, -0.05, -0.445, 0.01])
    assert [row.undecided for row in rows] == [False, True, True, False]
    assert [row.coin_flip for row in rows] == [False, False, True, True]
    report = format_report(rows).splitlines()
    assert report[0].split()[:3] == ["cell", "layer", "operation"] and "edge" not in report[0]
    assert report[3].endswith("coin flip, undecided") and report[2].endswith("  undecided")
    assert report[-1].startswith("2 of 4 choices are coin flips") and "2 are undecided" in report[-1]
    without = SPACE.confidence({"layers": values}, method="darts")
    assert all(row.threshold_margin is None and not row.undecided for row in without)
    assert SPACE.chosen(genotype, "layers") == [(0, 1), (1, 4), (2, 2), (3, 0)]


def test_the_weakest_skips_go_until_few_enough_are_left():
    values = np.tile([0.1, 0.2, 0.3, 0.25, 0.0], (4, 1))
    values[1, 4], values[3, 4] = 0.9, 0.8
    for limit, skips in ((None, 2), (2, 2), (1, 1), (0, 0)):
        genotype = SPACE.derive({"layers": values}, max_skips=limit)
        assert genotype.skips("layers") == skips
    ops = [item.op for item in SPACE.derive({"layers": values}, max_skips=1).items()]
    assert ops == ["mbconv2_3x3", "skip_connect", "mbconv2_3x3", "mbconv2_3x3"]


def test_refuses_tables_and_methods():
    values = {"layers": np.full((4, 5), 0.5)}
    with pytest.raises(ConfigurationError, match="a layer of the mobile space has one"):
        SPACE.derive(values, method="threshold_edge")
    with pytest.raises(ConfigurationError, match="Did you mean 'darts'"):
        SPACE.derive(values, method="dart")
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        SPACE.derive(values, threshold=1.5)
    with pytest.raises(ConfigurationError, match="threshold is 'x'"):
        SPACE.derive(values, threshold="x")
    with pytest.raises(ConfigurationError, match="max_skips is 1.5"):
        SPACE.derive(values, max_skips=1.5)
    with pytest.raises(GenotypeError, match=r"has the shape \(3, 5\), but the space has 4 layers"):
        SPACE.derive({"layers": np.full((3, 5), 0.5)})
    with pytest.raises(GenotypeError, match="not finite"):
        SPACE.derive({"layers": np.full((4, 5), np.nan)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mobile_widths": (4,)}, "--mobile_widths has 1, --mobile_depths has 2"),
        ({"mobile_widths": ()}, "--mobile_widths is empty"),
        ({"mobile_strides": (1, 3)}, "--mobile_strides is 1,3. Expected whole numbers from 1 to 2"),
        ({"mobile_kernels": (4,)}, "sides must be odd"),
        ({"mobile_expansions": (3, 3)}, "holds a number twice"),
        ({"mobile_depths": (200, 200)}, "has 400 layers"),
        ({"mobile_head_width": 0}, "--mobile_head_width is 0"),
    ],
)
def test_refuses_sizes(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        MobileSpace(**FIELDS | changes)
    MobileSpace(**FIELDS).check_image_shape((2, 2, 3))
    with pytest.raises(ConfigurationError, match="at least 2 pixels"):
        SPACE.check_image_shape((1, 8, 3))


def settings(**changes: object) -> SearchSettings:
    return SearchSettings(space="mobile", **FIELDS | changes)


def test_settings_become_a_space_and_flags_come_back():
    assert space_of(settings()) == SPACE
    as_text = settings(mobile_kernels=["3", "5"])
    assert as_text == settings() and as_text.as_flags()["mobile_widths"] == "4,6"
    assert SearchSettings.from_flags(as_text.as_flags()) == as_text
    assert recorded_space(as_text.as_flags(), {"layers": (4, 5)}) == SPACE
    assert recorded_space({}, {"layers": (21, 7)}) == MobileSpace()
    with pytest.raises(ConfigurationError, match="21 layers and 7 operations"):
        recorded_space({}, {"layers": (4, 5)})
    with pytest.raises(ConfigurationError, match="--space=darts does not have"):
        recorded_space({"space": "darts"}, {"layers": (4, 5)})
    unknown = MobileSpace.unknown({"layers": (4, 5)})
    assert unknown.row_names("layers") == ["1", "2", "3", "4"] and len(unknown.operations) == 5
    with pytest.raises(GenotypeError, match="not known"):
        unknown.derive({"layers": np.ones((4, 5))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mobile_widths": ("4", "x")}, "--mobile_widths is '4,x', but must be whole numbers"),
        ({"layers": 5}, "--layers=5 is of --space=darts"),
        (
            {"operations": ("skip_connect", "sep_conv_3x3")},
            "--operations=skip_connect,sep_conv_3x3 is of --space=darts",
        ),
        ({"method": "threshold_edge"}, "a layer of the mobile space has one"),
        ({"node_penalty": 1.0}, "--node_penalty is of cells"),
        ({"sampled_paths": 1}, "from 2 to 5"),
        ({"sampled_paths": 2, "unrolled": True}, "--unrolled needs all operations"),
        ({"sampled_paths": 2, "skip_dropout": 0.3}, "--skip_dropout needs all operations"),
        ({"sampled_paths": 2, "rematerialize": True}, "--rematerialize needs all operations"),
        ({"rematerialize": True, "xla": True}, "--xla would merge"),
        ({"accumulate": 3}, "--batch_size=128 cannot be taken in 3 equal parts"),
        ({"accumulate": 2, "unrolled": True}, "Leave --accumulate out"),
        ({"accumulate": 2, "sync_batch_norm": True}, "--sync_batch_norm"),
        ({"mobile_kernels": (3,), "mobile_expansions": (1,), "early_stopping": ("ranking",)}, "fewer than two"),
    ],
)
def test_refuses_what_a_search_of_layers_cannot_do(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        space_of(settings(**changes))


@pytest.mark.parametrize("name", ["rematerialize", "sampled_paths", "mobile_skip", "mobile_widths"])
def test_cells_refuse_what_is_of_layers(name):
    values = {"rematerialize": True, "sampled_paths": 2, "mobile_skip": False, "mobile_widths": (1,)}
    with pytest.raises(ConfigurationError, match=f"--{name}"):
        space_of(SearchSettings(**{name: values[name]}))


def test_counts_pass_over_what_is_not_in_play():
    weights = {"layers": np.full((4, 5), 0.0)}
    weights["layers"][:, 0] = 0.9
    counts = count_operations(weights, SPACE.in_play, 0.85, SPACE.derive(weights))
    assert (counts["operations_on"], counts["operations_off"], counts["operations_undecided"]) == (4, 14, 0)
    assert counts["layers_skips"] == 0 and set(counts) <= set(columns_for(SPACE.kinds))


def test_agreement_of_layers_by_hand():
    derivation = DerivationSettings(SPACE, "sigmoid", "threshold_sparse", 0.85)
    one, other = (np.eye(5)[columns] for columns in ([0, 4, 1, 4], [0, 4, 2, 4]))
    genotypes = [derivation.derive({"layers": table}) for table in (one, other)]
    assert agreement(genotypes) == {"layers": pytest.approx(3 / 5), "both": pytest.approx(3 / 5)}
    shares = row_shares(genotypes[0], genotypes, SPACE)
    assert [(row.place, row.operations, row.share) for row in shares][1:3] == [
        ("2", ("skip_connect",), 1.0),
        ("3", ("mbconv1_5x5",), 0.5),
    ]


def test_reads_the_table_of_alphas_or_says_what_is_wrong_with_it(tmp_path):
    table = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.savez(tmp_path / "alphas.npz", layers=table[-1])
    np.savez(tmp_path / "history.npz", layers=table, epoch=[1, 2, 3])
    np.testing.assert_array_equal(load_alphas(tmp_path)["layers"], table[-1].astype(np.float64))
    np.testing.assert_array_equal(load_history(tmp_path)["layers"], table.astype(np.float64))
    for broken, message in (
        (np.zeros(5), "2-dimensional"),
        (np.zeros((0, 5)), "2-dimensional"),
        (np.zeros((4, 5), int), "numbers with fractions"),
        (np.full((4, 5), np.inf), "not finite"),
        (np.zeros((300, 5)), "no network has 300 choice layers"),
    ):
        np.savez(tmp_path / "alphas.npz", layers=broken)
        with pytest.raises(GenotypeError, match=message):
            load_alphas(tmp_path)
    np.savez(tmp_path / "history.npz", layers=table, epoch=[1, 2])
    with pytest.raises(GenotypeError, match="'epoch' is no list"):
        load_history(tmp_path)


def test_a_space_can_be_named_without_tensorflow():
    code = (
        "import sys; from fairdarts_tf.spaces import search_space; s = search_space('mobile')(); s.in_play; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
