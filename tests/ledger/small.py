"""The smallest networks beside the best that others have published: two tables and a plot."""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.preset.schema import Preset
from mnistcli.verdict.stats import Sample, accuracy_interval
from tests.ledger.comparisons import line
from tests.ledger.files import SMALL_PLOT

SMALL = ("nano-700", "nano-2k", "nano-5k", "mini-10k", "mini-20k")
BYTES = ("bytes-3k", "cortex-m0-16k")


class Published(NamedTuple):
    """A figure of others."""

    size: int
    """Parameters, or bytes of weights."""
    accuracy: float
    """On the test images, in [0, 1]."""
    how: str = ""
    """How it was measured."""


PARAMETERS = (
    Published(697, 0.9903, "best of about 700 runs on the test images"),
    Published(1_936, 0.9910, "75 epochs"),
    Published(6_188, 0.9954, "best epoch on the test images"),
    Published(9_594, 0.9964, "one run, best epoch on the test images"),
    Published(14_372, 0.9960, "at most"),
    Published(15_794, 0.9959, "at most"),
)
"""Networks in public repositories, and the accuracy that is stated there."""
WEIGHTS = (
    Published(3_200, 0.9892),
    Published(5_400, 0.9906),
    Published(7_300, 0.9928),
    Published(9_300, 0.9944),
    Published(11_000, 0.9955),
    Published(13_000, 0.9958),
)
"""BitNetMCU's table: bytes of weights alone."""


class Measured(NamedTuple):
    """A preset with its figures."""

    preset: Preset
    size: int
    """Parameters, or bytes of constants."""
    accuracy: Sample


def measure(names: Sequence[str]) -> list[Measured]:
    """Return those of the presets that exist and were measured, the smallest first."""
    presets = [load_preset(name) for name in set(names) & set(list_presets())]
    found = [
        Measured(
            preset, _find_size(preset),
            # The rounded mean, as everywhere else: 99.635 % is 99.63 or 99.64 %.
            Sample(known.mean_test_accuracy, known.sd_test_accuracy, len(known.seeds)),
        )
        for preset in presets
        if (known := preset.reference)
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.size)


def _find_size(preset: Preset) -> int:
    """Return the parameters, or the bytes of constants where the network is one of integers."""
    if not preset.train.quantize:
        return summarize(preset).parameters
    # Bytes are counted where a budget limits them.
    sizes = summarize(load_preset(preset.name, ["budget.max_flash=1_000_000"])).integer_sizes
    assert sizes
    return sizes.constants


def rows_of_smallest() -> str:
    """Return the table of networks with few parameters, each beside the best published one."""
    lines = [
        "| preset | parameters | epochs | test accuracy, % | 95 % interval | best published, % | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measure(SMALL):
        limit = one.preset.budget.parameters_below or one.size + 1
        rivals = [each for each in PARAMETERS if each.size < limit]
        best = max(rivals, key=lambda each: each.accuracy)
        published = f"{100 * best.accuracy:.2f} ({best.size:,} parameters; {best.how})"
        cells = [f"`{one.preset.name}`", f"{one.size:,}", f"{one.preset.train.epochs}"]
        lines.append(line([*cells, *_measured(one), published, judge(one, best)]))
    return "\n".join(lines) + "\n"


def rows_of_bytes() -> str:
    """Return the table of networks of few bytes: the best one of at most each published size."""
    lines = [
        "| bytes | BitNetMCU, % | preset | constants, bytes | test accuracy, % | 95 % interval | |",
        "|---|---|---|---|---|---|---|",
    ]
    for published in WEIGHTS:
        if ours := [one for one in measure(BYTES) if one.size <= published.size]:
            best = max(ours, key=lambda one: one.accuracy.mean)
            cells = [f"`{best.preset.name}`", f"{best.size:,}", *_measured(best)]
            cells.append(judge(best, published))
        else:
            cells = [""] * 5
        lines.append(line([f"{published.size:,}", f"{100 * published.accuracy:.2f}", *cells]))
    return "\n".join(lines) + "\n"


def judge(one: Measured, published: Published) -> str:
    """Say "better" only where the interval's lower end is above the published figure."""
    low, high = accuracy_interval(one.accuracy) or (0.0, 1.0)
    if low > published.accuracy:
        return "better"
    return "lower" if high < published.accuracy else "no clear difference"


def _measured(one: Measured) -> tuple[str, str]:
    mean, spread, size = one.accuracy
    low, high = accuracy_interval(one.accuracy) or (0.0, 1.0)
    return f"{100 * mean:.2f} ± {100 * spread:.2f} ({size})", f"{100 * low:.2f} to {100 * high:.2f}"


def points_of_plot() -> list[list[tuple[str, int, float, float]]]:
    """Return name, size, accuracy and sd: ours and others' by parameters, then by bytes."""
    return [
        points
        for names, published in ((SMALL, PARAMETERS), (BYTES, WEIGHTS))
        for points in (
            [
                (one.preset.name, one.size, one.accuracy.mean, one.accuracy.standard_deviation)
                for one in measure(names)
            ],
            [("", one.size, one.accuracy, 0.0) for one in published],
        )
    ]


def fingerprint() -> str:
    """Return a hash of the data, kept in the plot: matplotlib versions draw different bytes."""
    return hashlib.sha256(json.dumps(points_of_plot()).encode()).hexdigest()


def draw_small() -> None:
    """Draw wrong answers over parameters on the left, over bytes on the right."""
    import matplotlib
    from matplotlib.figure import Figure

    points = points_of_plot()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "small", "font.size": 9}):
        figure = Figure(figsize=(9, 4), layout="constrained", facecolor="white")
        panes = figure.subplots(1, 2, sharey=True)
        for axes, ours, others, what in zip(
            panes, points[::2], points[1::2], ("parameters", "bytes"), strict=True
        ):
            for name, size, accuracy, spread in ours:
                axes.errorbar(
                    size, 100 * (1 - accuracy), 100 * spread, color="C0", marker="o", capsize=2
                )
                axes.annotate(
                    name, (size, 100 * (1 - accuracy)), (4, 4), textcoords="offset points"
                )
            axes.plot(
                [size for _, size, _, _ in others],
                [100 * (1 - accuracy) for _, _, accuracy, _ in others],
                color="C1", marker="x", linestyle="", label="others, as published",
            )  # fmt: skip
            axes.set(xlabel=what, xscale="log", yscale="log")
            axes.minorticks_off()
            axes.legend(loc="upper right", fontsize=8)
        ticks = (0.3, 0.5, 1.0)
        panes[0].set_yticks(ticks, map(str, ticks))
        panes[0].set_ylabel("wrong on the test images, %")
        for axes, marks in zip(
            panes, ((700, 2_000, 5_000, 10_000, 20_000), (3_000, 5_000, 10_000)), strict=True
        ):
            axes.set_xticks(marks, [f"{mark:,}" for mark in marks])
        metadata = {"Date": None, "Creator": None, "Description": fingerprint()}
        figure.savefig(SMALL_PLOT, format="svg", metadata=metadata)
