"""Searches in equal time: `mnistcli search`, random search and TPE; the table of the guide."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from mnistcli.verdict.stats import Sample, accuracy_interval, welch_difference
from tests.ledger.comparisons import line
from tests.ledger.files import SEARCHES, read, write

METHODS = {
    "mnistcli": "`mnistcli search`",
    "random": "random search",
    "tpe": "TPE (Optuna 5)",
}
SECONDS = 300
MIN_REPEATS = 5


def add_searches(path: Path) -> None:
    """Keep the lines that `tests.benchmarks.search` has written, by method and seed."""
    kept = read(SEARCHES)
    for text in path.read_text().splitlines():
        row = json.loads(text)
        name = f"{row['method']} {row['seconds']:.0f} s, seed {row['seed']}"
        kept.setdefault(name, row)
    write(SEARCHES, kept)


def list_repeats(method: str) -> list[dict[str, Any]]:
    """Return the kept searches of a method in five minutes, by seed."""
    rows = [row for row in read(SEARCHES).values() if row["seconds"] == SECONDS]
    return sorted((row for row in rows if row["method"] == method), key=lambda row: row["seed"])


def rows_of_searches() -> str:
    """Return the table, one row a method; nothing until every method has enough repeats."""
    repeats = {method: list_repeats(method) for method in METHODS}
    if min(map(len, repeats.values())) < MIN_REPEATS:
        return ""
    own = [mean(row["accuracies"]) for row in repeats["mnistcli"]]
    lines = [
        "| found in five minutes | networks | trained for | test accuracy, % | 95 % interval "
        "| against `search`, points |",
        "|---|---|---|---|---|---|",
    ]
    for method, title in METHODS.items():
        rows = repeats[method]
        found = [mean(row["accuracies"]) for row in rows]
        cells = [
            title,
            f"{median(row['networks'] for row in rows):.0f}",
            f"{median(row['epochs'] for row in rows):.0f} epochs",
            f"{100 * mean(found):.2f} ± {100 * Sample.of(found).standard_deviation:.2f} "
            f"({len(found)})",
            _percent(accuracy_interval(Sample.of(found))),
            "" if method == "mnistcli" else _compare(found, own),
        ]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


def _compare(found: Sequence[float], own: Sequence[float]) -> str:
    difference = welch_difference(Sample.of(found), Sample.of(own))
    low, high = (f"{100 * end:+.2f}" for end in difference.interval)
    return f"{100 * difference.mean:+.2f} ({low}…{high}), p = {difference.p_value:.2g}"


def _percent(interval: tuple[float, float] | None) -> str:
    assert interval
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"
