"""Run folder → whether its record holds: evaluated again and, if wanted, trained again."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mnistcli.engine.events import Emit
from mnistcli.errors import DivergedError, FileError, PresetError
from mnistcli.experiment.checked_figures import check_figures
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.repeat import prepare_repetition
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import TrainingSetup
from mnistcli.process import Stopped
from mnistcli.records.checks import CheckedFigure, CheckedRun, CheckedTraining
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record
from mnistcli.verdict.stats import LEVEL, proportion_difference

Watch = Callable[[TrainingSetup], AbstractContextManager[Emit]]
"""Returns what shows the events of a training."""


def check_run(folder: Path, options: Options, watch: Watch | None = None) -> CheckedRun:
    """Compare the record of a run with what its weights, its images and its log say.

    Args:
        folder: run folder.
        options: device and threads, and a folder of data if it is not the run's own.
        watch: shows the training, if the run is to be trained again; it is not if a figure is
            refuted already.

    Raises:
        FileError: record, weights or data are unreadable, or the network's code fails or may not
            run.
        UsageError: the device is not available.
    """
    record = read_record(folder)
    training = None
    try:
        figures = check_figures(folder, record, options)
        if watch and not any(row.verdict == "refuted" for row in figures):
            training = _train_again(folder, record, options, watch)
    except PresetError as error:
        # Not a mistake on the command line, and no reason not to check the other runs.
        raise FileError(f'cannot check "{folder}": {error}') from error
    return CheckedRun(
        run_id=record.run_id,
        path=str(folder),
        figures=tuple(figures),
        training=training,
        verdict=_decide(figures, training),
    )


def _decide(
    figures: Sequence[CheckedFigure], training: CheckedTraining | None
) -> Literal["confirmed", "refuted", "undecided"]:
    if any(row.verdict == "refuted" for row in figures):
        return "refuted"
    # Different weights alone refute nothing: rounding differs from processor to processor.
    is_doubtful = training is not None and training.verdict in ("worse", "diverged")
    return "undecided" if is_doubtful else "confirmed"


def _train_again(
    folder: Path, record: RunRecord, options: Options, watch: Watch
) -> CheckedTraining:
    with TemporaryDirectory(prefix="mnistcli-") as out:
        setup = prepare_repetition(folder, replace(options, out=Path(out)))
        differences = setup.start.repeats.differences if setup.start.repeats else ()
        try:
            with watch(setup) as emit:
                return compare_training(record, run(setup, emit), differences)
        except DivergedError:
            return CheckedTraining(
                weights_match=False,
                differences=differences,
                accuracy=None,
                difference=None,
                interval=None,
                p_value=None,
                verdict="diverged",
            )
        except Stopped as stopped:
            stopped.advice = ""  # nothing is kept that could be resumed
            raise


def compare_training(
    record: RunRecord, again: RunRecord, differences: Sequence[str]
) -> CheckedTraining:
    """Compare a run with the same run trained again.

    Args:
        record: of the run.
        again: of the new training.
        differences: what is known to differ between the two, beside the weights.
    """
    matches = again.weights_sha256 == record.weights_sha256
    tests = (again.test, record.test)
    found = proportion_difference(
        (tests[0].accuracy, tests[1].accuracy), (tests[0].total, tests[1].total)
    )
    clear: Literal["improved", "worse"] = "improved" if found.mean > 0 else "worse"
    return CheckedTraining(
        weights_match=matches,
        differences=tuple(differences),
        accuracy=again.test.accuracy,
        difference=found.mean,
        interval=found.interval,
        p_value=found.p_value,
        verdict=(
            "confirmed" if matches else clear if found.p_value < LEVEL else "no clear difference"
        ),
    )
