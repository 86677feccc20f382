"""A search that shows itself in a notebook while it goes on."""

from __future__ import annotations

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.search_result import SearchResult


class LiveView:
    """Shows curves, cells and heat maps of a search, one picture that changes after each epoch.

    Args:
        every: Epochs between two pictures. Defaults to 1.

    Raises:
        ConfigurationError: When ``every`` is below 1, or, at the first epoch, this is no notebook and IPython absent.

    Example:
        >>> fd.LiveView(every=5).every
        5
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ConfigurationError(f"every is {every}, but must be at least 1.")
        self.every = every
        self._display: object = None

    def __call__(self, search: SearchResult) -> None:
        """Shows what a search stands at; made to be the ``on_epoch`` of `search`."""
        epochs = len(search.history.rows)
        if epochs % self.every and epochs < search.settings.epochs:
            return
        if self._display is None:
            self._display = _shown()(search, display_id=True)
        else:
            self._display.update(search)


def _shown() -> object:
    try:
        from IPython.display import display
    except ImportError:
        raise ConfigurationError(
            "a live view needs a notebook: IPython is not installed. Leave on_epoch out to print a line instead."
        ) from None
    return display
