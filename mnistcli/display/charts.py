"""Charts as SVG that takes its colours from the page around it, light or dark."""

import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any
from xml.sax.saxutils import escape

from mnistcli.records.documents import Interval
from mnistcli.records.evaluations import CalibrationBin

INK, LINES = "#010203", "#040506"
PAGE_COLOURS = {INK: "currentColor", LINES: "var(--line)"}
FILE_COLOURS = {INK: "#6e7781", LINES: "#a8b0b8"}
"""Colours that can be read on a light and on a dark page, for a file that has no page."""
SERIES = ("#3b82c4", "#d9730d", "#2f9e6e", "#b5539c", "#b58900", "#1ba3b8", "#c94f4f", "#7a6fd0")
UNUSED = re.compile(
    r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend)_\d+"'
)
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": LINES,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.color": LINES,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def draw_curves(
    title: str,
    axes_names: tuple[str, str],
    lines: Sequence[tuple[str, Sequence[float], Sequence[float], bool]],
) -> str:
    """Draw lines of (name, x, y, dashed); lines of the same name share a colour."""

    def draw(axes: Any) -> None:
        names = list(dict.fromkeys(name for name, *_ in lines))
        for name, x, y, dashed in lines:
            number = names.index(name)
            marker = "o" if len(x) <= 40 else ""
            axes.plot(
                x, y, color=SERIES[number % len(SERIES)], marker=marker, markersize=3,
                linestyle="--" if dashed else "-", label=None if dashed else name,
            )  # fmt: skip
        if len(names) > 1:
            axes.legend(ncols=2)
        if axes_names[0] == "epoch":
            axes.xaxis.get_major_locator().set_params(integer=True)

    return _draw(title, axes_names, draw)


def draw_reliability(runs: Sequence[tuple[str, Sequence[CalibrationBin]]]) -> str:
    """Draw the reliability diagram: accuracy over confidence."""

    def draw(axes: Any) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":")
        for number, (name, bins) in enumerate(runs):
            pairs = [(one.confidence, one.accuracy) for one in bins]
            points = [(x, y) for x, y in pairs if x is not None and y is not None]
            axes.plot(
                [100 * x for x, _ in points], [100 * y for _, y in points], marker="o",
                markersize=3, color=SERIES[number % len(SERIES)], label=name,
            )  # fmt: skip
        if len(runs) > 1:
            axes.legend(ncols=1)

    return _draw("Reliability diagram", ("confidence, %", "accuracy, %"), draw)


def draw_intervals(title: str, runs: Sequence[tuple[str, float, Interval]]) -> str:
    """Draw accuracies with their intervals, one below the other."""

    def draw(axes: Any) -> None:
        for number, (name, accuracy, (low, high)) in enumerate(runs):
            place, colour = -number, SERIES[number % len(SERIES)]
            axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
            axes.plot([100 * accuracy], [place], color=colour, marker="o", label=name)
        axes.set_yticks([-number for number in range(len(runs))], [name for name, *_ in runs])

    return _draw(title, ("accuracy, %", ""), draw)


def draw_differences(title: str, arms: Sequence[tuple[str, float | None, Interval | None]]) -> str:
    """Draw differences from a base with their intervals, one below the other, as an SVG file."""

    def draw(axes: Any) -> None:
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
        for number, (_, difference, interval) in enumerate(arms):
            place, colour = -number, SERIES[number % len(SERIES)]
            if interval is not None:
                axes.plot([100 * end for end in interval], [place] * 2, color=colour, linewidth=2)
            if difference is not None:
                axes.plot([100 * difference], [place], color=colour, marker="o")
        axes.set_yticks([-number for number in range(len(arms))], [name for name, *_ in arms])

    names = ("difference, percentage points", "")
    return _draw(title, names, draw, FILE_COLOURS, max(3.2, 1.2 + 0.3 * len(arms)))


def draw_front(
    axes_names: tuple[str, str],
    points: Sequence[tuple[float, float, Interval]],
    winner: tuple[float, float],
) -> str:
    """Draw accuracies with their intervals over a size, as an SVG file, and mark the winner."""

    def draw(axes: Any) -> None:
        for size, accuracy, interval in points:
            axes.plot([size] * 2, [100 * end for end in interval], color=LINES, linewidth=1.5)
            axes.plot([size], [100 * accuracy], color=SERIES[0], marker="o", markersize=4)
        axes.plot([winner[0]], [100 * winner[1]], color=SERIES[1], marker="D", markersize=6)
        axes.set_xscale("log")

    return _draw("Pareto front", axes_names, draw, FILE_COLOURS)


def _draw(
    title: str,
    axes_names: tuple[str, str],
    draw: Callable[[Any], None],
    colours: Mapping[str, str] = PAGE_COLOURS,
    height: float = 3.2,
) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    page = StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        figure.savefig(
            page, format="svg", transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )  # fmt: skip
    svg = page.getvalue()
    svg = svg[svg.index("<svg") :]
    # Nothing refers to these identifiers, and several charts on a page would repeat them.
    svg = UNUSED.sub("", svg)
    for sentinel, colour in colours.items():
        svg = svg.replace(sentinel, colour)
    label = escape(title, {'"': "&quot;"})
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
