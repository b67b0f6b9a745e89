"""The only place that prints results: a view for a person or a JSON document, on stdout."""

import os
import sys
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

import typer

from mnistcli.errors import ExitCode, FileError, MnistcliError

if TYPE_CHECKING:  # `--help` needs none of these
    from pydantic import BaseModel
    from rich.console import RenderableType

    from mnistcli.preset.schema import Preset


def show(document: "BaseModel", view: "RenderableType", *, as_json: bool) -> None:
    """Prints the document's JSON, or its view for a person."""
    if as_json:
        write(document.model_dump_json(indent=2) + "\n")
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
        # A table is fitted to the width; a line of text is not broken, so that paths stay whole.
        console.print(part, soft_wrap=isinstance(part, Text))
    write("\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n")


def show_preset(preset: "Preset") -> None:
    """Prints a preset with all of its fields, as JSON."""
    from mnistcli.records.documents import PresetDocument

    write(PresetDocument(preset=preset).model_dump_json(indent=2) + "\n")


def write(text: str) -> None:
    """Writes to stdout. A reader that has gone (`| head -1`) has all it wanted: no error.

    Raises:
        FileError: stdout cannot be written, as on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python itself still flushes on its way out goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise FileError(f"cannot write to stdout: {error.strerror}") from error


def print_errors(faults: Sequence[MnistcliError]) -> None:
    """Says what is wrong with some of the members, a line each, on stderr."""
    for fault in faults:
        print(f"mnistcli: {in_one_line(str(fault))}", file=sys.stderr)


def in_one_line(message: str) -> str:
    """Without control characters, whatever the message quotes."""
    return "".join(c if c.isprintable() else " " for c in " ".join(message.split()))


def finish(passed: bool, *, no_fail: bool) -> None:
    """Ends the command with 3 if a check failed, unless the user does not want that."""
    if not passed and not no_fail:
        raise typer.Exit(ExitCode.CHECK_FAILED)
