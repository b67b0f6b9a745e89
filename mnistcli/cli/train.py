"""`mnistcli train`: trains a preset's network and judges it by its budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import (
    RESUME_TAKES,
    RUN_TAKES,
    ClusterOption,
    CoresetFileOption,
    DataOption,
    DeviceName,
    DeviceOption,
    DryRunOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OptionalPresetArgument,
    OutOption,
    OutputOptions,
    PrecisionName,
    PrecisionOption,
    ProfileOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    parse_numbers,
    read_workers,
    refuse_others,
)
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.training.seeds import Batch
    from mnistcli.experiment.training.setup import TrainingSetup
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.schema import Preset
    from mnistcli.records.documents import RunRecord


def train(
    context: typer.Context,
    preset: OptionalPresetArgument = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    resume: ResumeOption = None,
    repeat: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Trains a finished run again, and says whether it is the same to the last bit.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = DeviceName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    coreset: CoresetFileOption = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    dry_run: DryRunOption = False,
    profile: ProfileOption = False,
) -> None:
    """Trains a preset's network, tests it once, and says PASS or FAIL to its budget."""
    from mnistcli.cli.output import show_preset
    from mnistcli.preset.loading import load_preset

    shown = OutputOptions(as_json, quiet, no_fail)
    if resume is not None:
        refuse_others(context, "--resume", {"resume", *RESUME_TAKES})
        resume_training(resume, (jobs, cluster), data, shown)
        return
    if repeat is not None:
        refuse_others(context, "--from", {"repeat", "device", "precision", "threads", *RUN_TAKES})
    loaded = load_preset("sprint" if preset is None else preset, overrides or ())
    if dry_run:
        show_preset(loaded)
        return
    from mnistcli.experiment.machine import Options

    options = Options(seed, device.value, precision.value, threads, data, out)
    if repeat is not None:
        repeat_training(repeat, options, shown)
        return
    if seeds is not None:
        if profile:
            raise UsageError("--profile is for a single run; leave --seeds out")
        train_seeds(loaded, options, coreset, (seeds, read_workers(jobs, cluster)), shown)
        return
    if jobs is not None or cluster:
        raise UsageError("--jobs and --cluster are for several runs; say --seeds too")
    train_preset(loaded, options, shown, coreset, profile=profile)


def train_preset(
    preset: "Preset",
    options: "Options",
    shown: OutputOptions,
    coreset: Path | None = None,
    *,
    profile: bool = False,
) -> None:
    """Trains, shows and judges."""
    from mnistcli.experiment.training.setup import prepare

    run_experiment(prepare(preset, options, coreset), shown, profile=profile)


def run_experiment(
    experiment: "TrainingSetup", shown: OutputOptions, *, profile: bool = False
) -> None:
    """Trains, shows and judges what has been prepared."""
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.training.run import run

    console = standard_error()
    if not shown.quiet:
        print(headline(experiment), file=console.file, flush=True)
    with show_progress(console, quiet=shown.quiet) as emit:
        record = run(experiment, emit, profile=profile)
    show_run(record, shown)


def show_run(record: "RunRecord", shown: OutputOptions) -> None:
    """Shows a run that has ended, and exits by its verdict."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.tables import run_view

    show(record, run_view(record), as_json=shown.as_json)
    finish(record.passed, no_fail=shown.no_fail)


def train_seeds(
    preset: "Preset",
    options: "Options",
    coreset: Path | None,
    seeds_and_workers: "tuple[str, Workers]",
    shown: OutputOptions,
) -> None:
    """Trains from several seeds, shows every run, and judges their mean."""
    from mnistcli.experiment.training.seeds import create_batch

    seeds, workers = seeds_and_workers
    threads = workers.share_threads(options.threads)
    batch = create_batch(preset, parse_numbers(seeds, "--seeds"), options, coreset, threads)
    train_batch(batch, workers, None, shown)


def train_batch(
    batch: "Batch", workers: "Workers", data: Path | None, shown: OutputOptions
) -> None:
    """Trains what is missing of a batch, shows every run, and judges their mean."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.batch import show_batch
    from mnistcli.display.progress import standard_error
    from mnistcli.display.runs import runs_view
    from mnistcli.experiment.training.seeds import run_batch

    with show_batch(standard_error(), batch.folders, quiet=shown.quiet) as emit:
        document = run_batch(batch, workers, emit, data)
    show(document, runs_view(document), as_json=shown.as_json)
    finish(document.passed, no_fail=shown.no_fail)


def resume_training(
    reference: str,
    jobs_and_cluster: tuple[int | None, str | None],
    data: Path | None,
    shown: OutputOptions,
) -> None:
    """Goes on with a run or a batch; shows the result of one that has ended already."""
    from mnistcli.experiment.training.setup import reopen
    from mnistcli.records.store import BATCH_SUFFIX, RECORD, find_begun_run, read_record

    if reference.endswith(BATCH_SUFFIX):
        from mnistcli.experiment.training.seeds import read_batch

        train_batch(read_batch(Path(reference)), read_workers(*jobs_and_cluster), data, shown)
        return
    if any(each is not None for each in jobs_and_cluster):
        raise UsageError("--jobs and --cluster are for several runs; resume their .batch.json")
    folder = find_begun_run(reference)
    if (folder / RECORD).exists():
        show_run(read_record(folder), shown)
    else:
        run_experiment(reopen(folder, data), shown)


def repeat_training(reference: str, options: "Options", shown: OutputOptions) -> None:
    """Trains a finished run again: its preset, its seed, and what the options do not change."""
    from mnistcli.experiment.training.repeat import prepare_repetition
    from mnistcli.records.store import find_run

    run_experiment(prepare_repetition(find_run(reference), options), shown)


def headline(experiment: "TrainingSetup") -> str:
    """What is about to be trained and where, and whether its size fails already."""
    preset = experiment.preset
    lines = [
        f"{preset.name} · {_count(experiment.network.parameters, 'parameter')} · "
        f"{_count(experiment.images, 'image')} · "
        f"{_count(preset.train.epochs, 'epoch')} · seed {experiment.seed}",
        f"on {experiment.machine.device.type} in {experiment.machine.precision_name} "
        f"with {_count(experiment.machine.threads, 'thread')}",
    ]
    if not experiment.fits:
        lines.append("the network is too large for its budget already")
    return "\n".join(lines)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
