"""`mnistcli runs …`: list, show, tag, check and remove runs."""

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    AllowCodeOption,
    DeviceOption,
    JsonOption,
    OwnDataOption,
    QuietOption,
    RunsArgument,
    ThreadsOption,
)
from mnistcli.cli.output import exit_if, print_error, read_each
from mnistcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mnistcli.engine.events import Emit
    from mnistcli.experiment.training.setup import TrainingSetup

State = Literal["finished", "unfinished", "diverged", "unreadable"]

app = typer.Typer(no_args_is_help=True, help="List, show, tag, check and remove runs.")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run folder, finished or not.")]


@app.command("list")
def list_(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR", envvar="MNISTCLI_OUT", help="Folder of runs, or a .batch.json."
        ),
    ] = "runs",
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="Only runs of this preset."),
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only runs with this tag.")
    ] = None,
    passed: Annotated[
        bool | None,
        typer.Option("--passed/--failed", help="Only runs that passed, or failed, their budget."),
    ] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only runs in this state.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder, newest first."""
    from mnistcli.cli.output import show
    from mnistcli.display.listings import list_view
    from mnistcli.records.inventory import list_rows
    from mnistcli.records.listings import RunList

    wanted = {"preset": preset, "tag": tag, "passed": passed, "state": state}
    limits = {name: value for name, value in wanted.items() if value is not None}
    rows = list_rows(folder)
    found = [row for row in rows if all(getattr(row, name) == limits[name] for name in limits)]
    document = RunList(folder=folder, runs=tuple(found))
    faults = [row.reason for row in rows if row.reason]
    for fault in faults:
        print_error(fault)
    show(document, list_view(document), as_json=as_json)
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)


@app.command("show")
def show_(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the record of a run, or how far an unfinished run has come."""
    from mnistcli.cli.output import show
    from mnistcli.display.details import record_view, start_view
    from mnistcli.records.folders import find_started_run
    from mnistcli.records.inventory import list_files, read_divergence, read_progress, read_start
    from mnistcli.records.store import RECORD, read_record
    from mnistcli.records.tags import read_tag

    folder = find_started_run(run)
    tag, files = read_tag(folder), list_files(folder)
    if (folder / RECORD).exists():
        record = read_record(folder)
        show(record, record_view(record, folder, tag, files), as_json=as_json)
    else:
        start = read_start(folder)
        saved, divergence = read_progress(folder), read_divergence(folder)
        view = start_view(start, folder, tag, files, saved, divergence)
        show(start, view, as_json=as_json)


@app.command()
def rm(
    folders: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders to remove.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove run folders; refuse anything else.

    If one of them is refused, none is removed.
    """
    from mnistcli.cli.output import show
    from mnistcli.display.listings import removal_view
    from mnistcli.records.listings import RunRemoval
    from mnistcli.records.removal import find_removable_run, remove_run

    found, faults = read_each(folders, find_removable_run)
    exit_if(faults)
    removed = list({os.path.realpath(run.path): run for run in found}.values())
    if not dry_run:
        removed, faults = read_each([run.path for run in removed], remove_run)
    if removed:
        document = RunRemoval(runs=tuple(removed), removed=not dry_run)
        show(document, removal_view(document), as_json=as_json)
    exit_if(faults)


@app.command()
def tag(
    run: RunArgument,
    name: Annotated[
        str | None, typer.Argument(metavar="TAG", help="Name, such as best or v2.1.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the tag.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set or remove a run's tag."""
    from rich.text import Text

    from mnistcli.cli.output import show
    from mnistcli.records.folders import find_started_run
    from mnistcli.records.tags import remove_tag, write_tag

    if (name is not None) == remove:
        raise UsageError("runs tag needs either a TAG or --remove")
    folder = find_started_run(run)
    document = remove_tag(folder) if name is None else write_tag(folder, name)
    words = f"{folder}: tag {document.tag}" if document.tag else f"{folder}: no tag"
    show(document, Text(words), as_json=as_json)


@app.command()
def check(
    context: typer.Context,
    runs: RunsArgument,
    train: Annotated[
        bool, typer.Option("--train", help="Train each run again, too, and compare.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data: OwnDataOption = None,
    dataset: DatasetOption = None,
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate runs again, and confirm or refute their records.

    Exit with 3 unless every record is confirmed.
    """
    from mnistcli.cli.output import finish, show
    from mnistcli.display.checks import checks_view
    from mnistcli.experiment.check import check_run
    from mnistcli.experiment.machine import Options
    from mnistcli.records.checks import RunChecks
    from mnistcli.records.folders import find_run, list_references

    data = choose_data(context, data, dataset, quiet=quiet)
    options = Options(device=device, threads=threads, data=data, allow_code=allow_code)
    watch = (lambda setup: show_training(setup, quiet=quiet)) if train else None
    found, faults = read_each(
        list_references(runs), lambda run: check_run(find_run(run), options, watch)
    )
    confirmed = all(each.verdict == "confirmed" for each in found)
    if found:
        document = RunChecks(runs=tuple(found), confirmed=confirmed)
        show(document, checks_view(document), as_json=as_json)
    exit_if(faults)
    finish(confirmed, no_fail=False)


def show_training(setup: "TrainingSetup", *, quiet: bool) -> "AbstractContextManager[Emit]":
    """Show on stderr how a training proceeds."""
    from mnistcli.cli.header import make_header
    from mnistcli.display.progress import show_progress, standard_error

    return show_progress(standard_error(), make_header(setup), quiet=quiet)
