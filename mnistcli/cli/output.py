"""The only place that prints results, on stdout: a view for a person, or a JSON document."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

import typer

from mnistcli.errors import ExitCode, FileError, reason_of

if TYPE_CHECKING:  # `--help` needs none of these
    from pydantic import BaseModel
    from rich.console import RenderableType

    from mnistcli.preset.schema import Preset

Result = TypeVar("Result")


def show(
    document: "BaseModel",
    view: "RenderableType",
    *,
    as_json: bool,
    markdown: str | None = None,
) -> None:
    """Print the document's JSON, its Markdown if there is any, or its view for a person."""
    if as_json:
        write_data(document.model_dump_json(indent=2) + "\n")
    elif markdown is not None:
        write_data(markdown)
    else:
        show_view(view)


def show_view(view: "RenderableType") -> None:
    """Print a view for a person."""
    from rich.console import Console, Group
    from rich.text import Text

    from mnistcli.display.layout import Page

    stdout = Console()
    page = StringIO()
    console = Page(
        file=page,
        width=stdout.width,
        force_terminal=stdout.is_terminal,
        color_system="auto" if stdout.is_terminal else None,
        highlight=False,
    )
    for part in view.renderables if isinstance(view, Group) else [view]:
        # Tables are fitted to the width; a line of text is not wrapped, so that paths stay whole.
        console.print(part, soft_wrap=isinstance(part, Text))
    write("\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n")


def show_preset(preset: "Preset") -> None:
    """Print a preset with all of its fields, as JSON."""
    from mnistcli.records.presets import PresetDocument

    write_data(PresetDocument(preset=preset).model_dump_json(indent=2) + "\n")


def write_data(text: str) -> None:
    """Write what a program reads to stdout: as UTF-8, whatever the terminal's encoding is.

    Raises:
        FileError: as `write` does.
    """
    write(text.encode())


def write(content: str | bytes) -> None:
    """Write to stdout. A closed pipe, as behind `| head -1`, is no error.

    Raises:
        FileError: stdout cannot be written, as on a full disk.
    """
    if sys.stdout is None:  # as with >&-
        raise FileError("cannot write to stdout: it is closed")
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout again at exit; that must not raise a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise FileError(f"cannot write to stdout: {reason_of(error)}") from error


def read_each(
    references: Iterable[str], read: Callable[[str], Result]
) -> tuple[list[Result], list[FileError]]:
    """Read every reference, and print the errors of unreadable ones on stderr, one per line."""
    found: list[Result] = []
    faults: list[FileError] = []
    for reference in references:
        try:
            found.append(read(reference))
        except FileError as error:
            faults.append(error)
    for fault in faults:
        print_error(str(fault))
    return found, faults


def print_error(message: str) -> None:
    """Print a message as one line on stderr, without control characters, whatever it quotes."""
    if line := in_one_line(message):
        print(f"mnistcli: {line}", file=sys.stderr)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print every warning as one line on stderr."""
    for warning in warnings:
        print_error(f"warning: {warning}")


def print_traceback(error: BaseException) -> None:
    """Print a traceback on stderr, without control characters, whatever it quotes."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        print("".join(c if c.isprintable() else " " for c in line), file=sys.stderr)


def exit_if(faults: Sequence[FileError]) -> None:
    """Exit with 4 if anything could not be read."""
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)


def in_one_line(message: str) -> str:
    """Replace line breaks and control characters, whatever the message quotes."""
    return "".join(c if c.isprintable() else " " for c in " ".join(message.split()))


def finish(passed: bool, *, no_fail: bool) -> None:
    """Exit with 3 if a check failed, unless --no-fail was given."""
    if not passed and not no_fail:
        raise typer.Exit(ExitCode.CHECK_FAILED)
