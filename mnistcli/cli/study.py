"""`mnistcli study`: compare overrides of a preset with the preset, paired over seeds."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    OUTPUT,
    RESUME_ALLOWS,
    SEVERAL,
    AllowCodeOption,
    ClusterOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    NetworkArgument,
    OutOption,
    OutputOptions,
    PrecisionOption,
    QuietOption,
    RecipeOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    TracebackOption,
    make_options,
    refuse_others,
)
from mnistcli.cli.several import parse_numbers, read_workers, warn_of_diverged
from mnistcli.cli.teachers import train_teachers
from mnistcli.errors import ExitCode, FileError, PresetError, UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.studies.preset_study import Study
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.arms import Arm, Base
    from mnistcli.records.sources import EvaluatedOn
    from mnistcli.records.studies import PlannedArm, StudyDocument

DEFAULT_SEEDS = "0-4"
ARMS = "Arms"


def study(
    context: typer.Context,
    network: NetworkArgument = "sprint",
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME: A.B=C",
            help="Name and overrides to compare; repeatable.",
            show_default=False,
            rich_help_panel=ARMS,
        ),
    ] = None,
    arms: Annotated[
        Path | None,
        typer.Option(
            "--arms",
            metavar="FILE.toml",
            help="Read arms from a file.",
            show_default=False,
            rich_help_panel=ARMS,
        ),
    ] = None,
    overrides: SetOption = None,
    recipe: RecipeOption = None,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="Evaluate on test, not held-out, images.",
            rich_help_panel=ARMS,
        ),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="STUDY",
            help="Resume an interrupted study.",
            show_default=False,
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    seeds: SeedsOption = DEFAULT_SEEDS,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    data: DataOption = None,
    dataset: DatasetOption = None,
    out: OutOption = Path("runs"),
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.svg",
            help="Draw differences and intervals.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Compare overrides of a preset, paired over seeds."""
    from mnistcli.preset.arms import Base

    if plot is not None:
        check_plot(plot)
    shown, workers = OutputOptions(as_json, quiet, no_fail=False), read_workers(jobs, cluster)
    if resume is not None:
        refuse_others(context, "--resume", RESUME_ALLOWS | {"plot"})
        data = choose_data(context, data, dataset, quiet=quiet)
        started = reopen(resume, data, allow_code=allow_code)
    else:
        numbers = parse_numbers(seeds or "", "--seeds")
        base = Base(network, tuple(overrides or ()), recipe, allow_code)
        planned = plan_arms(base, arm or (), arms)
        data = choose_data(context, data, dataset, quiet=quiet)
        options = make_options(0, device, precision, threads, data, out)
        teaching = replace(options, hold_out=not test)
        planned = [with_teachers(each, teaching, shown) for each in planned]
        started = start(planned, numbers, "test" if test else "held-out", workers, options)
    run_study(started, workers, plot, shown)


def with_teachers(arm: "PlannedArm", options: "Options", shown: OutputOptions) -> "PlannedArm":
    """Return the arm with the runs of its teachers, which are trained first if they are missing."""
    return arm.model_copy(update={"preset": train_teachers(arm.preset, options, shown)})


def plan_arms(base: "Base", texts: Sequence[str], path: Path | None) -> "list[PlannedArm]":
    """Read and load the arms, the base first; exit with 2 and a line on each that is invalid.

    Raises:
        UsageError: there are no arms.
        PresetError: the base or the file of arms is invalid.
    """
    from mnistcli.experiment.studies.preset_study import require_trust
    from mnistcli.preset.arms import BASE, Arm, load_arms
    from mnistcli.records.studies import PlannedArm

    arms, mistakes = read_all(texts, path)
    if not arms and not mistakes:
        raise UsageError('no arms to compare. Add one, as in --arm "longer: train.epochs=9".')
    presets, invalid = load_arms(base, arms)
    if mistakes or invalid:
        exit_with([*mistakes, *invalid])
    for preset in presets:
        require_trust(preset)
    return [
        PlannedArm(name=each.name, title=each.title, overrides=each.overrides, preset=preset)
        for each, preset in zip([Arm(BASE, ()), *arms], presets, strict=True)
    ]


