"""The results of checks as CI jobs read them: Markdown and JUnit XML."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnistcli.cli.options import OUTPUT
from mnistcli.errors import UsageError

Format = Literal["table", "markdown"]

FormatOption = Annotated[
    Format, typer.Option("--format", help="Output format.", rich_help_panel=OUTPUT)
]
JunitOption = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE.xml",
        help="Write the checks as JUnit XML.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]


def check_format(form: Format, *, as_json: bool) -> None:
    """Refuse two output formats.

    Raises:
        UsageError: --json and another format were given.
    """
    if as_json and form != "table":
        raise UsageError(f"--json cannot be combined with --format {form}")


def start_junit(path: Path | None) -> None:
    """Write, if --junit was given, that the training did not finish; what holds until it has.

    Raises:
        WriteError: the file cannot be written, which is known before the training begins.
    """
    from mnistcli.display.junit import unfinished_as_junit

    if path and (path.is_file() or path.is_dir() or not path.exists()):  # no pipe or device
        finish_junit(path, unfinished_as_junit())


def finish_junit(path: Path | None, content: bytes) -> None:
    """Write a JUnit report, if --junit was given.

    Raises:
        WriteError: the file cannot be written.
    """
    from mnistcli.records.files import write_atomically

    if path:
        write_atomically(path, content)
