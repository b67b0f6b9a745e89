"""Document 003's ablation of augmentation, on `sevenconv`: what flipping and turning are worth."""

import json
from collections.abc import Sequence
from statistics import mean
from typing import Any

from mnistcli.display.text import p_value
from mnistcli.preset.loading import load_preset
from mnistcli.verdict.stats import adjust, deviation, judge, paired_difference
from tests.ledger.files import ABLATION, RUNS, command_of, read, row_of, write

PRESET = "sevenconv"
ARMS = {
    "none": ("left as they are", None),
    "affine": ("turned by up to ±20° (the preset)", 0.9947),
    "horizontal_flip": ("mirrored, left to right, with probability ½", 0.9918),
    "vertical_flip": ("mirrored, top to bottom, with probability ½", 0.9823),
}
"""By the augmentation's kind: what it does, and what the document says it gave."""


def add_ablation(runs: Sequence[dict[str, Any]]) -> None:
    """Keeps the rows of one arm; those of the preset itself are with its [reference]."""
    (arm,) = {step["kind"] for step in runs[0]["preset"]["augment"]} or {"none"}
    setting = "augment=[]" if arm == "none" else f'augment=[{{kind="{arm}"}}]'
    # What the command says is what was trained.
    (trained,) = {json.dumps(run["preset"]["augment"]) for run in runs}
    wanted = load_preset(PRESET, [setting]).model_dump(mode="json")["augment"]
    assert json.loads(trained) == wanted
    write(ABLATION, read(ABLATION) | {arm: {
        "command": command_of(runs, setting), "versions": runs[0]["versions"],
        "runs": [row_of(run) for run in runs],
    }})  # fmt: skip


def accuracies_of(arm: str) -> list[float]:
    """The test accuracy of every seed."""
    entry = read(RUNS)[PRESET] if arm == "affine" else read(ABLATION)[arm]
    return [run["correct"] / 10_000 for run in entry["runs"]]


def rows_of_ablation() -> str:
    """Every arm against none, paired by seed (Holm over the three), in points."""
    values = {arm: accuracies_of(arm) for arm in ARMS}
    differences = {
        arm: paired_difference(values[arm], values["none"]) for arm in ARMS if arm != "none"
    }
    found = {arm: difference for arm, difference in differences.items() if difference}
    adjusted = dict(zip(found, adjust([one.p_value for one in found.values()]), strict=True))
    lines = [
        "| training images are | document | test accuracy, % | difference | p | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for arm, (words, published) in ARMS.items():
        share = f"{100 * mean(values[arm]):.2f} ± {100 * deviation(values[arm]):.2f}"
        cells = [
            words,
            "" if published is None else f"{100 * published:.2f}",
            f"{share} ({len(values[arm])})",
        ]
        if arm in found:
            difference, p = found[arm], adjusted[arm]
            low, high = (f"{100 * end:+.2f}" for end in difference.interval)
            middle = f"{100 * difference.mean:+.2f}"
            verdict = judge(difference.mean, p)
            cells += [f"{middle} ({low} to {high})", p_value(p), verdict]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
