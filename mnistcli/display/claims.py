"""Published figures beside those measured here → cells of a table."""

from rich.text import Text

from mnistcli.display.text import figure, figure_name
from mnistcli.records.documents import ClaimAudit

CLAIM_STYLE = {
    "confirmed": "green",
    "refuted": "red",
    "undecided": "yellow",
    "not measured": "dim",
}
CLAIM_FIGURES = ("claimed", "measured", "sd")
CLAIM_COLUMNS = ("published", *CLAIM_FIGURES, "verdict")
CLAIM_NOTE = " accuracy and loss: one-sided t-test of the mean, 5 % level for each claim"


def claim_cells(audit: ClaimAudit) -> tuple[str, str, str, str, Text]:
    """Fill CLAIM_COLUMNS; leave figures empty where nothing was measured."""
    here = audit.measured if audit.built is None else audit.built
    return (
        figure_name(audit.figure),
        figure(audit.figure, audit.claimed),
        "" if here is None else figure(audit.figure, here),
        _spread(audit),
        Text(audit.verdict, style=CLAIM_STYLE[audit.verdict]),
    )


def _spread(audit: ClaimAudit) -> str:
    if audit.sd is None or audit.runs < 2:
        return ""
    return f"{100 * audit.sd:.2f}" if audit.figure.endswith("_accuracy") else f"{audit.sd:.4f}"
