"""`mnistcli coreset`: chooses which training images to learn from, and compares the methods."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import (
    ClusterOption,
    DataOption,
    DeviceName,
    DeviceOption,
    JobsOption,
    JsonOption,
    OutOption,
    PrecisionName,
    PrecisionOption,
    PresetArgument,
    QuietOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    parse_numbers,
    read_workers,
)
from mnistcli.errors import UsageError, suggest

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.studies.coreset_methods import Contest
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.coreset import Method
    from mnistcli.preset.schema import Preset


def coreset(
    preset: PresetArgument = "sprint",
    method: Annotated[
        str | None,
        typer.Option(
            "--method", "-m", metavar="M", help="How to choose, as in entropy or k_center."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", "-n", metavar="N", help="How many images to choose.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet", metavar="FILE.png", help="Draws kept and dropped images of every digit."
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Trains on every method's choice, against chance."),
    ] = False,
    methods: Annotated[
        str | None,
        typer.Option("--methods", metavar="A,B", help="Those to compare.", show_default="all"),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes", metavar="N,N", help="At these sizes.", show_default="20, 5 and 1 % of all"
        ),
    ] = None,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = DeviceName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Chooses a part of the training images, or with --compare holds the methods against chance."""
    from mnistcli.experiment.machine import Options
    from mnistcli.preset.loading import load_preset

    changes = [f"coreset.size={size}"] if size is not None else []
    if method is not None:
        changes.append(f"coreset.selector={{kind='{read_method(method)}'}}")
    loaded = load_preset(preset, [*changes, *(overrides or ())])
    options = Options(seed, device.value, precision.value, threads, data, out)
    if compare:
        contest = read_contest(methods, sizes, seeds or "0-4", read_workers(jobs, cluster))
        compare_methods(loaded, contest, options, quiet=quiet, as_json=as_json)
    elif any(each is not None for each in (methods, sizes, seeds, jobs, cluster)):
        raise UsageError("--methods, --sizes, --seeds, --jobs and --cluster go with --compare")
    else:
        choose(loaded, options, sheet, quiet=quiet, as_json=as_json)


def choose(
    preset: "Preset", options: "Options", sheet: Path | None, *, quiet: bool, as_json: bool
) -> None:
    """Chooses, draws and shows."""
    from mnistcli.cli.output import show
    from mnistcli.display.coreset import coreset_view
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.coresets.command import select

    with show_progress(standard_error(), quiet=quiet) as emit:
        selection = select(preset, options, emit, with_sheet=sheet is not None)
    document = selection.document
    if sheet:
        from mnistcli.display.pictures import draw_sheet

        title = f"{document.method}: {document.size:,} of {document.total:,} images"
        draw_sheet(sheet, title, selection.sheet)
    show(document, coreset_view(document), as_json=as_json)


def compare_methods(
    preset: "Preset", contest: "Contest", options: "Options", *, quiet: bool, as_json: bool
) -> None:
    """Compares, draws and shows."""
    from mnistcli.cli.output import show
    from mnistcli.display.coreset import comparison_view
    from mnistcli.display.pictures import draw_accuracy_over_size
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.studies.coreset_methods import compare_methods

    with show_progress(standard_error(), quiet=quiet) as emit:
        comparison = compare_methods(preset, contest, options, emit)
    draw_accuracy_over_size(Path(comparison.path) / "accuracy.png", comparison)
    show(comparison, comparison_view(comparison), as_json=as_json)


def read_contest(
    methods: str | None, sizes: str | None, seeds: str, workers: "Workers"
) -> "Contest":
    """What the options want compared; chance is always part of it.

    Raises:
        UsageError: a method, size or seed is not one.
    """
    from mnistcli.experiment.studies.coreset_methods import Contest
    from mnistcli.preset.coreset import METHODS

    wanted = [read_method(each) for each in methods.split(",")] if methods else METHODS
    return Contest(
        methods=tuple(dict.fromkeys(("random", *wanted))),
        sizes=parse_numbers(sizes, "--sizes") if sizes else (),
        seeds=parse_numbers(seeds, "--seeds"),
        workers=workers,
    )


def read_method(name: str) -> "Method":
    """A method's name, written with hyphens or underscores.

    Raises:
        UsageError: there is no such method.
    """
    from mnistcli.preset.coreset import METHODS

    wanted = name.strip().replace("-", "_")
    for method in METHODS:
        if method == wanted:
            return method
    raise UsageError(f'no method is named "{name}"; {suggest(wanted, list(METHODS))}')
