"""`mnistcli compare`: runs and presets side by side, with a statistical verdict."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import JsonOption
from mnistcli.errors import ExitCode, FileError, PresetError, UsageError

if TYPE_CHECKING:
    from mnistcli.preset.schema import Preset
    from mnistcli.records.documents import RunRecord


class Format(StrEnum):
    """How to print a comparison."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class Gate(StrEnum):
    """What makes the command fail."""

    worse = "worse"


def compare(
    members: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|PRESET...",
            help="Runs, folders of runs, or presets, which stand for their \\[reference].",
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
    fail_on: Annotated[
        Gate | None,
        typer.Option("--fail-on", help="Exits 3 if a group is clearly worse than the first."),
    ] = None,
    journal: Annotated[
        bool, typer.Option("--journal", help="Every run in order, with what changed before it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Runs side by side, grouped by preset over their seeds, against the first group."""
    from mnistcli.cli.output import print_errors, show, write
    from mnistcli.display.compare import as_csv, as_markdown, comparison_view, journal_view
    from mnistcli.records.documents import RunRecord
    from mnistcli.verdict.compare import compare_members, keep_journal

    if journal and (fail_on or form in (Format.csv, Format.markdown)):
        raise UsageError("--journal goes with no --fail-on, and with --format table or json")
    if as_json and form in (Format.csv, Format.markdown):
        raise UsageError(f"--json and --format {form.value} ask for two things; leave out one")
    found, faults = read_members(members)
    if journal and not any(isinstance(one, RunRecord) for one in found):
        raise UsageError("--journal lists runs, and these are presets; name runs or their folders")
    print_errors(faults)
    in_json = as_json or form is Format.json
    if journal:
        document = keep_journal(found)
        show(document, journal_view(document), as_json=in_json)
    elif found:
        comparison = compare_members(found)
        if form in (Format.csv, Format.markdown):
            write(as_csv(comparison) if form is Format.csv else as_markdown(comparison))
        else:
            show(comparison, comparison_view(comparison), as_json=in_json)
        if fail_on and any(each.verdict == "worse" for each in comparison.differences):
            raise typer.Exit(ExitCode.CHECK_FAILED)
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)


def read_members(names: list[str]) -> "tuple[list[RunRecord | Preset], list[FileError]]":
    """The runs and presets named, each once, and what is wrong with those that cannot be read.

    Raises:
        UsageError: a name is neither a run, nor a folder of runs, nor a preset.
    """
    from mnistcli.preset.loading import load_preset
    from mnistcli.records.store import find_run, list_runs, read_record

    found: dict[str, RunRecord | Preset] = {}
    faults: list[FileError] = []
    for name in names:
        folders = list_runs(name)
        if folders is None:
            try:
                found[f"preset {name}"] = load_preset(name)
            except PresetError as error:
                raise UsageError(f'"{name}" is neither a run nor a preset: {error}') from error
            continue
        for folder in folders or [Path(name)]:
            try:
                run = find_run(str(folder))
                found[str(run)] = read_record(run)
            except FileError as error:
                faults.append(error)
    return list(found.values()), faults
