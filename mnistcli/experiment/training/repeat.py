"""A finished run → the same training once more."""

from dataclasses import replace
from pathlib import Path

from mnistcli.errors import FileError
from mnistcli.experiment.code import open_code
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.setup import TrainingSetup, prepare
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice
from mnistcli.records.arrays import INDICES
from mnistcli.records.store import read_record

MAX_SEED, MAX_THREADS = 2**63 - 1, 1_024


def prepare_repetition(folder: Path, options: Options) -> TrainingSetup:
    """Prepare the training of a finished run once more.

    Args:
        folder: the run folder.
        options: what is to differ from that run; its seed is kept.

    Raises:
        PresetError, UsageError, FileError: as `prepare` does, or the run is unreadable.
    """
    record = read_record(folder)
    if not 0 <= record.seed <= MAX_SEED:
        raise FileError(
            f'cannot repeat "{folder}": its seed is out of range: {record.seed}. '
            "Train its preset with another seed."
        )
    preset = open_code(record.preset, folder, allow=options.allow_code)
    from_file = record.coreset is not None and record.coreset.settings is None
    device, precision = _read_device(record.device), _read_precision(record.precision)
    options = replace(
        options,
        seed=record.seed,
        device=device if options.device == "auto" else options.device,
        precision=precision if options.precision == "auto" else options.precision,
        threads=options.threads or min(max(1, record.threads), MAX_THREADS),
        data=options.data or record.data.locate(),
        hold_out=record.data.evaluated_on == "held-out",
    )
    coreset = folder / INDICES if from_file else None
    return prepare(preset, options, coreset, earlier=record)


def _read_device(name: str) -> DeviceChoice:
    match name:
        case "cpu" | "cuda" | "mps":
            return name
        case _:
            return "auto"


def _read_precision(name: str) -> PrecisionChoice:
    match name:
        case "float32" | "bfloat16":
            return name
        case _:
            return "auto"
