"""`mnistcli report`: one HTML file to send, or the curves as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import (
    DataOption,
    DeviceName,
    DeviceOption,
    JsonOption,
    RunsArgument,
    ThreadsOption,
)
from mnistcli.errors import ExitCode, FileError, UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options


def report(
    runs: RunsArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The HTML file to write.",
            show_default="report.html in the run's folder",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option("--csv", help="Prints the curves as CSV, a row an epoch, and stops."),
    ] = False,
    device: DeviceOption = DeviceName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """One self-contained HTML file on a run, or on several side by side."""
    from mnistcli.records.store import list_references

    references = list_references(runs)
    if curves:
        if out or as_json:
            raise UsageError("--csv goes to stdout; leave --out and --json out")
        print_curves(references)
        return
    if out is None and len(references) > 1:
        raise UsageError("say where the report of several runs goes, as in --out report.html")
    from mnistcli.experiment.machine import Options

    options = Options(device=device.value, threads=threads, data=data)
    write_report(references, out, options, as_json=as_json)


def print_curves(references: list[str]) -> None:
    """Prints every epoch of every run that can be read."""
    from mnistcli.cli.output import print_errors, write
    from mnistcli.display.curves import curves_as_csv
    from mnistcli.records.documents import RunRecord
    from mnistcli.records.store import find_run, read_record

    records: list[RunRecord] = []
    faults: list[FileError] = []
    for reference in references:
        try:
            records.append(read_record(find_run(reference)))
        except FileError as error:
            faults.append(error)
    print_errors(faults)
    if records:
        write(curves_as_csv(records))
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)


def write_report(
    references: list[str], out: Path | None, options: "Options", *, as_json: bool
) -> None:
    """Writes the report of every run that can be read, and prints where it is."""
    from rich.text import Text

    from mnistcli.cli.output import print_errors, show
    from mnistcli.display.report import render_report
    from mnistcli.experiment.report import gather
    from mnistcli.records.reports import ReportDocument, ReportedRun
    from mnistcli.records.store import find_run, write_atomically

    found: list[ReportedRun] = []
    faults: list[FileError] = []
    for reference in references:
        try:
            found.append(gather(find_run(reference), options))
        except FileError as error:
            faults.append(error)
    print_errors(faults)
    if found:
        path = out or find_run(references[0]) / "report.html"
        content = render_report(found).encode()
        write_atomically(path, content)
        names = tuple(run.record.run_id for run in found)
        document = ReportDocument(path=str(path), bytes=len(content), runs=names)
        show(document, Text(document.path), as_json=as_json)
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)
