"""The documents' next steps, each as an arm of a study on one network: run, kept, and tabled."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistcli.preset.arms import BASE, read_arms
from mnistcli.verdict.paired import ArmSummary
from tests.ledger.arms import compare_arms, table_of_arms
from tests.ledger.files import FOLDER, STEPS, read, write

ARMS = FOLDER / "steps"
"""Files of arms, by preset, as `mnistcli study PRESET --arms FILE` takes them."""
MIN_SEEDS = 5
NAMES = ("sprint", "sevenconv", "journey-v2", "journey-v1")


def run_steps(preset: str, seeds: Sequence[int], runs: Path) -> None:
    """Run what is missing, all arms of one seed after the other, and keep each seed at once.

    Args:
        preset: base of the arms.
        seeds: of which some may have been kept on an earlier day.
        runs: folder of studies; one that was interrupted is resumed there.
    """
    for seed in seeds:
        if str(seed) in read(STEPS).get(preset, {}):
            continue
        begun = sorted(path.parent for path in runs.glob(f"{preset}-study-*-s{seed}*/plan.json"))
        options = ["--resume", begun[-1]] if begun else [preset, "--arms", ARMS / f"{preset}.toml"]
        if not begun:
            options += ["--test", "--seeds", seed, "--out", runs]
        command = [sys.executable, "-m", "mnistcli", "study", *options, "--jobs", 2, "--json", "-q"]
        done = subprocess.run(
            [str(each) for each in command], check=True, stdout=subprocess.PIPE, text=True
        )
        add_steps(json.loads(done.stdout))


def add_steps(document: dict[str, Any]) -> None:
    """Keep a study of one seed: accuracy, training seconds, parameters and MACs of every arm."""
    preset, (seed,) = document["preset"]["name"], document["seeds"]
    arms = {
        arm["name"]: {
            "accuracy": arm["accuracies"][0], "seconds": arm["train_seconds"],
            "parameters": arm["parameters"], "macs": arm["macs"], "overrides": arm["overrides"],
        }
        for arm in (document["base"], *document["arms"])
    }  # fmt: skip
    machine = {key: document[key] for key in ("device", "precision", "threads", "cpu")}
    kept = read(STEPS)
    write(STEPS, kept | {preset: kept.get(preset, {}) | {str(seed): machine | {"arms": arms}}})


def summarize(preset: str) -> dict[str, ArmSummary]:
    """Compare every arm with the base, paired by seed, p-values adjusted for all arms."""
    return compare_arms([*read(STEPS)[preset].values()])


def list_arms(preset: str) -> dict[str, str]:
    """Return what the arms are, by name, the base first."""
    arms, mistakes = read_arms(ARMS / f"{preset}.toml")
    assert not mistakes
    return {BASE: "the preset"} | {arm.name: arm.title for arm in arms}


def rows_of_steps() -> str:
    """Return the tables, one row a step: of every preset with enough seeds."""
    kept = read(STEPS)
    return "\n".join(
        table_of_arms(f"on `{name}`", "test", list_arms(name), [*kept[name].values()])
        for name in NAMES
        if len(kept.get(name, {})) >= MIN_SEEDS
    )
