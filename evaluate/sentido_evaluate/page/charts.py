"""Charts as inline SVG: drawn here, since four kinds of them are all that a page needs.

Colours and fonts are the page's, by classes and custom properties, so that a chart follows light
and dark. Each has a title and a description for who cannot see it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 48
_MOST_POINTS = 300  # of a curve
_MOST_DOTS = 40


@dataclass(frozen=True)
class _Axes:
    """Where values are on the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        along = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return round(_LEFT + along * width, 1), round(_TOP + (1 - up) * height, 1)


def reliability(calibration: dict[str, Any], what: str) -> str:
    """Draw how often answers were right, by how sure they were; bars show how many there are."""
    bins = [entry for entry in calibration["bins"] if entry["rows"]]
    axes, most = _Axes((0, 1), (0, 1)), max((entry["rows"] for entry in bins), default=1)
    parts = [_line(axes, (0, 0), (1, 1), "ideal")]
    for entry in bins:
        x, y = axes.at(entry["from"], 0.25 * entry["rows"] / most)
        width = axes.at(entry["to"], 0)[0] - x
        height = axes.at(0, 0)[1] - y
        parts.append(_rect(x, y, width - 1, height, "rows", f"{entry['rows']:,} rows"))
    for entry in bins:
        parts.append(_interval(axes, entry["confidence"], entry["low"], entry["high"]))
        said = (
            f"said {entry['confidence']:.3f}, right {entry['accuracy']:.3f}, {entry['rows']:,} rows"
        )
        parts.append(_dot(axes, entry["confidence"], entry["accuracy"], said))
    return _chart(axes, parts, "said probability", what, "Reliability diagram")


def coverage(points: Sequence[dict[str, float]]) -> str:
    """Draw the accuracy of the surest answers, by what share of all they are."""
    least = min((point["accuracy"] for point in points), default=0.0)
    axes = _Axes((0, 1), (min(0.9, int(least * 10) / 10), 1))
    line = " ".join(
        f"{x},{y}" for x, y in (axes.at(point["coverage"], point["accuracy"]) for point in points)
    )
    parts = [f'<polyline class="curve" points="{line}"/>']
    parts += [
        _dot(
            axes, p["coverage"], p["accuracy"], f"{p['coverage']:.0%} of rows: {p['accuracy']:.4f}"
        )
        for p in points
    ]
    return _chart(
        axes, parts, "share of the rows that are answered", "accuracy", "Accuracy and coverage"
    )


def curves(epochs: Sequence[dict[str, float]], name: str, kept: tuple[int, int]) -> str:
    """Draw a figure of each epoch, in training and in validation, and whose weights are kept."""
    step = math.ceil(len(epochs) / _MOST_POINTS)
    drawn = [(number + 1, epoch) for number, epoch in enumerate(epochs) if number % step == 0]
    names = (name, f"validation_{name}")
    values = [epoch[each] for _, epoch in drawn for each in names]
    low = min(0.9, int(min(values) * 10) / 10) if name == "accuracy" else 0.0
    high = 1.0 if name == "accuracy" else _round_above(max(values))
    axes = _Axes((0.5, len(epochs) + 0.5), (low, high))
    left, right = axes.at(kept[0], high)[0], axes.at(kept[1], high)[0]
    parts = [_line(axes, (kept[0], low), (kept[0], high), "kept")]
    if right > left:
        parts.append(_rect(left, _TOP, right - left, axes.at(0, low)[1] - _TOP, "kept", "kept"))
    for each, second in zip(names, ("", " second"), strict=True):
        points = [axes.at(number, epoch[each]) for number, epoch in drawn]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline class="curve{second}" points="{line}"/>')
        if len(drawn) <= _MOST_DOTS:
            parts += [
                _dot(
                    axes, number, epoch[each], f"epoch {number}: {epoch[each]:.4f}", "dot" + second
                )
                for number, epoch in drawn
            ]
    apart = math.ceil(len(epochs) / 10)
    ticks = [float(number) for number in range(1, len(epochs) + 1, apart)]
    return _chart(axes, parts, "epoch", name, f"{name} of each epoch".capitalize(), ticks)


