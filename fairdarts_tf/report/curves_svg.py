"""Lines by epoch as SVG, for a notebook that watches a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 330, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 40, 24
_COLOURS = ("#2472B8", "#C2780A", "#8B3FA8", "#128A74")


def curves_svg(title: str, epochs: Sequence[int], lines: Mapping[str, Sequence[float]]) -> str:
    """Returns lines as an SVG element; its scale holds 0.

    Args:
        title: What stands above it.
        epochs: Of the points, in rising order; at least one.
        lines: By name, one value for each epoch; what is not finite is left out.
    """
    values = np.array([list(line) for line in lines.values()], np.float64).reshape(len(lines), len(epochs))
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=0.0), finite.max(initial=0.0)
    span = (high - low) or 1.0
    first, last = epochs[0], epochs[-1]
    xs = _LEFT + (np.array(epochs) - first) / max(last - first, 1) * (_WIDTH - _LEFT - _RIGHT)
    ys = _HEIGHT - _BOTTOM - (values - low) / span * (_HEIGHT - _TOP - _BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" '
        'font-size="10">',
        _text(_LEFT, 14, title, 'font-size="13" font-weight="bold"'),
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" fill="none" stroke="#9CA3AF"/>',
        _text(_LEFT - 5, _HEIGHT - _BOTTOM, f"{low:.3g}", 'text-anchor="end"'),
        _text(_LEFT - 5, _TOP + 4, f"{high:.3g}", 'text-anchor="end"'),
        _text(_LEFT, _HEIGHT - 9, str(first)),
        _text(_WIDTH - _RIGHT, _HEIGHT - 9, f"epoch {last}", 'text-anchor="end"'),
    ]
    for number, (name, line) in enumerate(zip(lines, ys, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(_text(_LEFT + 130 * number, 30, name, fill=colour))
        parts += _line(xs, line, colour)
    return "".join([*parts, "</svg>"])


def _line(xs: np.ndarray, ys: np.ndarray, colour: str) -> list[str]:
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if np.isfinite(y)]
    if len(points) == 1:
        return [f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.5" fill="{colour}"/>']
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'] if points else []


def _text(x: float, y: float, text: str, style: str = "", fill: str = "currentColor") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}" {style}>{escape(text)}</text>'
