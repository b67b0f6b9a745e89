"""How figures are written: counts, per cent, seconds, bytes, verdicts."""

from collections.abc import Collection, Iterable

from rich.text import Text

from mnistcli.preset.budget import BYTES
from mnistcli.records.documents import Check, Verdict

VERDICT_STYLE = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
FIGURE_NAMES = {
    "macs": "MACs",
    "ram": "RAM",
    "non_zero_weights": "non-zero weights",
    "parameters_before": "parameters before pruning",
    "macs_before": "MACs before pruning",
    "device_flash": "flash of the device",
    "device_ram": "RAM of the device",
    "test_accuracy": "test accuracy",
    "first_epoch_at_99_4": "first epoch ≥ 99.4 %",
    "train_fraction": "training images",
    "train_examples": "training images",
    "train_seconds": "training time",
}
SIGNS = {"<": "<", "<=": "≤", ">=": "≥"}


def percent(fraction: float, digits: int = 2) -> str:
    """Return, for example, "99.43 %"."""
    return f"{100 * fraction:.{digits}f} %"


def seconds(value: float, digits: int = 1) -> str:
    """Return, for example, "24.1 s"."""
    return f"{value:,.{digits}f} s"


def time_limit(value: float) -> str:
    """Return, for example, "within 30 s"."""
    return f"within {value:,g} s"


def p_value(value: float) -> str:
    """Return, for example, "0.041" or "<0.001"."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int, thing: str) -> str:
    """Return, for example, "1 epoch" or "2,000 images"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes as, for example, "66.1 KiB"."""
    if count < 1024:
        return f"{count:,} B"
    return f"{count / 1024:,.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):,.1f} MiB"


def figure(name: str, value: float, decimals: int = 0) -> str:
    """Return a figure of a budget with the unit of its kind, and at least so many decimals."""
    if name.endswith("_accuracy") or name.endswith("_fraction"):
        return percent(value, max(2, decimals - 2))
    if name.endswith("_seconds"):
        return seconds(value, max(1, decimals))
    if name.removeprefix("device_") in BYTES:
        return f"{value:,} B"
    if name == "epochs":
        return f"{round(value, 3):,}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def figure_name(name: str) -> str:
    """Return the name of a figure in words, for example "test accuracy"."""
    return FIGURE_NAMES.get(name, name.replace("_", " "))


def verdict(word: Verdict) -> Text:
    """Return PASS, FAIL or INCONCLUSIVE in its colour."""
    return Text(word.upper(), style=VERDICT_STYLE[word])


def overall_verdict(checks: Iterable[Check]) -> Verdict:
    """Return the worst verdict of the checks: "pass" only if all of them pass."""
    found = {check.verdict for check in checks}
    return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"


def percent_or_dash(fraction: float | None) -> str:
    """Return per cent, or a dash where there is no figure."""
    return "–" if fraction is None else percent(fraction)


def of_dataset(name: str | None) -> str:
    """Return " of fashion" for a data set of that name, and nothing for MNIST or one's own."""
    return f" of {name}" if name and name != "mnist" else ""


def digit_names(digits: Collection[int]) -> str:
    """Return, for example, "0 1 7", or "all" for all ten digits."""
    return "all" if len(digits) == 10 else " ".join(map(str, digits))
