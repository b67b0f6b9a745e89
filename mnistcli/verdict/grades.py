"""What `grade` concludes: reasons, and submissions with the same network."""

import hashlib
import json
from collections.abc import Iterable

from mnistcli.records.documents import Check, Summary
from mnistcli.records.grades import Grade

MAX_DIGITS = 12
"""Decimals by which a figure and its limit are told apart."""
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
    value, limit = "unknown", _write(check.name, check.limit, 2)
    if check.value is not None:
        value, limit = _tell_apart(check.name, check.value, check.limit)
    text = f"{name} {value}: the limit is {check.comparison} {limit}"
    return f"{text} ({check.reason})" if check.reason else text


def _tell_apart(name: str, value: float, limit: float) -> tuple[str, str]:
    """Return a figure and its limit, with as many decimals as they need to differ."""
    texts = ("", "")
    for digits in range(2, MAX_DIGITS):
        texts = _write(name, value, digits), _write(name, limit, digits)
        if texts[0] != texts[1] or value == limit:
            break
    return texts


def _write(name: str, value: float, digits: int) -> str:
    """Return a figure with so many decimals, without zeros at the end if it is no percentage."""
    if name.endswith(("_accuracy", "_fraction")):
        return f"{100 * value:.{digits}f} %"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.{digits if abs(value) < 1_000 else digits - 2}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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
