"""Searches of an hour, and in equal time with random search and TPE: the tables of the guide."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from mnistcli.preset.budget_text import format_budget
from mnistcli.records.searches import SearchDocument
from mnistcli.verdict.stats import Sample, accuracy_interval, welch_difference
from tests.ledger.comparisons import line
from tests.ledger.files import SEARCHES, read, write

METHODS = {
    "mnistcli": "`mnistcli search`",
    "random": "random search",
    "tpe": "TPE (Optuna 5)",
}
SECONDS, HOUR = 300, 3_600
MIN_REPEATS = 5


def add_searches(paths: Sequence[Path]) -> None:
    """Keep the lines that `tests.benchmarks.search` has written, and documents of `search --json`.

    They are kept by method, time and seed.
    """
    kept = read(SEARCHES)
    for path in paths:
        text = path.read_text()
        rows = (
            map(json.loads, text.splitlines()) if path.suffix == ".jsonl" else [_read_search(text)]
        )
        for row in rows:
            name = f"{row['method']} {row['seconds']:.0f} s, seed {row['seed']}"
            kept.setdefault(name, row)
    write(SEARCHES, kept)


def _read_search(text: str) -> dict[str, Any]:
    """Return a row of a search that was asked for with `--within`."""
    found = SearchDocument.model_validate_json(text)
    reference = found.preset.reference
    assert reference
    assert found.oversized_train_seconds == 0
    return {
        "method": "mnistcli",
        "seed": found.seed,
        "seconds": found.within_seconds,
        "budget": format_budget(found.budget),
        "networks": found.networks,
        "rejected": found.rejected,
        "trials": found.trials,
        "epochs": found.winner.epochs,
        "parameters": found.winner.figures["parameters"],
        "rank_correlations": [rung.rank_correlation for rung in found.rungs[:-1]],
        "accuracies": reference.test_accuracies,
        "verdict": found.verdict,
    }


def rows_of_hours() -> str:
    """Return the table of the searches of an hour, by seed."""
    lines = [
        "| seed | networks | trials | did not fit | rank correlations | parameters "
        "| test accuracy, % | 95 % interval | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [row for row in read(SEARCHES).values() if row["seconds"] == HOUR]
    for row in sorted(rows, key=lambda row: row["seed"]):
        found = Sample.of(row["accuracies"])
        cells = [
            f"{row['seed']}",
            f"{row['networks']}",
            f"{row['trials']}",
            f"{row['rejected']}",
            ", ".join(f"{each:.2f}" for each in row["rank_correlations"]),
            f"{row['parameters']:,}",
            f"{100 * found.mean:.2f} ± {100 * found.standard_deviation:.2f} ({found.size})",
            _percent(accuracy_interval(found)),
            row["verdict"].upper(),
        ]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


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
        "| | networks | winner's epochs | took, s | test accuracy, % | 95 % interval "
        "| against `search`, points |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, title in METHODS.items():
        rows = repeats[method]
        found = [mean(row["accuracies"]) for row in rows]
        cells = [
            title,
            f"{median(row['networks'] for row in rows):.0f}",
            _span(row["epochs"] for row in rows),
            _span(row["total_seconds"] for row in rows),
            f"{100 * mean(found):.2f} ± {100 * Sample.of(found).standard_deviation:.2f} "
            f"({len(found)})",
            _percent(accuracy_interval(Sample.of(found))),
            "" if method == "mnistcli" else _compare(found, own),
        ]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


def _span(figures: Iterable[float]) -> str:
    """Return the smallest and the largest figure, or the one that all have."""
    known = sorted(figures)
    return " to ".join(dict.fromkeys(f"{each:.0f}" for each in (known[0], known[-1])))


def _compare(found: Sequence[float], own: Sequence[float]) -> str:
    difference = welch_difference(Sample.of(found), Sample.of(own))
    low, high = (f"{100 * end:+.2f}" for end in difference.interval)
    return f"{100 * difference.mean:+.2f} ({low}…{high}), p = {difference.p_value:.2g}"


def _percent(interval: tuple[float, float] | None) -> str:
    assert interval
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"
