"""What `grade` concludes: reasons, and submissions with the same network."""

import hashlib
import json
from collections.abc import Iterable

from mnistcli.records.documents import Check, Summary
from mnistcli.records.grades import Grade

NAMES = {
    "parameters": "parameters",
    "macs": "MACs",
    "flash": "bytes of flash",
    "ram": "bytes of RAM",
    "test_accuracy": "accuracy",
    "epochs": "epochs",
    "train_seconds": "seconds",
    "train_fraction": "fraction of the data",
    "train_examples": "training images",
}


def explain(checks: Iterable[Check]) -> str:
    """Return the failed checks in words, as in "parameters 26,010: the limit is < 20,000"."""
    return "; ".join(map(_explain, (check for check in checks if check.verdict != "pass")))


def _explain(check: Check) -> str:
    name = NAMES.get(check.name) or check.name.replace("_", " ")
    value = "unknown" if check.value is None else _write(check.name, check.value)
    text = f"{name} {value}: the limit is {check.comparison} {_write(check.name, check.limit)}"
    return f"{text} ({check.reason})" if check.reason else text


def _write(name: str, value: float) -> str:
    if name.endswith(("_accuracy", "_fraction")):
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def identify_structure(summary: Summary) -> str:
    """Return a fingerprint of a network that does not depend on names, code or preset."""
    layers = [(row.output_shape, row.parameters) for row in summary.layers if row.parameters]
    return hashlib.sha256(json.dumps([layers, summary.macs]).encode()).hexdigest()


def mark_same(grades: Iterable[Grade]) -> tuple[Grade, ...]:
    """Return the grades; each network that an earlier one equals says so."""
    first: dict[str, str] = {}
    marked = []
    for grade in grades:
        known = None
        if structure := grade.structure_sha256:
            known = first.setdefault(structure, grade.name)
        marked.append(grade.model_copy(update={"same_as": None if known == grade.name else known}))
    return tuple(marked)
