"""`mnistcli compare`: compare runs and presets side by side, with statistical verdicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistcli.cli.options import JsonOption
from mnistcli.cli.output import exit_if, read_each
from mnistcli.errors import ExitCode, FileError, PresetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistcli.preset.schema import Preset
    from mnistcli.records.documents import RunRecord

Format = Literal["table", "csv", "markdown"]


def compare(
    members: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|PRESET...",
            help="Runs, folders of runs, or presets.",
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = "table",
    fail_on: Annotated[
        Literal["worse"] | None,
        typer.Option("--fail-on", help="Exit with 3 if a group is worse."),
    ] = None,
    journal: Annotated[
        bool, typer.Option("--journal", help="List runs in order with changes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare runs and presets side by side, with statistical verdicts.

    Runs are grouped by preset over their seeds; the first group is the baseline.
    """
    if journal and (fail_on or form != "table"):
        raise UsageError("--journal cannot be combined with --fail-on or --format")
    if as_json and form != "table":
        raise UsageError(f"--json cannot be combined with --format {form}")
    found, faults = read_members(members)
    if found and journal:
        show_journal(found, as_json=as_json)
    elif found:
        show_comparison(found, form, fail_on, as_json=as_json)
    exit_if(faults)


def show_journal(members: "Sequence[RunRecord | Preset]", *, as_json: bool) -> None:
    """Show all runs in order.

    Raises:
        UsageError: there are only presets.
    """
    from mnistcli.cli.output import show
    from mnistcli.display.compare import journal_view
    from mnistcli.records.documents import RunRecord
    from mnistcli.verdict.compare import keep_journal

    if not any(isinstance(member, RunRecord) for member in members):
        raise UsageError("--journal needs runs, and these are presets; name runs or their folders")
    document = keep_journal(members)
    show(document, journal_view(document), as_json=as_json)


def show_comparison(
    members: "Sequence[RunRecord | Preset]", form: Format, fail_on: str | None, *, as_json: bool
) -> None:
    """Show the comparison, and exit with 3 if a group is worse and --fail-on says so.

    Raises:
        UsageError: --fail-on has only one group, and nothing to compare it with.
    """
    from mnistcli.cli.output import show, write_data
    from mnistcli.display.compare import as_csv, as_markdown, comparison_view
    from mnistcli.verdict.compare import compare_members

    comparison = compare_members(members)
    if fail_on and not comparison.differences:
        only = comparison.baseline
        raise UsageError(f"--fail-on needs two groups: got only {only}. Name a baseline first.")
    match form:
        case "table":
            show(comparison, comparison_view(comparison), as_json=as_json)
        case "csv":
            write_data(as_csv(comparison))
        case "markdown":
            write_data(as_markdown(comparison))
    if fail_on and any(each.verdict == fail_on for each in comparison.differences):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def read_members(names: list[str]) -> "tuple[list[RunRecord | Preset], list[FileError]]":
    """Read the named runs and presets, each once, and collect the errors of unreadable runs.

    Raises:
        UsageError: a name is neither a run, nor a folder of runs, nor a preset.
    """
    from mnistcli.records.folders import list_references

    return read_each(list_references(names), read_member)


def read_member(name: str) -> "RunRecord | Preset":
    """Read a run or a preset.

    Raises:
        UsageError: the name is neither that of a run nor of a preset.
        FileError: the run is unreadable.
    """
    from mnistcli.preset.loading import list_presets, load_preset
    from mnistcli.records.folders import find_run, is_run, list_runs
    from mnistcli.records.store import read_record

    # A folder may have the name of a preset.
    if list_runs(name) is None or (name in list_presets() and not is_run(Path(name))):
        try:
            return load_preset(name)
        except PresetError as error:
            raise UsageError(f'"{name}" is neither a run nor a preset: {error}') from error
    return read_record(find_run(name))
