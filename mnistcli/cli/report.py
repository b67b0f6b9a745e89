"""`mnistcli report`: write one HTML file to send, or print the curves as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    OUTPUT,
    AllowCodeOption,
    DeviceOption,
    JsonOption,
    OwnDataOption,
    RunsArgument,
    ThreadsOption,
    TracebackOption,
    refuse,
)
from mnistcli.cli.output import exit_if, read_each
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options

MAX_DETAILED = 50
"""Maximum number of runs whose curves and mistakes are in a report."""


def report(
    context: typer.Context,
    runs: RunsArgument,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data: OwnDataOption = None,
    dataset: DatasetOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="HTML file to write.",
            show_default="report.html in the run folder",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            "--csv", help="Print the curves as CSV, one row per epoch.", rich_help_panel=OUTPUT
        ),
    ] = False,
    badge: Annotated[
        Path | None,
        typer.Option(
            "--badge",
            metavar="FILE.svg",
            help="Draw a badge of one run instead.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: JsonOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Write one self-contained HTML file about one or several runs."""
    from mnistcli.records.folders import list_references

    if badge:
        refuse(context, "--badge", {"device", "threads", "data", "dataset", "out", "curves"})
    references = list_references(runs)
    if curves and (out or as_json):
        raise UsageError("--csv cannot be combined with --out or --json: it prints on stdout")
    if curves:
        refuse(context, "--csv", {"device", "threads", "data", "dataset"})
    if badge:
        write_badge(references, badge, as_json=as_json)
    elif curves:
        print_curves(references)
    elif out is None and len(references) > 1:
        raise UsageError("--out is missing for a report of several runs; try: --out report.html")
    else:
        from mnistcli.experiment.machine import Options  # imports torch

        data = choose_data(context, data, dataset)
        options = Options(device=device, threads=threads, data=data, allow_code=allow_code)
        write_report(references, out, options, as_json=as_json)


def print_curves(references: list[str]) -> None:
    """Print every epoch of every run that can be read."""
    from mnistcli.cli.output import write_data
    from mnistcli.display.curves import curves_as_csv
    from mnistcli.records.folders import find_run
    from mnistcli.records.store import read_record

    records, faults = read_each(references, lambda reference: read_record(find_run(reference)))
    if records:
        write_data(curves_as_csv(records))
    exit_if(faults)


def write_badge(references: list[str], path: Path, *, as_json: bool) -> None:
    """Draw the badge of a run, and print its path.

    Raises:
        UsageError: there are several runs.
        FileError: the record is unreadable, or the badge cannot be written.
    """
    from rich.text import Text

    from mnistcli.cli.output import show
    from mnistcli.display.badge import draw_badge
    from mnistcli.records.folders import find_run
    from mnistcli.records.outputs import write_output
    from mnistcli.records.reports import ReportDocument
    from mnistcli.records.store import read_record

    if len(references) > 1:
        raise UsageError(f"--badge takes a single run: got {len(references)}. Name one of them.")
    record = read_record(find_run(references[0]))
    content = draw_badge(record).encode()
    write_output(path, content)
    document = ReportDocument(path=str(path), bytes=len(content), runs=(record.run_id,))
    show(document, Text(document.path), as_json=as_json)


def write_report(
    references: list[str], out: Path | None, options: "Options", *, as_json: bool
) -> None:
    """Write the report of every run that can be read, and print its path.

    Of more than MAX_DETAILED runs it has the tables alone: their networks are not evaluated again.
    """
    from rich.text import Text

    from mnistcli.cli.output import show
    from mnistcli.display.report import render_overview, render_report
    from mnistcli.experiment.report import collect_report
    from mnistcli.records.folders import find_run
    from mnistcli.records.outputs import write_output
    from mnistcli.records.reports import ReportDocument
    from mnistcli.records.store import REPORT, read_record

    if len(references) > MAX_DETAILED:
        records, faults = read_each(references, lambda run: read_record(find_run(run)))
        page = render_overview(records) if records else ""
    else:
        found, faults = read_each(references, lambda run: collect_report(find_run(run), options))
        records = [run.record for run in found]
        page = render_report(found) if found else ""
    if page:
        path, content = out or find_run(references[0]) / REPORT, page.encode()
        write_output(path, content)
        names = tuple(record.run_id for record in records)
        document = ReportDocument(path=str(path), bytes=len(content), runs=names)
        show(document, Text(document.path), as_json=as_json)
    exit_if(faults)
