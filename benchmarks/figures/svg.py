"""A small canvas that writes SVG: readable on light and dark pages, as it brings a light ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

INK, GREY, LINE, GROUND = "#1f2328", "#59636e", "#8c959f", "#ffffff"
BLUE, ORANGE, GREEN, PURPLE = "#0969da", "#bc4c00", "#1a7f37", "#8250df"
#: Light fills that go with the colours.
FILLS = {BLUE: "#ddf4ff", ORANGE: "#fff1e5", GREEN: "#dafbe1", PURPLE: "#fbefff", GREY: "#f6f8fa"}
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"

Point = tuple[float, float]


class Canvas:
    """A picture in pixels, y pointing down."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size = width, height
        self._title = title
        self._parts: list[str] = []

    def text(
        self,
        at: Point,
        words: str,
        *,
        size: int = 13,
        color: str = INK,
        anchor: str = "middle",
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        """Write one line, its middle at the height of ``at``."""
        x, y = at
        style = f'font-size="{size}" fill="{color}" text-anchor="{anchor}"'
        style += ' font-weight="600"' * bold + f' font-family="{_MONO}"' * mono
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" dominant-baseline="central" {style}>{escape(words)}</text>'
        )

    def box(
        self, corner: Point, size: Point, lines: Sequence[str] = (), *, color: str = GREY
    ) -> None:
        """Draw a box with centred lines, the first one bold."""
        (x, y), (width, height) = corner, size
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
            f'fill="{FILLS[color]}" stroke="{color}"/>'
        )
        first = y + height / 2 - 8 * (len(lines) - 1)
        for number, line in enumerate(lines):
            at = x + width / 2, first + 16 * number
            self.text(at, line, size=12 if number else 13, bold=not number)

    def line(self, points: Iterable[Point], *, color: str = LINE, width: float = 1.5) -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"/>'
        )

    def arrow(self, points: Iterable[Point], *, color: str = GREY, dashed: bool = False) -> None:
        """Draw a line that ends in an arrowhead."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' * dashed
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"{dashes} '
            f'marker-end="url(#head-{color[1:]})"/>'
        )

    def dot(self, at: Point, radius: float, *, color: str, filled: bool = True) -> None:
        """Draw a dot, or a ring."""
        fill = color if filled else GROUND
        self._parts.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:g}" fill="{fill}" '
            f'stroke="{color}" stroke-width="1.5"/>'
        )

    def write(self, path: Path) -> None:
        """Write the picture."""
        width, height = self._size
        heads = "".join(
            f'<marker id="head-{color[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{color}"/></marker>'
            for color in (GREY, BLUE, ORANGE, GREEN, PURPLE)
        )
        ground = (
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" '
            f'fill="{GROUND}" stroke="#d1d9e0"/>'
        )
        body = "\n".join(self._parts)
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{_FONT}" role="img">\n'
            f"<title>{escape(self._title)}</title>\n<defs>{heads}</defs>\n{ground}\n{body}\n</svg>\n",
            encoding="utf-8",
        )
