"""Mixed precision, the one next step that is no field of a preset: bfloat16 against float32."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from mnistcli.display.text import p_value
from mnistcli.verdict.paired import compare_pairs
from mnistcli.verdict.stats import Sample
from tests.ledger.comparisons import gain, line
from tests.ledger.files import PRECISION, read, row_of, write

BASE, MIXED = "float32", "bfloat16"


def add_precision(runs: Sequence[dict[str, Any]]) -> None:
    """Keep runs of presets in one precision each, by seed."""
    kept = read(PRECISION)
    for run in runs:
        own = kept.setdefault(run["preset"]["name"], {}).setdefault(run["precision"], {})
        own[str(run["seed"])] = row_of(run) | {"total": run["test"]["total"]}
    write(PRECISION, kept)


def rows_of_precision() -> str:
    """Return the table, one row a preset whose runs in both precisions have the same seeds."""
    lines = [
        "| preset | float32, % | bfloat16, % | gain, points | p | | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, kept in read(PRECISION).items():
        seeds = sorted(set(kept.get(BASE, {})) & set(kept.get(MIXED, {})), key=int)
        if len(seeds) < 2:
            continue
        base, mixed = (
            [kept[name][seed]["correct"] / kept[name][seed]["total"] for seed in seeds]
            for name in (BASE, MIXED)
        )
        found = compare_pairs({MIXED: (mixed, base)})[MIXED]
        times = [
            kept[MIXED][seed]["train_seconds"] / kept[BASE][seed]["train_seconds"] for seed in seeds
        ]
        verdict = {"better": "helps", "worse": "hurts"}.get(found.verdict, found.verdict)
        cells = [f"`{preset}`", *map(_mean, (base, mixed)), gain(found)]
        cells += [p_value(found.p_value), verdict, f"× {median(times):.2f}"]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> str:
    sample = Sample.of(values)
    return f"{100 * sample.mean:.2f} ± {100 * sample.standard_deviation:.2f} ({sample.size})"
