import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from mnistcli.display.checks import checks_view
from mnistcli.engine.events import Emit
from mnistcli.errors import DivergedError, Divergence
from mnistcli.experiment.check import check_run, compare_training
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare
from mnistcli.process import Stopped
from mnistcli.records.checks import RunChecks
from tests.conftest import Answer
from tests.display.samples import drawn, make_run
from tests.faults.runs import make_preset, mix, options_of

EVALUATED = {"test_correct", "test_accuracy", "test_loss", "interval"}


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be changed."""
    return Path(shutil.copytree(finished_run, tmp_path / "submitted"))


def change(folder: Path, path: str, value: object) -> None:
    """Change a field of the record, as in "test.accuracy"."""
    record = json.loads((folder / "record.json").read_text())
    *parents, last = path.split(".")
    here: Any = record
    for key in parents:
        here = here[int(key)] if isinstance(here, list) else here[key]
    here[last] = value(here[last]) if callable(value) else value
    (folder / "record.json").write_text(json.dumps(record))


def refuted(answer: Answer) -> set[str]:
    """The names of the figures that a check refutes."""
    assert (answer.code, answer.err) == (3, ""), answer.err
    document = json.loads(answer.out)
    assert document["schema"] == "mnistcli.run-check/1"
    assert not document["confirmed"]
    (found,) = document["runs"]
    assert found["verdict"] == "refuted"
    return {row["figure"] for row in found["figures"] if row["verdict"] == "refuted"}


def test_an_honest_record_is_confirmed_wherever_its_folder_is(cli: Callable, folder: Path) -> None:
    answer = cli("runs", "check", folder)
    assert (answer.code, answer.err) == (0, "")
    assert " CONFIRMED  all 21 figures are as recorded\n" in answer.out
    assert "refuted" not in answer.out
    document = json.loads(cli("runs", "check", folder, "--json").out)
    assert document["confirmed"]
    (found,) = document["runs"]
    assert {row["verdict"] for row in found["figures"]} == {"confirmed"}
    assert found["training"] is None


@pytest.mark.parametrize(
    ("path", "value", "figures"),
    [
        ("test.accuracy", lambda x: x + 0.005, {"test_accuracy"}),
        ("test.correct", lambda x: x + 1, {"test_correct"}),
        ("test.total", 10_000, {"test_images"}),
        ("test.loss", 0.01, {"test_loss"}),
        ("test.interval", [0.99, 1.0], {"interval"}),
        ("parameters", 3_000, {"parameters", "parameters_check"}),
        ("macs", 1, {"macs"}),
        ("passed", False, {"passed"}),
        ("checks.0.verdict", "fail", {"parameters_check"}),
        ("checks.0.value", 17, {"parameters_check"}),
        ("checks.0.limit", 100_000, {"parameters_check"}),
        ("checks", [], {"parameters_check", "epochs_check"}),
        ("checks.0.name", "fame", {"parameters_check", "fame_check"}),
        ("preset.budget.parameters_below", 9, {"parameters_check", "passed"}),
        ("preset.budget.min_test_accuracy", 0.1, {"test_accuracy_check"}),
        ("preset.model.layers.0.out_channels", 9, {"network"}),
        ("preset.model.layers.0.kernel_size", 60, {"network"}),
        ("preset.model.layers", [{"kind": "flatten"}], {"network"}),
        ("preset.normalization.mean", 0.9, EVALUATED),
        ("preset.train.epochs", 20, {"epochs", "images_seen"}),
        ("preset.train.validation_examples", 500, {"coreset"}),
        ("preset.train.validation_examples", 5_000, {"validation_examples"}),
        ("preset.coreset.selector.kind", "entropy", {"coreset_method"}),
        ("preset.coreset", None, {"coreset_method"}),
        ("coreset.indices_sha256", "0" * 64, {"coreset"}),
        ("coreset", None, {"coreset_method", "train_examples", "train_fraction", "images_seen"}),
        ("train_examples", 100, {"train_examples"}),
        ("train_fraction", 0.1, {"train_fraction"}),
        ("validation_examples", 5, {"validation_examples"}),
        ("passes", 1.0, {"epochs", "epochs_check"}),
        ("passes", 9.0, {"epochs", "epochs_check", "passed"}),
        ("epochs", [], {"images_seen", "train_seconds", "logged_epochs"}),
        ("epochs.1.train_loss", 0.0, {"logged_epochs"}),
        ("epochs.0.seconds", 99.0, {"train_seconds", "logged_epochs"}),
        ("train_seconds", 0.001, {"train_seconds"}),
        ("weights_sha256", "0" * 64, {"weights"}),
        ("data.test_sha256", "0" * 64, {"test_data"}),
        ("data.train_sha256", "0" * 64, {"training_data"}),
        ("seed", -1, {"seed"}),
        ("seed", 10**30, {"seed"}),
    ],
)
def test_a_changed_record_is_refuted(
    cli: Callable, folder: Path, path: str, value: object, figures: set[str]
) -> None:
    change(folder, path, value)
    assert refuted(cli("runs", "check", folder, "--json")) == figures


@pytest.mark.parametrize(("path", "value"), [("test.total", 0), ("test.correct", 201)])
@pytest.mark.parametrize("command", ["compare", "report", "evaluate"])
def test_more_correct_images_than_there_are_is_one_line(
    cli: Callable, folder: Path, command: str, path: str, value: int
) -> None:
    change(folder, path, value)
    answer = cli(command, folder)
    assert (answer.code, answer.out) == (4, "")
    assert len(answer.err.splitlines()) == 1


def test_a_refuted_run_says_what_is_refuted(cli: Callable, folder: Path) -> None:
    change(folder, "test.correct", 199)
    answer = cli("runs", "check", folder)
    assert (answer.code, answer.err) == (3, "")
    assert " REFUTED  recorded otherwise than found: test correct\n" in answer.out


@pytest.mark.parametrize("number", range(0, 30, 2))
def test_records_of_every_kind_are_confirmed(number: int, tiny_data: Path, tmp_path: Path) -> None:
    chosen = mix(number)
    record = run(prepare(make_preset(chosen), options_of(chosen, tiny_data, tmp_path)), print)
    checked = check_run(tmp_path / record.run_id, Options(threads=1))
    assert [row for row in checked.figures if row.verdict != "confirmed"] == []
    assert checked.verdict == "confirmed"


def test_weights_of_another_run_are_refuted(cli: Callable, folder: Path) -> None:
    path = folder / "weights.safetensors"
    weights = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({**weights, "0.weight": weights["0.weight"] * 2}, path)
    assert {"weights", "test_loss"} <= refuted(cli("runs", "check", folder, "--json"))
    safetensors.numpy.save_file({**weights, "0.weight": weights["0.weight"] * np.inf}, path)
    assert {"weights", "test_loss"} == refuted(cli("runs", "check", folder, "--json"))
    safetensors.numpy.save_file({"other": weights["0.weight"]}, path)
    assert {"weights", "network"} == refuted(cli("runs", "check", folder, "--json"))


@pytest.mark.parametrize("name", ["weights.safetensors", "record.json", "indices.npz"])
@pytest.mark.parametrize("content", [None, b"", b"x"])
def test_what_cannot_be_read_is_not_refuted(
    cli: Callable, folder: Path, name: str, content: bytes | None
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    answer = cli("runs", "check", folder, "--json")
    assert (answer.code, answer.out) == (4, "")
    assert name in answer.err
    assert answer.err.count("\n") == 1


def test_a_missing_log_is_no_lie_and_another_one_is(cli: Callable, folder: Path) -> None:
    log = folder / "events.jsonl"
    log.write_text(log.read_text().replace('"epoch": 2', '"epoch": 3'))
    assert refuted(cli("runs", "check", folder, "--json")) == {"logged_epochs"}
    log.write_text("[1]\n" + "[" * 100_000 + "\nx\n")
    assert refuted(cli("runs", "check", folder, "--json")) == {"logged_epochs"}
    log.unlink()
    assert cli("runs", "check", folder).code == 0


def test_other_images_are_refuted_and_missing_ones_are_said(
    cli: Callable, folder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_data, tmp_path / "other"))
    labels = other / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x01")
    assert refuted(cli("runs", "check", folder, "--data", other, "--json")) == {"test_data"}
    change(folder, "data.folder", str(other))
    assert refuted(cli("runs", "check", folder, "--json")) == {"test_data"}
    assert cli("runs", "check", folder, "--data", tiny_data).code == 0
    change(folder, "data.folder", str(tmp_path / "gone"))
    answer = cli("runs", "check", folder)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.endswith(" Name their folder with --data.\n")


def test_several_runs_are_checked_one_by_one(cli: Callable, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "honest")
    change(folder, "passed", False)
    answer = cli("runs", "check", tmp_path)
    assert answer.code == 3
    assert answer.out.endswith(" 2 runs: 1 confirmed, 1 refuted\n")
    (folder / "record.json").write_text("{")
    answer = cli("runs", "check", tmp_path, "--json")
    assert answer.code == 4
    assert [run["verdict"] for run in json.loads(answer.out)["runs"]] == ["confirmed"]


def trained(cli: Callable, folder: Path, *options: object) -> tuple[int, dict]:
    """What a check with a new training finds."""
    answer = cli("runs", "check", folder, "--train", "-q", "--json", *options)
    assert answer.err == ""
    (found,) = json.loads(answer.out)["runs"]
    assert found["training"], [row for row in found["figures"] if row["verdict"] == "refuted"]
    return answer.code, found


def test_trained_again_the_weights_are_the_same(
    cli: Callable, folder: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, found = trained(cli, folder, "--threads", 1)
    assert (code, found["verdict"]) == (0, "confirmed")
    assert found["training"]["weights_match"]
    assert found["training"]["verdict"] == "confirmed"
    assert found["training"]["difference"] == 0
    assert sorted(tmp_path.rglob("*")) == before
    answer = cli("runs", "check", folder, "--train")
    assert " trained again: the weights are equal, bit for bit\n" in answer.out
    assert len([line for line in answer.err.splitlines() if line.startswith("epoch ")]) == 2


def test_other_weights_alone_refute_nothing(cli: Callable, folder: Path) -> None:
    change(folder, "seed", 4)
    code, found = trained(cli, folder)
    training = found["training"]
    assert not training["weights_match"]
    assert (code, found["verdict"]) == (0, "confirmed")
    assert training["verdict"] in ("no clear difference", "improved")
    answer = cli("runs", "check", folder, "--train", "-q")
    assert "figures are as recorded, but the weights were not reproduced\n" in answer.out


def test_a_training_that_is_clearly_worse_leaves_the_record_undecided(
    cli: Callable, folder: Path
) -> None:
    change(folder, "preset.train.schedule.max_learning_rate", 1e-9)
    code, found = trained(cli, folder)
    assert (code, found["verdict"]) == (3, "undecided")
    assert found["training"]["verdict"] == "worse"
    answer = cli("runs", "check", folder, "--train", "-q")
    assert " UNDECIDED  trained again, the network is worse" in answer.out
    assert " trained again: the weights differ; recorded differences: none\n" in answer.out


def raising(error: BaseException) -> Callable[[object], AbstractContextManager[Emit]]:
    """Show a training by ending it."""

    def emit(event: object) -> None:
        raise error

    return lambda setup: nullcontext(emit)


def test_a_training_that_diverges_leaves_the_record_undecided(folder: Path) -> None:
    error = DivergedError(Divergence(1, 2, 0.1, (3,)))
    checked = check_run(folder, Options(threads=1), raising(error))
    assert checked.training
    assert (checked.verdict, checked.training.verdict) == ("undecided", "diverged")
    (line,) = [
        line
        for line in drawn(checks_view(RunChecks(runs=(checked,), confirmed=False)))
        if "UNDECIDED" in line
    ]
    assert "diverged" in line


def test_a_signal_leaves_nothing_to_resume(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Stopped) as raised:
        check_run(folder, Options(threads=1), raising(Stopped(2)))
    assert raised.value.advice == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_refuted_is_not_trained_again(cli: Callable, folder: Path) -> None:
    change(folder, "seed", -1)
    assert refuted(cli("runs", "check", folder, "--train", "--json")) == {"seed"}


@pytest.mark.parametrize("threads", [0, -3, 10**9])
def test_a_number_of_threads_that_is_none_does_no_harm(
    cli: Callable, folder: Path, threads: int
) -> None:
    change(folder, "threads", threads)
    assert trained(cli, folder, "--threads", 1)[0] == 0


def test_accuracies_are_compared_as_proportions() -> None:
    def verdict(correct: int, digest: str = "0") -> str:
        test = make_run().test.model_copy(update={"correct": correct, "accuracy": correct / 10_000})
        again = make_run(test=test, weights_sha256=digest)
        return compare_training(make_run(weights_sha256="1"), again, ("threads 2 → 1",)).verdict

    assert verdict(9_944, "1") == "confirmed"
    assert [verdict(n) for n in (9_990, 9_950, 9_938, 9_900)] == [
        "improved", "no clear difference", "no clear difference", "worse",
    ]  # fmt: skip