def _round_above(value: float) -> float:
    """Return the first of 1, 2, 2.5, 5, 10, ... and their tenths that is not less."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 2.5, 5, 10) if unit * step >= value)


def bars(slices: Sequence[dict[str, Any]], what: str) -> str:
    """Draw the accuracy of slices, with its interval; the slices' names stand below."""
    axes = _Axes((0, max(1, len(slices))), (0, 1))
    parts = []
    for index, entry in enumerate(slices):
        x, y = axes.at(index + 0.15, entry["accuracy"])
        width = axes.at(index + 0.85, 0)[0] - x
        said = f"{entry['range']}: {entry['accuracy']:.4f} of {entry['rows']:,} rows"
        parts.append(_rect(x, y, width, axes.at(0, 0)[1] - y, "bar", said))
        parts.append(_interval(axes, index + 0.5, entry["low"], entry["high"]))
        middle, bottom = axes.at(index + 0.5, 0)
        for line, text in enumerate(_lines_of(entry["range"])):
            parts.append(_text(middle, bottom + 13 + 11 * line, text, "tick middle"))
    title = f"Accuracy by {what}"
    return _chart(axes, parts, what, "accuracy", title, ())


def _lines_of(name: str) -> list[str]:
    """Break the name of a slice into what stands below a bar."""
    first, _, last = name.replace(" or more", "+").replace("over ", ">").partition(" to ")
    return [f"{first} –", last] if last else [first]


def _chart(
    axes: _Axes,
    parts: Sequence[str],
    x: str,
    y: str,
    title: str,
    ticks: Sequence[float] | None = None,
) -> str:
    """Draw axes around `parts`; `ticks`: of the one along, instead of five equal steps."""
    frame = [*_grid(axes, _ticks(axes.x) if ticks is None else ticks), *parts]
    below = _HEIGHT - (6 if ticks == () else 16)  # names of slices take two lines
    frame.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, below, x, "axis middle"))
    turned = f'transform="rotate(-90 12 {_HEIGHT / 2 - 15:g})"'
    frame.append(
        f'<text class="axis middle" x="12" y="{_HEIGHT / 2 - 15:g}" {turned}>{escape(y)}</text>'
    )
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}"><title>{escape(title)}</title>'
        f"{''.join(frame)}</svg>"
    )


def _grid(axes: _Axes, ticks: Sequence[float]) -> list[str]:
    parts = []
    for tick in _ticks(axes.y):
        parts.append(_line(axes, (axes.x[0], tick), (axes.x[1], tick), "grid"))
        x, y = axes.at(axes.x[0], tick)
        parts.append(_text(x - 5, y + 4, f"{tick:g}", "tick end"))
    for tick in ticks:
        x, y = axes.at(tick, axes.y[0])
        parts.append(_text(x, y + 14, f"{tick:g}", "tick middle"))
    return parts


def _ticks(ends: tuple[float, float]) -> list[float]:
    low, high = ends
    return [round(low + (high - low) * step / 5, 4) for step in range(6)]


def _line(axes: _Axes, one: tuple[float, float], other: tuple[float, float], kind: str) -> str:
    (x1, y1), (x2, y2) = axes.at(*one), axes.at(*other)
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _interval(axes: _Axes, x: float, low: float, high: float) -> str:
    return _line(axes, (x, low), (x, high), "interval")


def _rect(x: float, y: float, width: float, height: float, kind: str, said: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{max(0, width):.1f}"'
        f' height="{max(0, height):.1f}"><title>{escape(said)}</title></rect>'
    )


def _dot(axes: _Axes, x: float, y: float, said: str, kind: str = "dot") -> str:
    cx, cy = axes.at(x, y)
    return (
        f'<circle class="{kind}" cx="{cx}" cy="{cy}" r="3.5"><title>{escape(said)}</title></circle>'
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'
