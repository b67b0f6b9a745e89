"""Runs that a training starts from or learns from → their networks, and what is recorded."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from mnistcli.engine.network.quantize import SCALES
from mnistcli.engine.teacher import Teacher, Teachers
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.code import open_code
from mnistcli.experiment.load_run import LoadedRun, check_weights, load_run
from mnistcli.experiment.machine import Machine, Options
from mnistcli.preset.schema import Preset
from mnistcli.preset.teacher import Teacher as TeacherSettings
from mnistcli.records.checkpoint import read_weights
from mnistcli.records.earlier import EarlierRun
from mnistcli.records.folders import find_run, name_absolutely
from mnistcli.records.sources import DataSource
from mnistcli.records.store import read_record
from mnistcli.records.weights import load_state_dict


def load_teachers(settings: TeacherSettings, machine: Machine) -> Teachers:
    """Load the networks that the preset names.

    Raises:
        PresetError: a run is unreadable, or its code is not allowed to run.
    """
    teachers = []
    for folder in settings.runs:
        try:
            run = load_run(find_run(folder), Options(device="cpu"))
        except FileError as error:
            raise PresetError(f"teacher.runs: {error}") from error
        teachers.append(_make_teacher(run, machine))
    return Teachers(teachers, settings.temperature, settings.weight)


def _make_teacher(run: LoadedRun, machine: Machine) -> Teacher:
    """Return the network of a run as a teacher: as it was evaluated, if it is integers or code.

    Sums of integers are exact in float32 only, and code may need that precision or this layout.
    """
    preset = run.record.preset
    model, precision = run.model.eval().to(machine.device), torch.float32
    if preset.model.layers is not None:
        model = model.to(memory_format=torch.channels_last)
        precision = torch.float32 if preset.train.quantize else machine.precision
    return Teacher(model, preset.normalization, precision, preset.model.code)


def allow_teachers(preset: Preset, *, allow: bool) -> None:
    """Let the code of a preset's teachers run, if the user allows it."""
    for folder in preset.teacher.runs if preset.teacher and allow else ():
        with suppress(FileError):  # said when the run is read
            path = find_run(folder)
            open_code(read_record(path).preset, path, allow=True)


def load_initial_weights(model: nn.Module, run: str) -> None:
    """Give a network the trained weights of a run.

    The scales of integers are measured anew if that network was not trained for them.

    Raises:
        PresetError: the run is unreadable, or its weights do not fit.
    """
    try:
        state = read_weights(find_run(run))
        own = {name: value for name, value in model.state_dict().items() if name == SCALES}
        state = own | {name: each for name, each in state.items() if name != SCALES or own}
        load_state_dict(model, state, f'"{run}"')
    except FileError as error:
        raise PresetError(f"train.init: {error}") from error


def locate_runs(preset: Preset) -> Preset:
    """Return the preset with absolute paths of other runs, so that it can be resumed anywhere.

    Raises:
        PresetError: its teachers have not been trained.
    """
    if (run := preset.train.init) is not None:
        train = preset.train.model_copy(update={"init": name_absolutely(Path(run))})
        preset = preset.model_copy(update={"train": train})
    if preset.teacher is None:
        return preset
    if preset.teacher.preset is not None:
        raise PresetError(
            "teacher.preset: its teachers are not trained here. Train them first, and name their "
            "runs: teacher.runs"
        )
    runs = tuple(name_absolutely(Path(run)) for run in preset.teacher.runs)
    teacher = preset.teacher.model_copy(update={"runs": runs})
    return preset.model_copy(update={"teacher": teacher})


def describe_teachers(preset: Preset) -> tuple[EarlierRun, ...]:
    """Return what is recorded of a preset's teachers.

    Raises:
        PresetError: a run is unreadable, or its weights have changed.
    """
    runs = preset.teacher.runs if preset.teacher else ()
    return tuple(_describe(run, "teacher.runs") for run in runs)


def describe_initial(preset: Preset) -> EarlierRun | None:
    """Return what is recorded of the run that a preset's training starts from.

    Raises:
        PresetError: the run is unreadable, or its weights have changed.
    """
    run = preset.train.init
    return None if run is None else _describe(run, "train.init")


def check_held_out(runs: Iterable[EarlierRun], source: DataSource) -> None:
    """Refuse earlier runs that have learned from the images which this one is evaluated on.

    Args:
        runs: that this one learns or starts from.
        source: of this one's images; some of them are held out.

    Raises:
        PresetError: one of the runs has learned from the same images, and held none out.
    """
    for run in runs:
        if run.evaluated_on == "test" and run.train_sha256 == source.train_sha256:
            raise PresetError(
                f'"{run.path}" has learned from the held-out images, too. In a study, add --test, '
                "or let it train the teachers: teacher.preset"
            )


def _describe(folder: str, field: str) -> EarlierRun:
    try:
        record = read_record(path := find_run(folder))
        check_weights(path, record)
    except FileError as error:
        raise PresetError(f"{field}: {error}") from error
    return EarlierRun(
        run_id=record.run_id,
        path=folder,
        preset=record.preset.name,
        weights_sha256=record.weights_sha256,
        parameters=record.parameters,
        train_seconds=record.train_seconds,
        train_sha256=record.data.train_sha256,
        test_accuracy=record.test.accuracy,
        evaluated_on=record.data.evaluated_on,
    )
