"""Runs that are evaluated on held-out training images, in place of the test images."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.display.badge import draw_badge
from mnistcli.display.markdown import run_as_markdown
from mnistcli.display.tables import run_view
from mnistcli.errors import FileError, UsageError
from mnistcli.experiment.check import check_run
from mnistcli.experiment.evaluate import evaluate_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.report import collect_report
from mnistcli.experiment.training.repeat import prepare_repetition
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record
from mnistcli.verdict.compare import compare_members, keep_journal
from tests.display.samples import drawn

SETTINGS = ("coreset.size=400", "coreset.selector={kind='random'}", "train.validation_examples=50")


@pytest.fixture(scope="module")
def training_files(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training images alone: a test set that is read is an error."""
    folder = tmp_path_factory.mktemp("training")
    for path in tiny_data.glob("train-*"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def train(
    tiny_preset: Path, training_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    """Train from a seed, and return the run folder."""
    out = tmp_path_factory.mktemp("held-out")
    preset = load_preset(str(tiny_preset), [*SETTINGS, "budget.min_test_accuracy=0.1"])

    def train(seed: int) -> Path:
        options = Options(seed=seed, threads=1, data=training_files, out=out, hold_out=True)
        setup = prepare(preset, options)
        run(setup, lambda event: None)
        return setup.folder

    return train


@pytest.fixture(scope="module")
def folder(train: Callable) -> Path:
    """A finished run; do not change it."""
    return train(3)


@pytest.fixture
def record(folder: Path) -> RunRecord:
    return read_record(folder)


def test_the_test_set_is_not_read_and_its_limit_left_open(record: RunRecord) -> None:
    assert record.data.evaluated_on == "held-out"
    assert (record.test.total, record.train_examples, record.validation_examples) == (100, 400, 50)
    assert "test_accuracy" not in record.figures
    (check,) = [check for check in record.checks if check.name == "test_accuracy"]
    assert (check.value, check.limit, check.verdict) == (None, 0.1, "inconclusive")
    assert {each.verdict for each in record.checks if each != check} == {"pass"}
    assert record.verdict == "inconclusive"


def test_it_is_called_held_out_wherever_it_is_shown(
    record: RunRecord, folder: Path, cli: Callable
) -> None:
    first, *lines = drawn(run_view(record.model_copy(update={"path": "runs/a"})))
    assert "export" not in lines[-1]
    assert first.startswith(f" held-out {100 * record.test.accuracy:.2f} %")
    assert "Held-out accuracy" in run_as_markdown(record)
    assert "% held-out" in draw_badge(record)
    assert " held-out " in cli("runs", "show", folder).out
    listed = cli("runs", "list", folder.parent)
    assert "% held-out" in listed.out
    (row, *_) = json.loads(cli("runs", "list", folder.parent, "--json").out)["runs"]
    assert row["test_accuracy"] is None
    assert 0 < row["held_out_accuracy"] <= 1


def test_an_interrupted_one_resumes_to_the_same_bits(
    record: RunRecord, folder: Path, tmp_path: Path
) -> None:
    options = Options(seed=3, threads=1, data=record.data.locate(), out=tmp_path, hold_out=True)
    setup = prepare(record.preset, options)

    def stop(event: object) -> None:
        if type(event).__name__ == "EpochFinished":
            raise Stopped(2)

    with pytest.raises(Stopped):
        run(setup, stop)
    resumed = run(reopen(setup.folder), lambda event: None)
    assert resumed.weights_sha256 == record.weights_sha256
    assert (resumed.test, resumed.data) == (record.test, record.data)


def test_it_is_checked_and_repeated_on_the_same_images(
    record: RunRecord, folder: Path, tmp_path: Path
) -> None:
    found = check_run(folder, Options(threads=1))
    assert found.verdict == "confirmed", found.figures
    assert {"test_correct", "training_data"} <= {figure.figure for figure in found.figures}
    again = run(prepare_repetition(folder, Options(threads=1, out=tmp_path)), lambda event: None)
    assert again.repeats
    assert again.repeats.matches
    assert (again.test, again.data) == (record.test, record.data)
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    text = (copied / "record.json").read_text()
    (copied / "record.json").write_text(text.replace('"held-out"', '"test"'))
    with pytest.raises(FileError, match="tested on"):
        check_run(copied, Options(threads=1))


def test_a_report_is_of_the_held_out_images(record: RunRecord, folder: Path, cli: Callable) -> None:
    reported = collect_report(folder, Options(threads=1))
    assert (reported.metrics.correct, reported.metrics.total) == (record.test.correct, 100)
    answer = cli("report", folder, "--out", folder.parent / "report.html")
    assert answer.code == 0, answer.err
    page = (folder.parent / "report.html").read_text()
    assert "on the held-out images" in page
    assert "test images" not in page


def test_evaluating_it_is_of_the_test_images(
    folder: Path, tiny_data: Path, quick_speed: None
) -> None:
    """Its own folder has none; and what is found is not in the record."""
    with pytest.raises(FileError, match="^.* has no test images"):
        evaluate_run(folder, "test", Options(threads=1))
    found = evaluate_run(folder, "test", Options(threads=1, data=tiny_data)).document
    assert (found.total, found.own_images, found.matches_record) == (200, False, None)


def test_it_is_compared_with_others_of_its_kind_only(
    record: RunRecord, train: Callable, finished_run: Path
) -> None:
    """Each seed holds the same images out."""
    other = read_record(train(4))
    assert other.data == record.data
    (group,) = compare_members([record, other]).groups
    assert group.name == "tiny (held-out)"
    assert group.seeds == (3, 4)
    tested = read_record(finished_run)
    with pytest.raises(UsageError, match=r"different images: .* \(held-out\)"):
        compare_members([record, tested])
    first, second, last = keep_journal([record, other, tested]).entries
    assert {first.evaluated_on, second.evaluated_on, last.evaluated_on} == {"test", "held-out"}
