"""Adding one's own operations, relaxations and search spaces from outside the package.

What is registered is known by its name to this process: to its searches, genotypes, networks, reports and files. A
program that reads them later, or that loads a ``.keras`` file, registers it first.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, TypeVar

from fairdarts_tf.costs import OPERATION_COSTS, Cost, norm_cost
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import OWN_OPERATIONS, known_operations
from fairdarts_tf.relaxations import RELAXATIONS, Relaxation
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import SPACES, SearchSpace, search_space

if TYPE_CHECKING:
    from fairdarts_tf.layer_operation import MakeLayer

Space = TypeVar("Space", bound=type[SearchSpace])

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_BUILT_IN = ("darts", "mobile")


def register_operation(name: str, make_layer: MakeLayer, cost: Callable[[int, int, int], Cost] | None = None) -> None:
    """Adds an operation to those that search space S1 may have as candidates.

    In a supernet each edge has a layer of its own, and BatchNorm follows, as it does in a found network; a ReLU at its
    beginning, as the papers' operations have, is the layer's own matter.

    Args:
        name: Of lower-case letters, digits and ``_``. With ``conv`` in it, the operation is one of those that
            ``--early_stopping=ranking`` looks at.
        make_layer: From channels and stride, 1 or 2, to a new Keras layer: images (batch, height, width, channels) in,
            (batch, ceil(height / stride), ceil(width / stride), channels) out.
        cost: From channels, side of the output in pixels and stride to what it costs, BatchNorm included. Defaults to
            None: its weights are counted, and as many multiply-adds as if all its kernels were convolutions to its
            output, each weight used once a pixel.

    Raises:
        ConfigurationError: When the name is taken or of another form, or what makes a layer or a cost is no function.

    Example:
        >>> def blurred(channels, stride):
        ...     return keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)
        >>> fd.register_operation("depth_conv_3x3", blurred)
        >>> space = fd.DartsSpace(operations=("skip_connect", "depth_conv_3x3"), nodes=1, init_channels=2, layers=3)
        >>> space.supernet((8, 8, 1), num_classes=10)(np.zeros((4, 8, 8, 1))).shape
        TensorShape([4, 10])
        >>> fd.register_operation("sep_conv_3x3", blurred)
        Traceback (most recent call last):
        ...
        fairdarts_tf.errors.ConfigurationError: there is an operation 'sep_conv_3x3' already. Choose another name.
    """
    from fairdarts_tf.layer_operation import LAYERS, LayerOperation
    from fairdarts_tf.operations import OPERATIONS

    _check_name("operation", name, known_operations())
    if not callable(make_layer) or not callable(cost or make_layer):
        raise ConfigurationError(
            f"the operation {name!r} needs a function from channels and stride to a layer, and its cost, where one is "
            "given, is a function too. See register_operation."
        )
    LAYERS[name] = make_layer
    OPERATIONS[name] = functools.partial(LayerOperation, name)
    OPERATION_COSTS[name] = cost or functools.partial(_counted_cost, make_layer)
    OWN_OPERATIONS.append(name)


def register_relaxation(name: str, relaxation: Relaxation) -> None:
    """Adds a relaxation: a way from alphas to mixing weights.

    Args:
        name: Of lower-case letters, digits and ``_``.
        relaxation: With ``of_tensor(alphas, in_play=None)`` and ``of_array(alphas, in_play=None)``, one formula for
            tensors and for arrays in float64: from (..., rows, operations) to the same shape, in [0, 1]. Where
            ``in_play``, (rows, operations), is False there is no operation, and its weight is 0; in S1 it is None.
            An attribute ``competes = True`` says that the weights of a row sum to 1: an expected cost goes by it.

    Raises:
        ConfigurationError: When the name is taken or of another form, or a method is missing.

    Example:
        >>> class Steep:
        ...     def of_tensor(self, alphas, in_play=None):
        ...         return keras.ops.sigmoid(3 * alphas)
        ...     def of_array(self, alphas, in_play=None):
        ...         return 1 / (1 + np.exp(-3 * np.asarray(alphas, np.float64)))
        >>> fd.register_relaxation("steep", Steep())
        >>> fd.SearchSettings(relaxation="steep").relaxation
        'steep'
    """
    _check_name("relaxation", name, RELAXATIONS)
    for method in ("of_tensor", "of_array"):
        if not callable(getattr(relaxation, method, None)):
            raise ConfigurationError(f"the relaxation {name!r} has no method {method}. Give it one: see Relaxation.")
    RELAXATIONS[name] = relaxation


def register_space(space: Space) -> Space:
    """Adds a search space, as a decorator of its class or called with it.

    A space of one's own has the genotypes of S1 or of S2: it is a subclass of `DartsSpace` or `MobileSpace` with a
    ``name`` of its own, and changes what it likes of its methods, as `derive`, or of its fields' defaults. A space with
    tables or genotypes of another kind is a module of the package: see docs/architecture.md.

    Args:
        space: The class, a frozen dataclass.

    Returns:
        The class.

    Raises:
        ConfigurationError: When it is no such class, its name is taken or of another form, or it has a field that is no
            setting of a search.

    Example:
        >>> @fd.register_space
        ... @dataclasses.dataclass(frozen=True)
        ... class TwoNodes(fd.DartsSpace):
        ...     name = "two_nodes"
        ...     nodes: int = 2
        >>> fd.SearchSettings(space="two_nodes", nodes=2).derivation.space
        TwoNodes(operations=('max_pool_3x3', ...), nodes=2, init_channels=16, layers=8, stem_multiplier=3)
    """
    if not (isinstance(space, type) and issubclass(space, tuple(map(search_space, _BUILT_IN)))):
        raise ConfigurationError(f"{space!r} is no search space. Make it a subclass of DartsSpace or MobileSpace.")
    _check_name("search space", space.name, SPACES)
    known = {field.name for field in dataclasses.fields(SearchSettings)}
    for field in dataclasses.fields(space):
        if field.name not in known:
            raise ConfigurationError(
                f"the search space {space.name!r} has a field {field.name!r}, which is no setting of a search, so that "
                "no file could keep it. Make it a constant of the class."
            )
    SPACES[space.name] = space
    return space


def _check_name(kind: str, name: str, taken: Container[str]) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r:.60} is no name for {_a(kind)}. Use lower-case letters, digits and '_', a letter first."
        )
    if name in taken:
        raise ConfigurationError(f"there is {_a(kind)} {name!r} already. Choose another name.")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@functools.lru_cache(maxsize=256)
def _kernels(make_layer: MakeLayer, channels: int, stride: int) -> tuple[int, int]:
    """Returns how many weights a layer learns, and how many of them are in kernels."""
    layer = make_layer(channels, stride)
    if not layer.built:
        layer.build((None, None, None, channels))
    sizes = [(len(weight.shape), math.prod(weight.shape)) for weight in layer.trainable_weights]
    return sum(size for _, size in sizes), sum(size for dimensions, size in sizes if dimensions > 1)


def _counted_cost(make_layer: MakeLayer, channels: int, side: int, stride: int) -> Cost:
    params, of_kernels = _kernels(make_layer, channels, stride)
    return Cost(params, of_kernels * side * side) + norm_cost(channels)
