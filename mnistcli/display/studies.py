"""Paired differences of a study → cells of a table."""

from rich.text import Text

from mnistcli.display.text import p_value
from mnistcli.records.comparisons import PairedDifference

DIFFERENCE_COLUMNS = ("diff.", "95 % interval", "p")
PAIRED_NOTE = (
    "paired by seed, in percentage\n"
    " points; p from a paired t-test, adjusted for all comparisons (Holm)"
)
VERDICT_STYLE = {"better": "green", "worse": "red", "no clear difference": ""}


def difference_cells(difference: PairedDifference | None) -> tuple[str, str, str, Text]:
    """Fill DIFFERENCE_COLUMNS and the verdict; leave them empty where there is no difference."""
    if difference is None:
        return "", "", "", Text()
    low, high = difference.interval
    return (
        f"{100 * difference.mean:+.2f}",
        f"{100 * low:+.2f} {100 * high:+.2f}",
        p_value(difference.adjusted_p_value),
        Text(
            difference.verdict.replace("no clear difference", "unclear"),
            style=VERDICT_STYLE[difference.verdict],
        ),
    )
