"""Plots as inline SVG: lines and bars, drawn by hand, readable without a script and in either light."""

from collections.abc import Sequence
from html import escape

type Point = tuple[float, float]

SIDE, MARGIN = 300, 42
_INK = "var(--ink)"
COLOURS = {"none": "var(--faint)", "champion": "var(--second)", "challenger": "var(--first)"}


def _place(point: Point) -> Point:
    return MARGIN + point[0] * SIDE, MARGIN / 2 + (1 - point[1]) * SIDE


def _path(points: Sequence[Point]) -> str:
    placed = [_place(point) for point in points]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in placed)


def line(points: Sequence[Point], colour: str, *, dashed: bool = False) -> str:
    """A line through points of the unit square."""
    if not points:
        return ""
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<path d="{_path(points)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def dots(points: Sequence[tuple[float, float, float, float]], colour: str) -> str:
    """Dots at (x, y) with a bar from low to high."""
    drawn = []
    for x, y, low, high in points:
        (across, up), (_, bottom), (_, top) = _place((x, y)), _place((x, low)), _place((x, high))
        drawn.append(
            f'<path d="M{across:.1f} {bottom:.1f} V{top:.1f}" stroke="{colour}" stroke-width="1"/>'
            f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3.5" fill="{colour}"/>'
        )
    return "".join(drawn)


def square(title: str, across: str, up: str, content: str) -> str:
    """A figure over the unit square: axes from 0 to 100 %, a diagonal, and what is drawn on it."""
    size = SIDE + 2 * MARGIN
    marks = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, floor), (wall, y) = _place((tick, 0)), _place((0, tick))
        marks.append(
            f'<text x="{x:.1f}" y="{floor + 16:.1f}" text-anchor="middle">{tick:.0%}</text>'
            f'<text x="{wall - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
            f'<path d="{_path([(0, tick), (1, tick)])}" stroke="{_INK}" stroke-opacity=".12"/>'
        )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {size} {size}" role="img" aria-label="{escape(title)}">{"".join(marks)}'
        f"{line([(0, 0), (1, 1)], 'var(--faint)', dashed=True)}{content}"
        f'<text x="{MARGIN + SIDE / 2}" y="{SIDE + MARGIN + 16}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="12" y="{SIDE / 2 + MARGIN / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {SIDE / 2 + MARGIN / 2})">{escape(up)}</text></svg></figure>'
    )


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars around zero, each with its name and its number."""
    most = max([abs(value) for _, value in values], default=0) or 1
    height, middle, half = 20, 400, 150
    drawn = []
    for row, (name, value) in enumerate(values):
        y, length = 6 + row * height, abs(value) / most * half
        x = middle if value >= 0 else middle - length
        colour = "var(--first)" if value >= 0 else "var(--second)"
        drawn.append(
            f'<text x="{middle - half - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{height - 5}" fill="{colour}"/>'
            f'<text x="{middle + half + 8}" y="{y + 13}">{value:+.2f}</text>'
        )
    return (
        f'<figure class="wide"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 620 {12 + len(values) * height}" role="img" aria-label="{escape(title)}">'
        f'<path d="M{middle} 0 V{12 + len(values) * height}" stroke="{_INK}" stroke-opacity=".3"/>{"".join(drawn)}'
        "</svg></figure>"
    )
