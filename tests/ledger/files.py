"""Files of the ledger, and what is kept of a run."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGE, PLOT = ROOT / "presets" / "README.md", ROOT / "presets" / "ledger.svg"
SMALL_PLOT = ROOT / "presets" / "small.svg"
GUIDES = ROOT / "mnistcli" / "guides"
CORESETS_PAGE, CURRICULA_PAGE = GUIDES / "coresets.md", GUIDES / "curricula.md"
SEARCH_PAGE, SMALL_PAGE = GUIDES / "search.md", GUIDES / "small.md"
RELIABILITY_PAGE = GUIDES / "reliability.md"
FOLDER = Path(__file__).parent
RUNS, TIMES = FOLDER / "runs.json", FOLDER / "times.json"
ABLATION, COMPARISONS = FOLDER / "ablation.json", FOLDER / "comparisons.json"
STEPS, SEARCHES = FOLDER / "steps.json", FOLDER / "searches.json"
STUDIES, PRECISION = FOLDER / "studies.json", FOLDER / "precision.json"
COUNTS = FOLDER / "counts.json"


def read_runs(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return all runs in what `train --seeds --json` printed, by preset and seed."""
    runs = [run for path in paths for run in json.loads(path.read_text())["runs"]]
    return sorted(runs, key=lambda run: (run["preset"]["name"], run["seed"]))


def row_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run's figures, and the hashes of its weights and its record."""
    return {
        "seed": run["seed"],
        "correct": run["test"]["correct"],
        "test_loss": run["test"]["loss"],
        "train_accuracy": run["epochs"][-1]["train_accuracy"],
        "train_loss": run["epochs"][-1]["train_loss"],
        "train_seconds": run["train_seconds"],
        "weights_sha256": run["weights_sha256"],
        "record_sha256": hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest(),
    }


def command_of(runs: Sequence[dict[str, Any]], *settings: str) -> str:
    """Return the command that trains these runs again."""
    first, last = runs[0], runs[-1]
    kind = "curriculum" if first["phases"] else "train"
    seeds = str(first["seed"]) if len(runs) == 1 else f"{first['seed']}-{last['seed']}"
    changes = "".join(f" --set '{setting}'" for setting in settings)
    name, threads = first["preset"]["name"], first["threads"]
    return f"mnistcli {kind} {name} --seeds {seeds} --threads {threads}{changes}"


def read(path: Path) -> dict[str, Any]:
    """Return a file of the ledger, empty if it does not exist yet."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a file of the ledger, sorted by name so that a diff shows what changed."""
    path.write_text(json.dumps(dict(sorted(document.items())), indent=1) + "\n")


def write_between(page: Path, mark: str, lines: str) -> None:
    """Replace the lines of a page between the comment that begins with `mark` and its end."""
    begin, end = f"<!-- {mark}: python -m tests.ledger -->\n", f"<!-- end of the {mark} -->"
    before, begun, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise SystemExit(f"{page} has no place for the {mark}")
    page.write_text(before + begin + lines + end + after)
