"""`mnistcli data …`: what a data set contains."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    OUTPUT,
    DataOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    SeedOption,
    ThreadsOption,
    TracebackOption,
    refuse_without,
)

app = typer.Typer(no_args_is_help=True, help="Show what a data set contains.")


@app.command("show")
def show_(
    context: typer.Context,
    data: DataOption = None,
    dataset: DatasetOption = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Look for wrong labels, by short trainings.")
    ] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            "--png",
            metavar="FILE.png",
            help="Draw images of every digit.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Show counts, examples, duplicates and suspicious labels."""
    from mnistcli.cli.output import show
    from mnistcli.display.contents import contents_view
    from mnistcli.display.pictures import draw_contact_sheet
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.contents import examine_data
    from mnistcli.experiment.machine import Options

    if not labels:
        refuse_without(context, "--labels", {"seed", "device", "threads"})
    data = choose_data(context, data, dataset, quiet=quiet)
    options = Options(seed=seed, device=device, threads=threads, data=data)
    with show_progress(standard_error(), quiet=quiet) as emit:
        contents = examine_data(options, emit, labels=labels)
    if sheet:
        draw_contact_sheet(sheet, contents.document.source, contents.sheet)
    view = contents_view(contents.document, contents.sheet, contents.images)
    show(contents.document, view, as_json=as_json)
