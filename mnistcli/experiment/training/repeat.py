"""A finished run → the same training once more."""

from dataclasses import replace
from pathlib import Path

from mnistcli.engine.device import DeviceChoice, PrecisionChoice
from mnistcli.experiment.data import EMBEDDED_NAME
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import Experiment, prepare
from mnistcli.records.arrays import INDICES
from mnistcli.records.store import read_record


def prepare_repetition(folder: Path, options: Options) -> Experiment:
    """The training that left this run, to be done again as it was.

    Args:
        folder: the run's.
        options: what shall not be the run's own; its seed is.

    Raises:
        PresetError, UsageError, FileError: as `prepare` does, and where there is no such run.
    """
    record = read_record(folder)
    data = options.data
    if data is None and record.data.source != EMBEDDED_NAME:
        data = Path(record.data.source)
    own_choice = record.coreset is not None and record.coreset.settings is None
    own_device, own_precision = _read_device(record.device), _read_precision(record.precision)
    options = replace(
        options,
        seed=record.seed,
        device=own_device if options.device == "auto" else options.device,
        precision=own_precision if options.precision == "auto" else options.precision,
        threads=options.threads or max(1, record.threads),
        data=data,
    )
    coreset = folder / INDICES if own_choice else None
    return prepare(record.preset, options, coreset, earlier=record)


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
