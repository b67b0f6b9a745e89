"""How figures are written: counts, per cent, seconds, bytes."""

from rich.text import Text

VERDICT_STYLE = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
FIGURE_NAMES = {
    "test_accuracy": "test accuracy",
    "first_epoch_at_99_4": "first epoch ≥ 99.4 %",
    "train_fraction": "training images",
}
SIGNS = {"<": "<", "<=": "≤", ">=": "≥"}


def percent(share: float, digits: int = 2) -> str:
    """As in "99.43 %"."""
    return f"{100 * share:.{digits}f} %"


def seconds(value: float) -> str:
    """As in "24.1 s"."""
    return f"{value:,.1f} s"


def p_value(value: float) -> str:
    """As in "0.041" or "<0.001"."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def size(count: int) -> str:
    """Bytes, as in "66.1 KiB"."""
    if count < 1024:
        return f"{count:,} B"
    return f"{count / 1024:,.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):,.1f} MiB"


def figure(name: str, value: float) -> str:
    """A budget's figure, written the way its kind is."""
    if name.endswith("_accuracy") or name.endswith("_fraction"):
        return percent(value)
    if name.endswith("_seconds"):
        return seconds(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def figure_name(name: str) -> str:
    """As in "test accuracy"."""
    return FIGURE_NAMES.get(name, name.replace("_", " "))


def verdict(word: str) -> Text:
    """PASS, FAIL or INCONCLUSIVE in its colour."""
    return Text(word.upper(), style=VERDICT_STYLE[word])
