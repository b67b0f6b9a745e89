"""`mnistcli curriculum`: train in phases, and report what each phase reached and kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    RESUME_ALLOWS,
    SEVERAL,
    AllowCodeOption,
    BudgetOption,
    ClusterOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OptionalNetworkArgument,
    OutOption,
    OutputOptions,
    PrecisionOption,
    QuietOption,
    RecipeOption,
    ResumeOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    TracebackOption,
    make_options,
    refuse,
    refuse_others,
)
from mnistcli.cli.several import parse_numbers, read_workers, warn_of_diverged
from mnistcli.cli.teachers import train_teachers
from mnistcli.errors import PresetError, UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.schema import Preset

DEFAULT_SEEDS = "0-4"


def curriculum(
    context: typer.Context,
    network: OptionalNetworkArgument = None,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    resume: ResumeOption = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Compare with no, random and reversed order.",
            rich_help_panel=SEVERAL,
        ),
    ] = False,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    data: DataOption = None,
    dataset: DatasetOption = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Train a preset's curriculum phase by phase, or compare orders."""
    from mnistcli.cli.resume import resume_training
    from mnistcli.cli.train import train_preset

    shown = OutputOptions(as_json, quiet, no_fail)
    if resume is not None:
        refuse_others(context, "--resume", RESUME_ALLOWS)
        data = choose_data(context, data, dataset, quiet=quiet)
        resume_training(resume, jobs, cluster, data, shown, allow_code=allow_code)
        return
    if compare:
        refuse(context, "--compare", {"seed", "no_fail"})
    elif seeds is not None:
        refuse(context, "--seeds", {"seed"})
    loaded = load_curriculum(network, overrides or (), budget, recipe, allow_code=allow_code)
    data = choose_data(context, data, dataset, quiet=quiet)
    options = make_options(seed, device, precision, threads, data, out)
    if compare:
        numbers = parse_numbers(seeds or DEFAULT_SEEDS, "--seeds")
        from mnistcli.experiment.studies.trial import check_comparable  # imports torch

        check_comparable(loaded)
        loaded = train_teachers(loaded, options, shown)
        compare_orders(loaded, numbers, read_workers(jobs, cluster), options, shown)
    else:
        train_preset(loaded, options, shown, seeds, jobs, cluster)


def load_curriculum(
    name: str | None,
    overrides: Sequence[str],
    budget: str | None,
    recipe: str | None,
    *,
    allow_code: bool,
) -> "Preset":
    """Load a preset that has a curriculum.

    Raises:
        UsageError: no preset is named.
        PresetError: the preset is invalid or has no [curriculum].
    """
    from mnistcli.preset.networks import load_network

    if name is None:
        raise UsageError("NETWORK is missing; try: mnistcli curriculum optimizednet-curriculum")
    preset = load_network(name, overrides, budget, recipe=recipe, allow_code=allow_code)
    if preset.curriculum is None:
        raise PresetError(f"preset {preset.name} has no [curriculum]; see optimizednet-curriculum")
    return preset


def compare_orders(
    preset: "Preset",
    seeds: Sequence[int],
    workers: "Workers",
    options: "Options",
    shown: OutputOptions,
) -> None:
    """Run the study of a curriculum and its controls, and show it."""
    from mnistcli.cli.output import show
    from mnistcli.display.phases import orders_view
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.studies.curriculum_orders import compare_orders

    with show_progress(standard_error(), quiet=shown.quiet) as emit:
        document = compare_orders(preset, seeds, workers, options, emit)
    warn_of_diverged(document.diverged, quiet=shown.quiet)
    show(document, orders_view(document), as_json=shown.as_json)
