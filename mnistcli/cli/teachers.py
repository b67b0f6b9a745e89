"""Teachers that a preset names by their own preset, trained before the network that learns."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mnistcli.cli.options import OutputOptions
from mnistcli.process import Stopped

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.training.setup import TrainingSetup
    from mnistcli.preset.schema import Preset


def train_teachers(preset: "Preset", options: "Options", shown: OutputOptions) -> "Preset":
    """Train what is missing of a preset's teachers, and return the preset with their runs.

    Raises:
        PresetError, UsageError, FileError, Stopped: as a training does.
    """
    if preset.teacher is None or preset.teacher.preset is None:
        return preset
    from mnistcli.experiment.teachers import begin_teacher, load_teacher, with_runs
    from mnistcli.experiment.training.setup import check
    from mnistcli.records.documents import RunRecord

    own, number, runs = load_teacher(preset.teacher.preset), preset.teacher.seeds, list[Path]()
    check(preset.model_copy(update={"teacher": None}), options)  # before minutes of training
    for seed in range(number):
        begun = begin_teacher(own, seed, options)
        folder = Path(begun.path) if isinstance(begun, RunRecord) else begun.folder
        if not shown.quiet:
            verb = "use" if isinstance(begun, RunRecord) else "train"
            print(f"teacher {seed + 1} of {number}: {verb} {folder}", file=sys.stderr, flush=True)
        if not isinstance(begun, RunRecord):
            _train(begun, shown)
        runs.append(folder)
    return with_runs(preset, runs)


def _train(setup: "TrainingSetup", shown: OutputOptions) -> None:
    from mnistcli.cli.train import train_once

    try:
        train_once(setup, shown)
    except Stopped as stopped:
        stopped.advice = "repeat the command to resume"
        raise
