"""`mnistcli train`: trains a preset's network and judges it by its budget."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnistcli.cli.options import (
    ClusterOption,
    CoresetFileOption,
    DataOption,
    DeviceName,
    DeviceOption,
    DryRunOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OutOption,
    PrecisionName,
    PrecisionOption,
    PresetArgument,
    ProfileOption,
    QuietOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    parse_numbers,
    read_workers,
)
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.options import Options
    from mnistcli.experiment.training import Experiment
    from mnistcli.experiment.workers import Workers
    from mnistcli.preset.schema import Preset


def train(
    preset: PresetArgument = "sprint",
    overrides: SetOption = None,
    seed: SeedOption = 0,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
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

    loaded = load_preset(preset, overrides or ())
    if dry_run:
        show_preset(loaded)
        return
    from mnistcli.experiment.options import Options

    options = Options(seed, device.value, precision.value, threads, data, out)
    if seeds is not None:
        if profile:
            raise UsageError("--profile is for a single run; leave --seeds out")
        train_seeds(
            loaded, options, coreset, (seeds, read_workers(jobs, cluster)),
            as_json=as_json, quiet=quiet, no_fail=no_fail,
        )  # fmt: skip
        return
    if jobs is not None or cluster:
        raise UsageError("--jobs and --cluster are for several runs; say --seeds too")
    train_preset(
        loaded, options, coreset,
        profile=profile, as_json=as_json, quiet=quiet, no_fail=no_fail,
    )  # fmt: skip


def train_preset(
    preset: "Preset",
    options: "Options",
    coreset: Path | None = None,
    *,
    profile: bool = False,
    as_json: bool,
    quiet: bool,
    no_fail: bool,
) -> None:
    """Trains, shows and judges."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.display.tables import run_view
    from mnistcli.experiment.training import prepare, run

    experiment = prepare(preset, options, coreset)
    console = standard_error()
    if not quiet:
        print(headline(experiment), file=console.file, flush=True)
    with show_progress(console, quiet=quiet) as emit:
        record = run(experiment, emit, profile=profile)
    show(record, run_view(record), as_json=as_json)
    finish(record.passed, no_fail=no_fail)


def train_seeds(
    preset: "Preset",
    options: "Options",
    coreset: Path | None,
    seeds_and_workers: "tuple[str, Workers]",
    *,
    as_json: bool,
    quiet: bool,
    no_fail: bool,
) -> None:
    """Trains from several seeds, shows every run, and judges their mean."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.display.runs import runs_view
    from mnistcli.experiment.batch import run_seeds

    seeds, workers = seeds_and_workers
    numbers = parse_numbers(seeds, "--seeds")
    with show_progress(standard_error(), quiet=quiet) as emit:
        document = run_seeds(preset, numbers, workers, options, coreset, emit)
    show(document, runs_view(document), as_json=as_json)
    finish(document.passed, no_fail=no_fail)


def headline(experiment: "Experiment") -> str:
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
