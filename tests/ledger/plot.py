"""Accuracy over parameters, of every preset that was measured."""

import hashlib
import json

from mnistcli.preset.loading import list_presets, load_preset
from tests.ledger.files import PLOT


def points_of_plot() -> list[tuple[str, int, float, float]]:
    """Name, parameters, mean accuracy and sd of every preset that was measured."""
    presets = [load_preset(name) for name in list_presets()]
    return [
        (one.name, one.reference.parameters, one.reference.mean_test_accuracy,
         one.reference.sd_test_accuracy)
        for one in presets if one.reference
    ]  # fmt: skip


def fingerprint(points: list[tuple[str, int, float, float]]) -> str:
    """Of what the plot shows, kept in it: another matplotlib draws other bytes."""
    return hashlib.sha256(json.dumps(points).encode()).hexdigest()


def draw_plot() -> None:
    """Parameters on a logarithmic scale, and the share that is wrong, likewise."""
    import matplotlib
    from matplotlib.figure import Figure

    points = points_of_plot()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ledger", "font.size": 9}):
        figure = Figure(figsize=(8, 5), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for number, (name, parameters, accuracy, spread) in enumerate(points):
            axes.errorbar(
                parameters, 100 * (1 - accuracy), 100 * spread, marker="osDv^<>pPX*hd"[number % 13],
                color=f"C{number % 10}", linestyle="", capsize=2, label=name,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.axvline(20_000, color="grey", linewidth=0.7, linestyle=":")
        axes.axhline(0.6, color="grey", linewidth=0.7, linestyle=":")
        axes.set_yticks([0.5, 0.6, 1, 2, 5, 10, 50, 90], ["0.5", "0.6", *"1 2 5 10 50 90".split()])
        axes.minorticks_off()
        axes.set_xticks([20_000, 100_000, 400_000], ["20,000", "100,000", "400,000"])
        axes.set_xlabel("parameters")
        axes.set_ylabel("wrong on the test images, %")
        axes.legend(fontsize=7, loc="upper right")
        metadata = {"Date": None, "Creator": None, "Description": fingerprint(points)}
        figure.savefig(PLOT, format="svg", metadata=metadata)
