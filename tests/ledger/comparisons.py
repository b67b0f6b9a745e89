"""Results of `coreset --compare` and `curriculum --compare`, and the guides' tables of them."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from mnistcli.display.text import p_value
from mnistcli.records.comparisons import PairedDifference
from mnistcli.verdict.paired import compare_pairs
from tests.ledger.files import COMPARISONS, read, write

CORESETS = "coresets"
SIZES = (12_000, 3_000, 600)
VERDICTS = {"better": " **better**", "worse": " worse", "no clear difference": ""}
ORDERS = (
    "phases by digits, 12,000 images",
    "easy first, one epoch",
    "self-paced, one epoch",
    "easy first, four epochs",
    "easy first, four epochs, 30 % wrong labels",
    "self-paced, four epochs, 30 % wrong labels",
    "hardest, one epoch and three halves",
)
RIVALS = ("none", "random", "reversed")


def add_comparison(title: str, path: Path) -> None:
    """Keep the accuracies of every arm, seed by seed, and the hash of the document."""
    content = path.read_bytes()
    document = json.loads(content)
    entry = {
        "preset": document["preset"]["name"],
        "evaluated_on": document["evaluated_on"],
        "seeds": document["seeds"],
        "steps": document.get("steps") or document["arms"][0]["steps"],
        "document_sha256": hashlib.sha256(content).hexdigest(),
    }
    if "results" in document:
        everything, results = document["everything"], document["results"]
        entry["everything"] = everything["accuracies"]
        entry["seconds"] = {
            one["method"]: one["selection_seconds"] for one in results if one["size"] == SIZES[0]
        }
        entry["arms"] = {f"{one['method']} {one['size']}": one["accuracies"] for one in results}
    else:
        entry["arms"] = {arm["name"]: arm["accuracies"] for arm in document["arms"]}
    write(COMPARISONS, read(COMPARISONS) | {title: entry})


def against_random(entry: dict[str, Any]) -> dict[str, PairedDifference]:
    """Compare every method with `random` of the same size; p-values adjusted for all of them."""
    arms = entry["arms"]
    return compare_pairs(
        {
            arm: (values, arms[f"random {arm.split()[1]}"])
            for arm, values in arms.items()
            if not arm.startswith("random ")
        }
    )


def rows_of_coresets() -> str:
    """Return the table of the methods, sorted by their accuracy at the largest size."""
    entry = read(COMPARISONS)[CORESETS]
    found = against_random(entry)
    methods = sorted(
        entry["seconds"],
        key=lambda name: (name != "random", -mean(entry["arms"][f"{name} {SIZES[0]}"])),
    )
    lines = [
        "| method | 12,000 images (20 %) | 3,000 (5 %) | 600 (1 %) | seconds |",
        "|---|---|---|---|---|",
    ]
    for method in methods:
        arms = [f"{method} {size}" for size in SIZES]
        cells = [_cell(mean(entry["arms"][arm]), found.get(arm)) for arm in arms]
        lines.append(line([f"`{method}`", *cells, f"{entry['seconds'][method]:.1f}"]))
    return "\n".join(lines) + "\n"


def rows_of_orders() -> str:
    """Return the table of every curriculum against its rivals, p-values adjusted."""
    lines = [
        "| what | n | curriculum | against none | against random order | against reversed |",
        "|---|---|---|---|---|---|",
    ]
    for title in ORDERS:
        entry = read(COMPARISONS)[title]
        own = entry["arms"]["curriculum"]
        there = [rival for rival in RIVALS if rival in entry["arms"]]
        found = compare_pairs({rival: (own, entry["arms"][rival]) for rival in there})
        cells = [
            f"{gain(found[rival])}, {_p(found[rival])}" if rival in found else ""
            for rival in RIVALS
        ]
        lines.append(line([title, str(len(own)), f"{100 * mean(own):.2f} %", *cells]))
    return "\n".join(lines) + "\n"


def _cell(average: float, found: PairedDifference | None) -> str:
    share = f"{100 * average:.2f}"
    return f"{share}: {gain(found)}{VERDICTS[found.verdict]}" if found else share


def gain(found: PairedDifference) -> str:
    """Return the difference in percentage points, with its 95 % confidence interval."""
    low, high = (f"{100 * end:+.2f}" for end in found.interval)
    return f"{100 * found.mean:+.2f} ({low}…{high})"


def _p(found: PairedDifference) -> str:
    shown = p_value(found.adjusted_p_value)
    return f"p < {shown[1:]}" if shown.startswith("<") else f"p = {shown}"


def line(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
