"""A page of the manual: Markdown → what rich prints."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from mnistcli.display.layout import new_table

MAX_WIDTH = 100
"""Columns of a page; longer lines are hard to read."""
GAP = 2
"""Spaces between the columns of a table; the box has one of them."""
STYLES = Theme({"markdown.code": "bold cyan", "markdown.h1": "bold", "markdown.h2": "bold"})
HIDDEN = re.compile(r"^(<!--.*-->|!\[.*)\n", re.MULTILINE)
"""Comments and pictures, each in a line of its own."""
OTHER_PAGE = re.compile(r"\[(\w+)\]\(\1\.md\)")
RELATIVE_LINK = re.compile(r"\[([^]]+)\]\((?!https?:)[^)]*\)")
FENCED_OR_CODE = re.compile(r"^```.*?^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def guide_view(text: str) -> RenderableType:
    """Return a guide as it is printed: without comments, pictures, and links to files."""
    text = OTHER_PAGE.sub(r"`mnistcli guide \1`", HIDDEN.sub("", text))
    return _Guide(RELATIVE_LINK.sub(r"\1", text))


def topics_view(titles: Mapping[str, str]) -> RenderableType:
    """Return a table of the topics and their titles."""
    table = new_table("topic", "about", right=())
    for topic, title in titles.items():
        table.add_row(topic, Text(title))
    return table


class _Guide:
    """A guide whose code stands out: by its colour, without colour by its backquotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        has_colour = console.color_system is not None and not console.no_color
        yield _Page(self.text if has_colour else _quote_code(self.text), hyperlinks=False)


def _quote_code(text: str) -> str:
    """Return Markdown that prints the backquotes of its inline code."""
    return FENCED_OR_CODE.sub(lambda found: f"`` `{found[1]}` ``" if found[1] else found[0], text)


class _Heading(Heading):
    """A heading on the left, underlined so that it also stands out without colour."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text
        mark = "═" if self.tag == "h1" else "─"
        yield Text(mark * min(self.text.cell_len, options.max_width), style="dim")


class _Code(CodeBlock):
    """An indented code block on the terminal's own background."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Syntax(
            str(self.text).rstrip(),
            self.lexer_name,
            theme="ansi_dark",
            background_color="default",
            word_wrap=True,
        )
        yield Padding(code, (0, 0, 0, 4))


class _Table(TableElement):
    """A table in which no word is broken, where the width allows it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [self.header.row] if self.header else []
        lines += self.body.rows if self.body else []
        head, *rows = [[cell.content for cell in line.cells] for line in lines if line]
        columns = list(zip(head, *rows, strict=True))
        widths = _share_width(columns, options.max_width - GAP * (len(columns) - 1))
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0)
        )
        for text, width in zip(head, widths, strict=True):
            table.add_column(text, width=width, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def _share_width(columns: Sequence[Sequence[Text]], available: int) -> list[int]:
    """Return the width of every column: its longest word, and more to the narrowest ones."""
    wanted = [max(text.cell_len for text in column) for column in columns]
    words = (
        max(cell_len(word) for text in column for word in text.plain.split() or [""])
        for column in columns
    )
    widths = [min(word, max(1, available // 2)) for word in words]
    for _ in range(min(available, sum(wanted)) - sum(widths)):
        narrow = [number for number, width in enumerate(widths) if width < wanted[number]]
        widths[min(narrow, key=widths.__getitem__)] += 1
    return widths


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "table_open": _Table,
    }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(STYLES):
            narrow = options.update(width=min(options.max_width, MAX_WIDTH))
            yield from super().__rich_console__(console, narrow)
