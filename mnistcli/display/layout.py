"""The style of every table, and the console that results are printed on."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table


class Page(Console):
    """A console on which text from records and presets cannot control the terminal."""

    def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
        """Render as rich does, without characters that are not printable."""
        for segment in super().render(*arguments, **options):
            text = segment.text
            if segment.control or text == "\n" or text.isprintable():
                yield segment
            else:
                kept = "".join(c for c in text if c == "\n" or c.isprintable())
                yield segment._replace(text=kept)


def new_table(*columns: str, right: Sequence[str], gap: int = 2) -> Table:
    """Create an empty table whose columns in `right` hold figures."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for column in columns:
        is_figure = column in right
        # A long name is folded, not cut: its end may be what tells two names apart.
        table.add_column(
            column,
            justify="right" if is_figure else "left",
            overflow="ellipsis" if is_figure else "fold",
        )
    return table
