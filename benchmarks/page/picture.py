"""Accuracy over milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures.svg import BLUE, GREY, Canvas, Point
from benchmarks.page.rows import MEASURES, Row

_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 830, 60, 380
_TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200)
#: By how much the axes reach beyond the models, as a factor of time and in points.
_BESIDE, _ABOVE = 1.35, 2.0
_LABEL_WIDTH, _LABEL_HEIGHT = 110, 15


def draw_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Draw PCK over the median time from frame to joints, each model in its fastest precision."""
    shown = _fastest(rows)
    canvas = Canvas(860, 440, "Accuracy over milliseconds")
    if shown:
        _draw(canvas, shown)
    canvas.write(path)


def _fastest(rows: Sequence[Row]) -> list[tuple[Row, float, float]]:
    """Return each model with its time and accuracy: fewest threads, fastest precision."""
    threads = min((row.threads for row in rows), default=1)
    accuracy = {row.name: row.headline[0] for row in rows if row.headline is not None}
    fastest: dict[str, Row] = {}
    for row in rows:
        if row.threads == threads and row.name in accuracy:
            best = fastest.setdefault(row.name, row)
            if row.milliseconds["p50"] < best.milliseconds["p50"]:
                fastest[row.name] = row
    return [(row, row.milliseconds["p50"], accuracy[name]) for name, row in fastest.items()]


def _draw(canvas: Canvas, shown: list[tuple[Row, float, float]]) -> None:
    times, scores = [ms for _, ms, _ in shown], [pck for *_, pck in shown]
    first, last = math.log(min(times) / _BESIDE), math.log(max(times) * _BESIDE**2)
    low, high = min(scores) - _ABOVE, max(scores) + _ABOVE

    def at(ms: float, pck: float) -> Point:
        x = _LEFT + (_RIGHT - _LEFT) * (math.log(ms) - first) / (last - first)
        return x, _BOTTOM - (_BOTTOM - _TOP) * (pck - low) / (high - low)

    for tick in (tick for tick in _TICKS if first <= math.log(tick) <= last):
        x = at(tick, low)[0]
        canvas.line([(x, _TOP), (x, _BOTTOM)], color="#e6eaef", width=1)
        canvas.text((x, _BOTTOM + 18), str(tick), color=GREY, size=12)
    for score in range(math.ceil(low / 5) * 5, math.floor(high) + 1, 5):
        y = at(times[0], score)[1]
        canvas.line([(_LEFT, y), (_RIGHT, y)], color="#e6eaef", width=1)
        canvas.text((_LEFT - 10, y), str(score), anchor="end", color=GREY, size=12)
    labels: list[Point] = []
    for row, ms, pck in sorted(shown, key=lambda each: -each[2]):
        color, point = GREY if row.is_peer else BLUE, at(ms, pck)
        canvas.dot(point, 6, color=color)
        labels.append(_beside(point, labels))
        canvas.text(labels[-1], row.name, anchor="start", color=color, size=12)
    _label(canvas, shown[0][0].threads)


def _beside(point: Point, labels: list[Point]) -> Point:
    """Return where a label goes: beside its dot, or lower where another label is."""
    x, y = point[0] + 11, point[1]
    crowded = sorted(other[1] for other in labels if abs(other[0] - x) < _LABEL_WIDTH)
    for other in crowded:
        if abs(other - y) < _LABEL_HEIGHT:
            y = other + _LABEL_HEIGHT
    return x, y


def _label(canvas: Canvas, threads: int) -> None:
    title = f"{MEASURES[0]} in %, over ms from frame to joints"
    canvas.text((_LEFT, 24), title, anchor="start", bold=True, size=15)
    legend = "blue: trackers, which find the person themselves; grey: peers in annotated boxes"
    canvas.text((_LEFT, 44), legend, anchor="start", color=GREY, size=12)
    plural = "s" * (threads > 1)
    axis = f"ms (p50, {threads} CPU thread{plural}, each in its fastest precision)"
    canvas.text(((_LEFT + _RIGHT) / 2, _BOTTOM + 40), axis, color=GREY, size=12)
