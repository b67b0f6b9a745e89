"""`mnistcli coreset`: select training images to learn from, and compare selection methods."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    OUTPUT,
    SEVERAL,
    AllowCodeOption,
    BudgetOption,
    ClusterOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    NetworkArgument,
    NoFailOption,
    OutOption,
    OutputOptions,
    PrecisionOption,
    QuietOption,
    RecipeOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    TracebackOption,
    make_options,
    refuse,
)
from mnistcli.cli.several import parse_numbers, read_workers, warn_of_diverged
from mnistcli.cli.teachers import train_teachers
from mnistcli.errors import UsageError, suggest

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.studies.coreset_methods import MethodStudy
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.coreset import Method
    from mnistcli.preset.schema import Preset

DEFAULT_SEEDS = "0-4"


def coreset(
    context: typer.Context,
    network: NetworkArgument = "sprint-coreset",
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", metavar="METHOD", help="Selection method, as in entropy."),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", "-n", metavar="N", help="Number of images to select.")
    ] = None,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Train on every method's selection.", rich_help_panel=SEVERAL
        ),
    ] = False,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="A,B",
            help="Methods to compare.",
            show_default="all",
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes",
            metavar="N,N",
            help="Sizes to compare.",
            show_default="20, 5 and 1 %",
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    data: DataOption = None,
    dataset: DatasetOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE.png",
            help="Draw kept and dropped images.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Select a coreset of the training images, or compare methods."""
    shown = OutputOptions(as_json, quiet, no_fail)
    if compare:
        refuse(context, "--compare", {"method", "sheet", "seed", "no_fail"})
    loaded = load_selection(
        network, method, size, overrides, budget, recipe=recipe, allow_code=allow_code
    )
    data = choose_data(context, data, dataset, quiet=quiet)
    options = make_options(seed, device, precision, threads, data, out)
    if compare:
        workers = read_workers(jobs, cluster)
        study = read_study(methods, sizes, seeds or DEFAULT_SEEDS, workers)
        from mnistcli.experiment.studies.trial import check_comparable  # imports torch

        check_comparable(loaded)
        compare_methods(train_teachers(loaded, options, shown), study, options, shown)
    elif any(each is not None for each in (methods, sizes, seeds, jobs, cluster)):
        raise UsageError("--methods, --sizes, --seeds, --jobs and --cluster need --compare")
    else:
        select_images(loaded, options, sheet, shown)


def load_selection(
    name: str,
    method: str | None,
    size: int | None,
    overrides: list[str] | None,
    budget: str | None,
    *,
    recipe: str | None,
    allow_code: bool,
) -> "Preset":
    """Load a preset with the coreset that the options ask for.

    Raises:
        UsageError: the method is unknown.
        PresetError: the preset is invalid.
    """
    from mnistcli.preset.networks import load_network

    changes = [f"coreset.size={size}"] if size is not None else []
    if method is not None:
        changes.append(f"coreset.selector={{kind='{read_method(method)}'}}")
    changes += overrides or ()
    return load_network(name, changes, budget, recipe=recipe, allow_code=allow_code)


def select_images(
    preset: "Preset", options: "Options", sheet: Path | None, shown: OutputOptions
) -> None:
    """Select a coreset, draw its sheet if one is asked for, and show it with its checks."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.coreset import coreset_view
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.coresets.command import select
    from mnistcli.verdict.budget import passed

    with show_progress(standard_error(), quiet=shown.quiet) as emit:
        selection = select(preset, options, emit, with_sheet=sheet is not None)
    document = selection.document
    if sheet:
        from mnistcli.display.pictures import draw_sheet

        title = f"{document.method}: {document.size:,} of {document.total:,} images"
        draw_sheet(sheet, title, selection.sheet)
    show(document, coreset_view(document), as_json=shown.as_json)
    finish(passed(document.checks), no_fail=shown.no_fail)


def compare_methods(
    preset: "Preset", study: "MethodStudy", options: "Options", shown: OutputOptions
) -> None:
    """Run the study of selection methods, draw its plot, and show it."""
    from mnistcli.cli.output import show
    from mnistcli.display.coreset import comparison_view
    from mnistcli.display.pictures import draw_accuracy_over_size
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.studies.coreset_methods import compare_methods

    with show_progress(standard_error(), quiet=shown.quiet) as emit:
        comparison = compare_methods(preset, study, options, emit)
    warn_of_diverged(comparison.diverged, quiet=shown.quiet)
    draw_accuracy_over_size(Path(comparison.path) / "accuracy.png", comparison)
    show(comparison, comparison_view(comparison), as_json=shown.as_json)


def read_study(
    methods: str | None, sizes: str | None, seeds: str, workers: "Workers"
) -> "MethodStudy":
    """Collect what the options ask to compare; the random method is always part of it.

    Raises:
        UsageError: a method, a size or a seed is invalid.
    """
    from mnistcli.experiment.studies.coreset_methods import MethodStudy
    from mnistcli.preset.coreset import MAX_SIZE, METHODS

    wanted = [read_method(each) for each in methods.split(",")] if methods else METHODS
    numbers = parse_numbers(sizes, "--sizes") if sizes else ()
    if wrong := [size for size in numbers if not 1 <= size <= MAX_SIZE]:
        raise UsageError(f"--sizes needs numbers from 1 to {MAX_SIZE:,}: got {wrong[0]:,}")
    return MethodStudy(
        methods=tuple(dict.fromkeys(("random", *wanted))),
        sizes=numbers,
        seeds=parse_numbers(seeds, "--seeds"),
        workers=workers,
    )


def read_method(name: str) -> "Method":
    """Return the method of that name, whether written with hyphens or underscores.

    Raises:
        UsageError: there is no such method.
    """
    from mnistcli.preset.coreset import METHODS

    wanted = name.strip().replace("-", "_")
    for method in METHODS:
        if method == wanted:
            return method
    raise UsageError(f'unknown method: "{name}". {suggest(wanted, list(METHODS))}')
