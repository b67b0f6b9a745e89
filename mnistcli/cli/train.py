"""`mnistcli train`: trains a preset's network and judges it by its budget."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnistcli.cli.options import (
    DataOption,
    DeviceName,
    DeviceOption,
    DryRunOption,
    JsonOption,
    NoFailOption,
    OutOption,
    PrecisionName,
    PrecisionOption,
    PresetArgument,
    QuietOption,
    SeedOption,
    SetOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from mnistcli.experiment import Experiment


def train(
    preset: PresetArgument = "sprint",
    overrides: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = DeviceName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Trains a preset's network, tests it once, and says PASS or FAIL to its budget."""
    from mnistcli.cli.output import finish, show, show_preset
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.display.tables import run_view
    from mnistcli.preset.loading import load_preset

    loaded = load_preset(preset, overrides or ())
    if dry_run:
        show_preset(loaded)
        return
    from mnistcli.experiment import Options, prepare, run

    options = Options(seed, device.value, precision.value, threads, data, out)
    experiment = prepare(loaded, options)
    console = standard_error()
    if not quiet:
        print(headline(experiment), file=console.file, flush=True)
    with show_progress(console, quiet=quiet) as emit:
        record = run(experiment, emit)
    show(record, run_view(record), as_json=as_json)
    finish(record.passed, no_fail=no_fail)


def headline(experiment: "Experiment") -> str:
    """What is about to be trained, in one line; a second one if its size already fails."""
    preset = experiment.preset
    line = " · ".join(
        (
            preset.name,
            f"{experiment.parameters:,} parameters",
            f"{len(experiment.train):,} images",
            f"{preset.train.epochs} epoch{'s' if preset.train.epochs > 1 else ''}",
            f"seed {experiment.seed}",
            f"{experiment.device.type} {experiment.precision_name}",
            f"{experiment.threads} thread{'s' if experiment.threads > 1 else ''}",
        )
    )
    return line if experiment.fits else f"{line}\nthe network is too large for its budget already"
