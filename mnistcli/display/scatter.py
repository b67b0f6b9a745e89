"""Points in a plane → lines of characters."""

from collections.abc import Sequence
from math import log10

POINT, MARKED = "•", "◆"
WIDTH, HEIGHT = 56, 10
MARGIN = 0.05
"""Fraction of an axis that is left free on both sides."""


def draw_scatter(
    points: Sequence[tuple[float, float]],
    marked: tuple[float, float] | None,
    titles: tuple[str, str],
) -> list[str]:
    """Draw points over a logarithmic horizontal axis, in lines of at most 70 characters.

    Args:
        points: x above 0, and y in per cent.
        marked: one more point, with a sign of its own.
        titles: of both axes.
    """
    everything = [*points, *([marked] if marked else [])]
    xs, ys = [log10(x) for x, _ in everything], [y for _, y in everything]
    left, right = _widen(min(xs), max(xs), 0.1)
    low, high = _widen(min(ys), max(ys), 0.1)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for (x, y), sign in [*((point, POINT) for point in points), *_mark(marked)]:
        column = round((log10(x) - left) / (right - left) * (WIDTH - 1))
        row = round((high - y) / (high - low) * (HEIGHT - 1))
        grid[row][column] = sign
    labels = {0: f"{high:.2f}", HEIGHT // 2: f"{(low + high) / 2:.2f}", HEIGHT - 1: f"{low:.2f}"}
    lines = [f" {titles[1]}"]
    for row, cells in enumerate(grid):
        lines.append(f"{labels.get(row, ''):>8} │{''.join(cells).rstrip()}")
    first, last = f"{10**left:,.0f}", f"{10**right:,.0f}"
    lines.append(f"{'':>8} └{'─' * WIDTH}")
    lines.append(f"{'':>8}  {first}{titles[0]:^{WIDTH - len(first) - len(last)}}{last}")
    return lines


def _mark(point: tuple[float, float] | None) -> list[tuple[tuple[float, float], str]]:
    return [(point, MARKED)] if point else []


def _widen(low: float, high: float, span: float) -> tuple[float, float]:
    """Return an axis around both ends, and of at least this span."""
    middle, half = (low + high) / 2, max(high - low, span) * (0.5 + MARGIN)
    return middle - half, middle + half
