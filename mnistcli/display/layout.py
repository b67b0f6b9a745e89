"""The house's style of a table."""

from collections.abc import Sequence

from rich import box
from rich.table import Table


def new_table(*columns: str, right: Sequence[str], gap: int = 2) -> Table:
    """An empty table in the house's style."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for column in columns:
        is_figure = column in right
        # A name that is too long goes on in the next line: its end may be what tells it apart.
        table.add_column(
            column,
            justify="right" if is_figure else "left",
            overflow="ellipsis" if is_figure else "fold",
        )
    return table
