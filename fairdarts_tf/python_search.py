"""A whole search in one call, for a notebook: data and a search space in, cells out."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping

from fairdarts_tf.data import EncodedImages, LabelledImages, images_of
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.search_result import SearchResult
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import SPACES, SearchSpace, search_space

Watcher = Callable[[SearchResult], object]


def search(
    data: object,
    space: SearchSpace | None = None,
    *,
    workdir: str | os.PathLike[str] | None = None,
    on_epoch: Watcher | None = None,
    **settings: object,
) -> SearchResult:
    """Searches for cells, or goes on with the search that ``workdir`` holds.

    It does what ``bin/search`` does and leaves the same files. Where no genotype can be derived at the end, a warning
    says so, and ``search.derive(method="darts")`` of what is returned derives one in another way.

    Args:
        data: What `load_dataset` returned or takes: images in memory, a pair of arrays, a `tf.data.Dataset`, or a name,
            as ``"digits"``. By a name the commands can go on with the search; images in memory are known to its
            directory by a fingerprint.
        space: The search space with the size of its supernet. Defaults to None: `DartsSpace` with its defaults.
        workdir: The search's directory; made if absent. Defaults to None: a new temporary one.
        on_epoch: Called after each epoch with what the search stands at, as `LiveView()`. Defaults to None: a line is
            printed.
        settings: Of `SearchSettings`, as ``epochs=20`` and ``batch_size=64``.

    Returns:
        What was found: its genotype, alphas, history and model. After SIGTERM what there is so far, with the signal as
        its ``stopped_by``.

    Raises:
        KeyboardInterrupt: When it was interrupted, as by a notebook's stop button, so that no later cell goes on with
            half a search. All is saved: the same call with the same ``workdir`` goes on.
        FairDartsError: When settings, data or directory are unfit. What the search has saved until then is intact.
        NotFiniteError: When a loss or a gradient is NaN or infinite.

    Example:
        >>> space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=2, layers=3)
        >>> search = fd.search(
        ...     "digits", space, workdir="runs/mine", epochs=1, steps_per_epoch=2, batch_size=50, method="darts",
        ...     on_epoch=lambda so_far: None,
        ... )
        >>> network = search.derive().build(fd.load_dataset("digits"), init_channels=2, layers=3)
        >>> network.compile("adam", "sparse_categorical_crossentropy")
    """
    from fairdarts_tf.search_run import complete_search

    if on_epoch is not None and not callable(on_epoch):
        raise ConfigurationError(f"on_epoch is {on_epoch!r:.80}, but must be a function that takes a SearchResult.")
    described, images = described_search(data, space, settings)
    result = complete_search(described, workdir or tempfile.mkdtemp(prefix="fairdarts_search_"), images, on_epoch)
    if result.asked_to_stop == signal.SIGINT:
        raise KeyboardInterrupt(
            f"the search is saved; to go on, give the same call with workdir={str(result.workdir)!r}"
        )
    if result.underived:
        print(
            f'warning: the search is complete, but {result.underived} derive(method="darts") of the result needs no '
            "new search.",
            file=sys.stderr,
        )
    return result


def described_search(
    data: object, space: SearchSpace | None, settings: Mapping[str, object]
) -> tuple[SearchSettings, LabelledImages | EncodedImages | None]:
    """Returns the settings of a search and its images in memory, None where data are named; arguments as of `search`.

    Raises:
        FairDartsError: When they are unfit.
    """
    if isinstance(data, str):
        return _settings(space, {**settings, "dataset": data}), None
    images = images_of(data)
    return _settings(space, settings), images


def _settings(space: SearchSpace | None, given: Mapping[str, object]) -> SearchSettings:
    known = [field.name for field in dataclasses.fields(SearchSettings)]
    for name in given:
        if name not in known:
            raise ConfigurationError(unknown_name("setting of a search", name, known))
    if space is None:
        return SearchSettings(**given)
    if not isinstance(space, SearchSpace):
        raise ConfigurationError(f"{space!r:.80} is no search space. Pass one, as fd.DartsSpace(layers=5).")
    if space.name not in SPACES or search_space(space.name) is not type(space):
        raise ConfigurationError(
            f"{type(space).__name__} is not the search space known as {space.name!r}. Give it a name of its own, and "
            "register the class: fairdarts_tf.register_space."
        )
    of_space = {field.name: getattr(space, field.name) for field in dataclasses.fields(space)}
    for name in ("space", *of_space):
        if name in given:
            raise ConfigurationError(f"{name}={given[name]!r} is said by the search space already. Leave it out.")
    return SearchSettings(**given, space=space.name, **of_space)
