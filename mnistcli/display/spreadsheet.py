"""Rows → CSV, which people also open in spreadsheets."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_as_csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return CSV with a header; None is an empty cell.

    A spreadsheet runs a text that begins like a formula: an apostrophe before it prevents that.
    """
    page = StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(
            [
                f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
                for cell in row
            ]
        )
    return page.getvalue()
