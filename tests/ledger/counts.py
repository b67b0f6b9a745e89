"""What the reliability tests have survived: crash states, failed calls, seeds, mutants, inputs."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.ledger.comparisons import line
from tests.ledger.files import COUNTS, read, write

EXECUTIONS = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
FOUND = "Test unit written to"


def add_counts(machine: str, paths: Sequence[Path]) -> None:
    """Keep what was counted, in place of what was kept of the same before.

    Args:
        machine: on which it was counted.
        paths: of `pytest --keep-counts`; of `tests.mutants`, named like the part, as
            "verdict.json"; or what `python -m tests.fuzz` has written to stderr, named like the
            reader, as "npz.log".
    """
    kept = read(COUNTS)
    for path in paths:
        kind, found = _read_counts(path)
        about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine}
        own = kept.setdefault(kind, {})
        own |= {name: figures | about for name, figures in found.items()}
    write(COUNTS, kept)


def _read_counts(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the kind of a file, and the figures in it by name."""
    text = path.read_text()
    if path.suffix == ".log":
        [(executions, seconds)] = EXECUTIONS.findall(text)
        figures = {"count": int(executions), "seconds": int(seconds), "failed": text.count(FOUND)}
        return "fuzzed", {path.stem: figures}
    document = json.loads(text)
    if "noticed" in document:
        return "mutants", {path.stem: {"count": document["mutants"], "caught": document["noticed"]}}
    failed = document["failed"]
    counts = document["counts"].items()
    return "survived", {name: {"count": count, "failed": failed} for name, count in counts}


def rows_of_counts() -> str:
    """Return the table of everything that is kept."""
    kept = read(COUNTS)
    lines = ["| what | number | | date |", "|---|---|---|---|"]
    for name, one in kept.get("survived", {}).items():
        failed = f"{one['failed']} tests failed" if one["failed"] else "no test failed"
        lines.append(line([name, f"{one['count']:,}", failed, one["date"]]))
    for name, one in kept.get("mutants", {}).items():
        caught = f"{100 * one['caught'] / one['count']:.1f} % noticed by tests"
        lines.append(line([f"mutants of `{name}`", f"{one['count']:,}", caught, one["date"]]))
    for name, one in kept.get("fuzzed", {}).items():
        found = f"found {one['failed']}" if one["failed"] else "nothing found"
        what = f"{found} in {one['seconds'] / 60:.0f} min"
        lines.append(
            line([f"inputs to the reader `{name}`", f"{one['count']:,}", what, one["date"]])
        )
    return "\n".join(lines) + "\n"
