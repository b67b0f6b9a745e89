"""Teachers that a preset names by their own preset: found among the runs, or trained first."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.data import load_data
from mnistcli.experiment.earlier import locate_runs
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.training.setup import TrainingSetup, prepare, reopen
from mnistcli.preset.loading import NOT_TRAINED, load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from mnistcli.records.folders import name_absolutely
from mnistcli.records.sources import DataSource
from mnistcli.records.states import RunStart
from mnistcli.records.store import RECORD, START, read_document, read_record
from mnistcli.verdict.changes import hash_of_indices_file


def load_teacher(reference: str) -> Preset:
    """Read the preset of teachers.

    Raises:
        PresetError: it is invalid, or of a kind that has to be trained beforehand.
    """
    try:
        preset = load_preset(reference)
    except PresetError as error:
        raise PresetError(f"teacher.preset: {error}") from error
    if preset.model.code or (preset.teacher and preset.teacher.preset):
        kind = "is Python code" if preset.model.code else "has teachers that are to be trained"
        raise PresetError(
            f'teacher.preset: "{reference}" {kind}. Train it first, and name its runs: teacher.runs'
        )
    return locate_runs(preset)


def begin_teacher(preset: Preset, seed: int, options: Options) -> RunRecord | TrainingSetup:
    """Return a teacher's finished run, or the setup of its training: an earlier one or a new one.

    Earlier runs are those in the output folder of the same training, seed and images.

    Raises:
        PresetError, UsageError, FileError: as `prepare` does.
    """
    options = replace(options, seed=seed)
    source = load_data(preset, options, choose_machine(options)).source
    earlier = sorted(options.out.glob(f"{preset.name}-*-s{seed}*"))
    for folder in earlier:
        with suppress(FileError):
            if (folder / RECORD).exists() and _is_same(read_record(folder), preset, seed, source):
                return read_record(folder)
    for folder in earlier:
        with suppress(FileError):
            start = read_document(folder / START, RunStart, "the start of a run")
            if _is_same(start, preset, seed, source):
                return reopen(folder, options.data)
    return prepare(preset, options)


def with_runs(preset: Preset, runs: list[Path]) -> Preset:
    """Return the preset with the runs of its teachers instead of their preset."""
    if preset.teacher is None:
        return preset
    update = {"runs": tuple(map(name_absolutely, runs)), "preset": None, "seeds": 1}
    return preset.model_copy(update={"teacher": preset.teacher.model_copy(update=update)})


def _is_same(run: RunRecord | RunStart, preset: Preset, seed: int, source: DataSource) -> bool:
    wanted, found = (each.model_dump(exclude=NOT_TRAINED) for each in (preset, run.preset))
    if isinstance(run, RunRecord):
        has_file = hash_of_indices_file(run) is not None
    else:
        has_file = run.coreset_file is not None
    is_same_training = wanted == found and run.seed == seed and not has_file
    return is_same_training and run.data.has_images_of(source)
