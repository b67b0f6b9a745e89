"""The app: its commands, and the place where errors become a line and an exit code."""

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from mnistcli import __version__
from mnistcli.cli import data, presets, runs
from mnistcli.cli.compare import compare
from mnistcli.cli.coreset import coreset
from mnistcli.cli.curriculum import curriculum
from mnistcli.cli.evaluate import evaluate
from mnistcli.cli.export import export
from mnistcli.cli.grade import grade
from mnistcli.cli.guide import guide
from mnistcli.cli.output import print_error, print_traceback, write
from mnistcli.cli.report import report
from mnistcli.cli.search import search
from mnistcli.cli.streams import prepare_streams
from mnistcli.cli.study import study
from mnistcli.cli.summary import summary
from mnistcli.cli.train import train
from mnistcli.errors import ExitCode, as_error, require_text
from mnistcli.process import (
    Stopped,
    ending_at_once,
    handle_signals,
    ignore_signals,
    tune_process,
)

FIRST_COMMANDS = """\
Try:
  mnistcli train           train the preset sprint and check its budget
  mnistcli summary sprint  show its layers, parameters and published claims
  mnistcli guide           read the manual
"""

ENDINGS = {
    "SIGHUP": (ExitCode.HUNG_UP, "hung up"),
    "SIGINT": (ExitCode.INTERRUPTED, "interrupted"),
    "SIGUSR1": (ExitCode.WARNED, "stopped by SIGUSR1"),
    "SIGTERM": (ExitCode.TERMINATED, "terminated"),
}
"""Exit code and message of every signal; the numbers differ from system to system."""

app = typer.Typer(
    name="mnistcli",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(summary)
app.command()(train)
app.command()(coreset)
app.command()(curriculum)
app.command()(study)
app.command()(search)
app.command()(evaluate)
app.command()(compare)
app.command()(grade)
app.command()(report)
app.command()(export)
app.command()(guide)
app.add_typer(presets.app, name="presets")
app.add_typer(runs.app, name="runs")
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"mnistcli {__version__}\n")
        raise typer.Exit()


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Train very small networks on MNIST and check them against a budget.

    Exit codes:
      0  success                     4  data, run or weights unreadable
      1  internal fault              5  training diverged
      2  usage, preset or option     129, 130  hung up, interrupted
      3  a check failed              138, 143  SIGUSR1, terminated
    """
    if context.invoked_subcommand is None:
        write(FIRST_COMMANDS)
        write(context.get_help())


def run_program() -> NoReturn:
    """Run the command line as the one thing that this process does."""
    with ending_at_once():
        main()


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    tune_process()
    prepare_streams()
    handle_signals()
    try:
        code = _run()
    except Stopped as again:  # a further signal, before they were ignored
        code = _end(again)
    sys.exit(code)


def _run() -> int:
    try:
        _check_names()
        return int(app(prog_name="mnistcli", standalone_mode=False) or ExitCode.OK)
    except TyperException as error:
        return _fail(error.exit_code, error.format_message().replace("Value error, ", ""))
    except Stopped as stopped:
        return _end(stopped)
    except Exception as error:
        if "--traceback" in sys.argv:
            print_traceback(error)
        known = as_error(error)
        return _fail(known.exit_code, str(known))


def _end(stopped: Stopped) -> int:
    """Say that a signal came, and how to resume if that is known of it or of one before it."""
    ignore_signals()
    advised: BaseException | None = stopped
    while isinstance(advised, Stopped) and not advised.advice:
        advised = advised.__context__
    advice = f"; {advised.advice}" if isinstance(advised, Stopped) else ""
    code, word = ENDINGS[signal.Signals(stopped.number).name]
    return _fail(code, f"{word}{advice}")


def _check_names() -> None:
    """Refuse, before anything starts, names that no document can hold.

    Raises:
        UsageError: an argument or a variable is not text.
    """
    variables = (value for name, value in os.environ.items() if name.startswith("MNISTCLI_"))
    for name in (*sys.argv[1:], *variables):
        require_text(name)


def _fail(code: int, message: str) -> int:
    print_error(message)
    return code
