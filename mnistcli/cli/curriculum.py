"""`mnistcli curriculum`: trains in phases, and says what each of them reached and kept."""

from pathlib import Path

from mnistcli.cli.options import (
    DataOption,
    DeviceName,
    DeviceOption,
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
from mnistcli.errors import PresetError


def curriculum(
    preset: PresetArgument,
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
) -> None:
    """Trains a preset's curriculum phase by phase, and judges each by its target."""
    from mnistcli.cli.train import train_preset
    from mnistcli.experiment.options import Options
    from mnistcli.preset.loading import load_preset

    loaded = load_preset(preset, overrides or ())
    if loaded.curriculum is None:
        raise PresetError(f"preset {loaded.name} has no [curriculum]; see optimizednet-curriculum")
    options = Options(seed, device.value, precision.value, threads, data, out)
    train_preset(loaded, options, as_json=as_json, quiet=quiet, no_fail=no_fail)
