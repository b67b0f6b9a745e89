"""`mnistcli train`: train a preset's network and check it against its budget."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.ci import FormatOption, JunitOption, check_format, finish_junit, start_junit
from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.header import headline, make_header
from mnistcli.cli.limits import parse_time
from mnistcli.cli.options import (
    DRY_RUN_REFUSES,
    REPEAT_ALLOWS,
    RESUME_ALLOWS,
    AllowCodeOption,
    BudgetOption,
    ClusterOption,
    CoresetFileOption,
    DataOption,
    DeviceOption,
    DryRunOption,
    JobsOption,
    JsonOption,
    NetworkArgument,
    NoFailOption,
    OutOption,
    OutputOptions,
    PrecisionOption,
    ProfileOption,
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
from mnistcli.cli.several import parse_numbers, read_workers, refuse_workers
from mnistcli.cli.teachers import train_teachers
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.training.seeds import Batch
    from mnistcli.experiment.training.setup import TrainingSetup
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.schema import Preset
    from mnistcli.records.documents import RunRecord

DEFAULT_PRESET = "sprint"


def train(
    context: typer.Context,
    network: NetworkArgument = DEFAULT_PRESET,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    recipe: RecipeOption = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="TIME",
            help="Train for this time, as in 30s or 2m.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    coreset: CoresetFileOption = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init", metavar="RUN", help="Start from the weights of a run.", show_default=False
        ),
    ] = None,
    resume: ResumeOption = None,
    repeat: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Repeat a finished run and compare the weights.",
            show_default=False,
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
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    form: FormatOption = "table",
    junit: JunitOption = None,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
    dry_run: DryRunOption = False,
    profile: ProfileOption = False,
) -> None:
    """Train a network and check it against its budget."""
    from mnistcli.cli.output import show_preset
    from mnistcli.cli.resume import repeat_training, resume_training
    from mnistcli.preset.networks import load_network

    shown = OutputOptions(as_json, quiet, no_fail, form, junit)
    overrides = list(overrides or ())
    if init is not None:
        overrides.append(f"train.init={json.dumps(init)}")
    if within is not None:
        overrides.append(f"train.within_seconds={parse_time('--within', within)}")
    check_format(form, as_json=as_json)
    if resume is not None:
        refuse_others(context, "--resume", RESUME_ALLOWS)
        data = choose_data(context, data, dataset, quiet=quiet)
        resume_training(resume, jobs, cluster, data, shown, allow_code=allow_code)
    elif repeat is not None:
        refuse_others(context, "--from", REPEAT_ALLOWS)
        data = choose_data(context, data, dataset, quiet=quiet)
        options = make_options(seed, device, precision, threads, data, out, allow_code=allow_code)
        repeat_training(repeat, options, shown)
    elif dry_run:
        refuse(context, "--dry-run", DRY_RUN_REFUSES)
        show_preset(load_network(network, overrides, budget, recipe=recipe))
    else:
        if seeds is not None:
            refuse(context, "--seeds", {"seed", "profile"})
        loaded = load_network(network, overrides, budget, recipe=recipe, allow_code=allow_code)
        data = choose_data(context, data, dataset, quiet=quiet)
        options = make_options(seed, device, precision, threads, data, out)
        train_preset(loaded, options, shown, seeds, jobs, cluster, coreset, profile=profile)


def train_preset(
    preset: "Preset",
    options: "Options",
    shown: OutputOptions,
    seeds: str | None,
    jobs: int | None,
    cluster: str | None,
    coreset: Path | None = None,
    *,
    profile: bool = False,
) -> None:
    """Train once, or once for each seed, and show the result.

    Raises:
        UsageError: an option belongs to the other of the two.
    """
    from mnistcli.experiment.training.setup import check, prepare

    announce_code(preset, shown)
    if seeds is None:
        refuse_workers(jobs, cluster, "--seeds")
        preset = train_teachers(preset, options, shown)
        start_junit(shown.junit)
        run_training(prepare(preset, options, coreset), shown, profile=profile)
        return
    if profile:
        raise UsageError("--profile cannot be combined with --seeds")
    from mnistcli.experiment.training.seeds import create_batch

    workers, numbers = read_workers(jobs, cluster), parse_numbers(seeds, "--seeds")
    preset = train_teachers(preset, options, shown)
    options = workers.fix_machine(options)
    start_junit(shown.junit)
    if not cluster:  # its workers may have other files
        check(preset, replace(options, seed=numbers[0]), coreset)
    train_batch(create_batch(preset, numbers, options, coreset), workers, None, shown)


def run_training(setup: "TrainingSetup", shown: OutputOptions, *, profile: bool = False) -> None:
    """Run a prepared training with progress on stderr, and show its result."""
    show_run(train_once(setup, shown, profile=profile), shown)


def train_once(
    setup: "TrainingSetup", shown: OutputOptions, *, profile: bool = False
) -> "RunRecord":
    """Run a prepared training with progress on stderr."""
    from mnistcli.cli.output import print_warnings
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.training.run import run

    console = standard_error()
    if not shown.quiet:
        print(headline(setup), file=console.file, flush=True)
        print_warnings(setup.warnings)
    with show_progress(console, make_header(setup), quiet=shown.quiet) as emit:
        return run(setup, emit, profile=profile)


def show_run(record: "RunRecord", shown: OutputOptions) -> None:
    """Show a finished run and exit by its verdict."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.junit import run_as_junit
    from mnistcli.display.markdown import run_as_markdown
    from mnistcli.display.tables import run_view

    markdown = run_as_markdown(record) if shown.form == "markdown" else None
    show(record, run_view(record), as_json=shown.as_json, markdown=markdown)
    finish_junit(shown.junit, run_as_junit(record))
    finish(record.passed, no_fail=shown.no_fail)


def train_batch(
    batch: "Batch", workers: "Workers", data: Path | None, shown: OutputOptions
) -> None:
    """Train the unfinished runs of a batch, and show all of its runs and their mean.

    A failed run sets the exit code, whatever --no-fail says: it is no check.
    """
    from mnistcli.cli.output import finish, print_error, show
    from mnistcli.display.batch import show_batch
    from mnistcli.display.junit import runs_as_junit
    from mnistcli.display.markdown import runs_as_markdown
    from mnistcli.display.progress import standard_error
    from mnistcli.display.runs import runs_view
    from mnistcli.experiment.training.seeds import run_batch

    with show_batch(standard_error(), batch.unfinished, quiet=shown.quiet) as emit:
        document = run_batch(batch, workers, emit, data)
    for failed in document.failed:
        print_error(f"seed {failed.seed}: {failed.reason}")
    markdown = runs_as_markdown(document, batch.path) if shown.form == "markdown" else None
    show(document, runs_view(document, batch.path), as_json=shown.as_json, markdown=markdown)
    finish_junit(shown.junit, runs_as_junit(document))
    if document.failed:
        raise typer.Exit(document.failed[0].exit_code)
    finish(document.passed, no_fail=shown.no_fail)


def announce_code(preset: "Preset", shown: OutputOptions) -> None:
    """Name the files of a network's code, before they run and are copied into a run folder.

    Raises:
        PresetError: the code is not trusted.
    """
    if code := preset.model.code:
        code.require_trust()
        if not shown.quiet:
            files = ", ".join(code.files)
            print(f"{code.python} is kept with the run: {files}", file=sys.stderr, flush=True)
