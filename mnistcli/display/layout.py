"""The house's style of a table, and the page that results are printed on."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table


class Page(Console):
    """What a record or a preset says reaches the terminal as text, never as a command."""

    def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
        """As rich does, without the characters that cannot be printed."""
        for segment in super().render(*arguments, **options):
            text = segment.text
            if segment.control or text == "\n" or text.isprintable():
                yield segment
            else:
                kept = "".join(c for c in text if c == "\n" or c.isprintable())
                yield segment._replace(text=kept)


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