def read_all(texts: Sequence[str], path: Path | None) -> "tuple[list[Arm], list[str]]":
    """Return the arms of the command line and of the file, and a line on each that is invalid.

    Raises:
        PresetError: the file is no file of arms.
    """
    from mnistcli.preset.arms import parse_arm, read_arms

    arms: list[Arm] = []
    mistakes = []
    for text in texts:
        try:
            arms.append(parse_arm(text))
        except PresetError as error:
            mistakes.append(str(error))
    if path is not None:
        more, invalid = read_arms(path)
        arms, mistakes = arms + more, mistakes + invalid
    return arms, mistakes


def exit_with(mistakes: Sequence[str]) -> NoReturn:
    """Print a line for every mistake in the arms, and exit with 2."""
    from mnistcli.cli.output import print_error

    for mistake in mistakes:
        print_error(mistake)
    raise typer.Exit(ExitCode.USAGE)


def start(
    arms: "Sequence[PlannedArm]",
    seeds: Sequence[int],
    evaluated_on: "EvaluatedOn",
    workers: "Workers",
    options: "Options",
) -> "Study":
    """Check every arm, and create the study; exit with 2 and a line on each that is invalid."""
    from mnistcli.experiment.studies.preset_study import check_presets, create_study

    options = workers.fix_machine(options)
    if not workers.cluster:  # its workers may have other files
        if mistakes := check_presets(arms, seeds[0], evaluated_on, options):
            exit_with(mistakes)
    return create_study(arms, seeds, evaluated_on, options)


def reopen(path: Path, data: Path | None, *, allow_code: bool) -> "Study":
    """Return the study in a folder."""
    from mnistcli.experiment.studies.preset_study import reopen_study

    return reopen_study(path, data, allow_code=allow_code)


def run_study(
    study: "Study", workers: "Workers", plot: Path | None, shown: OutputOptions
) -> "StudyDocument":
    """Run what is missing of a study with progress on stderr, draw its plot, and show it."""
    from mnistcli.cli.output import show
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.display.studies import study_view
    from mnistcli.experiment.studies.preset_study import finish_study

    console = standard_error()
    if not shown.quiet:
        print(headline(study), file=console.file, flush=True)
    with show_progress(console, quiet=shown.quiet) as emit:
        document = finish_study(study, workers, emit)
    warn_of_diverged(document.diverged, quiet=shown.quiet)
    if plot is not None:
        write_plot(plot, document)
    show(document, study_view(document), as_json=shown.as_json)
    return document


def headline(study: "Study") -> str:
    """Describe what is about to be compared, and where."""
    from mnistcli.display.text import count

    plan, kept = study.plan, len(study.trials.read())
    trials = len(plan.arms) * len(plan.seeds)
    lines = [
        f"{plan.arms[0].preset.name} · {count(len(plan.arms) - 1, 'arm')} · "
        f"{count(len(plan.seeds), 'seed')} · {count(trials, 'trial')} · "
        f"evaluated on {plan.evaluated_on} images",
        f"on {plan.device} in {plan.precision} with {count(plan.threads, 'thread')} a trial",
    ]
    if kept:
        lines.append(f"resuming after {count(kept, 'trial')}")
    return "\n".join(lines)


def check_plot(path: Path) -> None:
    """Refuse, before anything is trained, a plot that cannot be written.

    Raises:
        FileError: its folder does not exist or is protected, or it is a folder itself.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise FileError(f'cannot write "{path}". Name a file in a folder that can be written.')


def write_plot(path: Path, document: "StudyDocument") -> None:
    """Draw the differences of a study with their intervals.

    Raises:
        FileError: the file cannot be written.
    """
    from mnistcli.display.charts import draw_differences
    from mnistcli.records.outputs import write_output

    found = [(arm.name, arm.difference) for arm in document.arms]
    rows = [
        (name, each.mean if each else None, each.interval if each else None) for name, each in found
    ]
    title = f"{document.preset.name}, {document.evaluated_on} accuracy"
    write_output(path, draw_differences(title, rows).encode())
