"""Plot of errors over parameters, of every measured preset."""

import hashlib
import json

from mnistcli.preset.loading import list_presets, load_preset
from tests.ledger.files import PLOT

BUDGET_PARAMETERS, BUDGET_WRONG = 20_000, 0.6
"""The documents' budget; wrong answers in per cent."""


def points_of_plot() -> list[tuple[str, int, float, float]]:
    """Return name, parameters, mean accuracy and sd of every measured preset."""
    presets = [load_preset(name) for name in list_presets()]
    return [
        (one.name, one.reference.parameters, one.reference.mean_test_accuracy,
         one.reference.sd_test_accuracy)
        for one in presets if one.reference
    ]  # fmt: skip


def fingerprint(points: list[tuple[str, int, float, float]]) -> str:
    """Return a hash of the data, kept in the plot: matplotlib versions draw different bytes."""
    return hashlib.sha256(json.dumps(points).encode()).hexdigest()


def draw_plot() -> None:
    """Draw all presets on the left, and on the right those near the documents' budget, enlarged."""
    import matplotlib
    from matplotlib.figure import Figure

    points = points_of_plot()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ledger", "font.size": 9}):
        figure = Figure(figsize=(10, 5), layout="constrained", facecolor="white")
        whole, near = figure.subplots(1, 2)
        for axes in (whole, near):
            for number, (name, parameters, accuracy, spread) in enumerate(points):
                axes.errorbar(
                    parameters, 100 * (1 - accuracy), 100 * spread, label=name, linestyle="",
                    marker="osDv^<>pPX*hd"[number % 13], color=f"C{number % 10}", capsize=2,
                )  # fmt: skip
            axes.axvline(BUDGET_PARAMETERS, color="grey", linewidth=0.7, linestyle=":")
            axes.axhline(BUDGET_WRONG, color="grey", linewidth=0.7, linestyle=":")
            axes.set_xlabel("parameters")
        whole.set_xscale("log")
        whole.set_yscale("log")
        whole.minorticks_off()
        whole.set_yticks([0.5, 1, 2, 5, 10, 50, 90], "0.5 1 2 5 10 50 90".split())
        whole.set_xticks([20_000, 100_000, 400_000], ["20,000", "100,000", "400,000"])
        whole.set_ylabel("wrong on the test images, %")
        near.set_xlim(12_000, 25_000)
        near.set_ylim(0.35, 1.05)
        near.set_xticks([13_000, 16_000, 20_000, 24_000], ["13,000", "16,000", "20,000", "24,000"])
        figure.legend(*whole.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
        metadata = {"Date": None, "Creator": None, "Description": fingerprint(points)}
        figure.savefig(PLOT, format="svg", metadata=metadata)
