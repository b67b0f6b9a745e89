"""Table of the arms of a study, paired by seed, with what helps and what hurts in words."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from mnistcli.display.text import p_value
from mnistcli.preset.arms import BASE
from mnistcli.verdict.paired import ArmSummary, name_effect, summarize_arms
from tests.ledger.comparisons import gain, line

Seeds = Sequence[Mapping[str, Any]]
"""By seed, and under "arms" by name: accuracy, seconds and parameters."""


def compare_arms(seeds: Seeds) -> dict[str, ArmSummary]:
    """Compare every arm with the base, paired by seed, p-values adjusted for all arms."""
    accuracies = {
        name: [seed["arms"][name]["accuracy"] for seed in seeds] for name in seeds[0]["arms"]
    }
    return summarize_arms(accuracies, {name: (name, BASE) for name in accuracies if name != BASE})


def table_of_arms(head: str, images: str, titles: Mapping[str, str], seeds: Seeds) -> str:
    """Return the table, one row an arm in the order of `titles`, and a sentence on every effect.

    Args:
        head: of the first column.
        images: which the accuracies are of, as in "test".
        titles: what the arms are, by name.
        seeds: what every arm gave.
    """
    found = compare_arms(seeds)
    lines = [
        f"| {head} | {images} accuracy, % | gain, points | p | | time | parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in titles.items():
        arms, arm = [seed["arms"][name] for seed in seeds], found[name]
        times = [one["seconds"] / seed["arms"][BASE]["seconds"]
                 for one, seed in zip(arms, seeds, strict=True) if one["seconds"]]  # fmt: skip
        mean = "" if arm.mean_accuracy is None else f"{100 * arm.mean_accuracy:.2f}"
        cells = [title, f"{mean} ± {100 * (arm.sd or 0):.2f} ({len(seeds)})"]
        if (difference := arm.difference) is not None:
            effect = name_effect(arm) or ""
            cells += [gain(difference), p_value(difference.adjusted_p_value), effect]
        else:
            cells += ["", "", ""]
        ratio = f"× {median(times):.2f}" if times else ""
        lines.append(line([*cells, ratio, f"{arms[0]['parameters']:,}"]))
    return "\n".join([*lines, "", *_say_effects(found)]) + "\n"


def _say_effects(found: Mapping[str, ArmSummary]) -> Iterator[str]:
    """Say in words what helps and what hurts."""
    effects: dict[str, list[str]] = {"helps": [], "hurts": [], "no clear difference": []}
    for name, arm in found.items():
        if effect := name_effect(arm):
            effects.setdefault(effect, []).append(name)
    for effect, names in effects.items():
        yield f"- {effect.capitalize()}: {', '.join(names) or 'none of them'}."
