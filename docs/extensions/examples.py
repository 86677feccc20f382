"""Reads the section ``Example:`` of a docstring as Griffe reads ``Examples:``: as code, not as prose."""

from __future__ import annotations

import re

import griffe


class ExampleSections(griffe.Extension):
    """Renames the section before docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Renames it in the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
