"""The ablation of augmentations that the document of `sevenconv` reports, on `sevenconv`."""

import json
from collections.abc import Sequence
from statistics import mean
from typing import Any

from mnistcli.display.text import p_value
from mnistcli.preset.loading import load_preset
from mnistcli.verdict.paired import compare_pairs
from mnistcli.verdict.stats import standard_deviation
from tests.ledger.comparisons import gain, line
from tests.ledger.files import ABLATION, RUNS, command_of, read, row_of, write

PRESET = "sevenconv"
ARMS = {
    "none": ("unchanged", None),
    "affine": ("rotated by up to ±20° (the preset)", 0.9947),
    "horizontal_flip": ("mirrored left to right, probability ½", 0.9918),
    "vertical_flip": ("mirrored top to bottom, probability ½", 0.9823),
}
"""What each kind of augmentation does, and the accuracy that the document reports for it."""


def add_ablation(runs: Sequence[dict[str, Any]]) -> None:
    """Keep the runs of one arm; those of the preset itself are kept with its [reference]."""
    (arm,) = {step["kind"] for step in runs[0]["preset"]["augment"]} or {"none"}
    setting = "augment=[]" if arm == "none" else f'augment=[{{kind="{arm}"}}]'
    # The command that is kept must be the one that was trained.
    (trained,) = {json.dumps(run["preset"]["augment"]) for run in runs}
    wanted = load_preset(PRESET, [setting]).model_dump(mode="json")["augment"]
    assert json.loads(trained) == wanted
    write(ABLATION, read(ABLATION) | {arm: {
        "command": command_of(runs, setting), "versions": runs[0]["versions"],
        "runs": [row_of(run) for run in runs],
    }})  # fmt: skip


def accuracies_of(arm: str) -> list[float]:
    """Return the test accuracy of every seed."""
    entry = read(RUNS)[PRESET] if arm == "affine" else read(ABLATION)[arm]
    return [run["correct"] / 10_000 for run in entry["runs"]]


def rows_of_ablation() -> str:
    """Return the table: every arm against none, paired by seed, Holm-adjusted, in points."""
    values = {arm: accuracies_of(arm) for arm in ARMS}
    found = compare_pairs({arm: (values[arm], values["none"]) for arm in ARMS if arm != "none"})
    lines = [
        "| training images | document, % | test accuracy, % | difference | p | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for arm, (words, published) in ARMS.items():
        said = "" if published is None else f"{100 * published:.2f}"
        share = f"{100 * mean(values[arm]):.2f} ± {100 * standard_deviation(values[arm]):.2f}"
        cells = [words, said, f"{share} ({len(values[arm])})"]
        if arm in found:
            cells += [gain(found[arm]), p_value(found[arm].adjusted_p_value), found[arm].verdict]
        else:
            cells += ["", "", ""]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"
