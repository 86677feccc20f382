"""Durations as people say them."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """Returns seconds below two minutes, then minutes, then hours and minutes."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
