import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.experiment.training import run as single_run
from mnistcli.experiment.training import seeds as batches
from tests.conftest import posix_only


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object, as_json: bool = True) -> tuple:
        answer = cli(
            "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs",
            "--threads", 1, *(["--json"] if as_json else []), *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if as_json and answer.out else None

    return run


@pytest.mark.slow
def test_several_seeds_are_the_single_runs(train: Callable) -> None:
    answer, document = train("--seeds", "0-2", "--jobs", 2)
    assert answer.code == 0
    assert document["schema"] == "mnistcli.runs/2"
    assert [run["seed"] for run in document["runs"]] == [0, 1, 2]
    singles = [train("--seed", seed)[1]["weights_sha256"] for seed in range(3)]
    assert [run["weights_sha256"] for run in document["runs"]] == singles
    for run in document["runs"]:
        folder = Path(run["path"])
        assert json.loads((folder / "record.json").read_text())["run_id"] == run["run_id"]
    accuracies = [run["test"]["accuracy"] for run in document["runs"]]
    summary = document["summary"]
    assert summary["mean_test_accuracy"] == pytest.approx(sum(accuracies) / 3)
    assert summary["min_test_accuracy"] == min(accuracies)
    assert "run 3/3  seed" in answer.err


@pytest.mark.slow
def test_a_coreset_is_the_same_in_a_process_of_its_own(train: Callable) -> None:
    """K-means depends, in its last bits, on the threads: they are limited as PyTorch's are."""
    settings = ("--set", "coreset.size=100", "--set", "coreset.selector={kind='kmeans_spread'}")
    document = train("--seeds", "0-1", "--jobs", 2, *settings)[1]
    for seed, run in enumerate(document["runs"]):
        single = train("--seed", seed, *settings)[1]
        assert run["coreset"]["indices_sha256"] == single["coreset"]["indices_sha256"]
        assert run["weights_sha256"] == single["weights_sha256"]


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Seeds whose trainings in this process leave outputs that are not finite."""
    seeds: set[int] = set()

    def train_or_diverge(state: object, examples: object, course: object, recipe, *rest) -> None:
        original(state, examples, course, recipe, *rest)
        if recipe.seed in seeds:
            raise FloatingPointError("the outputs are not finite")

    original = single_run.train
    monkeypatch.setattr(single_run, "train", train_or_diverge)
    return seeds


def test_runs_that_diverge_leave_the_others_standing(
    train: Callable, cli: Callable, diverging: set[int], tmp_path: Path
) -> None:
    diverging |= {4, 9}
    answer, document = train("--seeds", "9,2-4", "--jobs", 1, "--no-fail")
    assert answer.code == 5
    assert [run["seed"] for run in document["runs"]] == [2, 3] == document["summary"]["seeds"]
    accuracies = [run["test"]["accuracy"] for run in document["runs"]]
    assert document["summary"]["mean_test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert document["passed"] is False
    assert [check["verdict"] for check in document["checks"]] == ["pass", "pass"]
    for failed, seed in zip(document["failed"], (9, 4), strict=True):
        assert (failed["seed"], failed["exit_code"]) == (seed, 5)
        assert (Path(failed["path"]) / "divergence.json").exists()
        assert f"mnistcli: seed {seed}: {failed['reason']}" in answer.err.splitlines()
        assert f"  seed {seed}: failed" in answer.err

    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    again = cli("train", "--resume", batch, "--jobs", 1, "--quiet")
    assert again.code == 5
    assert again.err.count("\n") == 2, "a line for each that failed again"
    diverging.remove(9)
    diverging.remove(4)
    ended = cli("train", "--resume", batch, "--jobs", 1, "--quiet", "--json")
    assert (ended.code, ended.err) == (0, "")
    whole = json.loads(ended.out)
    assert [run["seed"] for run in whole["runs"]] == [9, 2, 3, 4]
    assert (whole["passed"], whole["failed"]) == (True, [])
    single = train("--seed", 9)[1]
    assert whole["runs"][0]["weights_sha256"] == single["weights_sha256"]


@pytest.mark.slow
def test_a_run_that_fails_in_its_own_process_is_named(
    train: Callable, cli: Callable, diverging: set[int], tmp_path: Path
) -> None:
    diverging |= {0, 1}
    train("--seeds", "0-2", "--jobs", 1)
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    first, *_ = sorted((tmp_path / "runs").glob("*-s?"))
    (first / "start.json").write_text("{")
    answer = cli("train", "--resume", batch, "--jobs", 2, "--json", "--quiet")
    document = json.loads(answer.out)
    assert answer.code == document["failed"][0]["exit_code"] == 4
    assert "start.json" in document["failed"][0]["reason"]
    assert [run["seed"] for run in document["runs"]] == [1, 2]


def test_a_fault_of_the_program_in_one_run_is_named_too(
    train: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(setup, *rest):
        return 1 / 0 if setup.seed == 1 else original(setup, *rest)

    original = batches.run
    monkeypatch.setattr(batches, "run", fail)
    answer, document = train("--seeds", "0-2", "--jobs", 1)
    assert answer.code == 1
    assert [run["seed"] for run in document["runs"]] == [0, 2]
    assert document["failed"][0]["reason"].startswith("internal fault, please report it: Zero")


@pytest.mark.parametrize(("numbers", "words"), [("7", ""), ("3,7", "all 2 runs failed; ")])
def test_where_all_runs_fail_the_first_failure_is_the_error(
    train: Callable, diverging: set[int], numbers: str, words: str
) -> None:
    diverging |= {3, 7}
    answer, document = train("--seeds", numbers, "--jobs", 1, "--quiet")
    assert (answer.code, document) == (5, None)
    assert answer.err.startswith(
        f"mnistcli: {words}seed {numbers[0]}: the network's outputs are not finite: epoch 2, step"
    )
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--data", "nowhere"), 4, "nowhere"),
        (("--coreset", "nowhere.npz"), 4, "nowhere.npz"),
        (("--set", "coreset.size=601"), 2, "601 of 600"),
        (
            ("--set", "model.layers.0.padding=0", "--set", "model.layers.0.kernel_size=29"),
            2,
            "layers.0",
        ),
    ],
)
def test_what_every_run_would_fail_by_is_said_once_and_leaves_nothing(
    train: Callable, tmp_path: Path, options: tuple, code: int, words: str
) -> None:
    answer, document = train("--seeds", "0-2", "--jobs", 1, *options)
    assert (answer.code, document) == (code, None)
    assert answer.err.count("\n") == 1
    assert words in answer.err
    assert not (tmp_path / "runs").exists()


@posix_only
@pytest.mark.faults
def test_a_killed_process_is_one_line_and_the_batch_can_be_resumed(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path, cli: Callable
) -> None:
    command = [
        sys.executable, "-m", "mnistcli", "train", tiny_preset, "--data", tiny_data,
        "--out", tmp_path / "runs", "--seeds", "0-3", "--jobs", "2", "--no-fail",
        "--set", "train.epochs=200",
    ]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("seed ")
        pgrep = ["pgrep", "-P", str(process.pid), "-f", "popen_loky"]
        trains = subprocess.run(pgrep, capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(trains[0]), signal.SIGKILL)
        err = process.communicate(timeout=120)[1]
    assert process.returncode == 4, err
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    last = err.splitlines()[-1]
    assert last.startswith("mnistcli: a process that trains was killed")
    assert last.endswith(f"resume with: mnistcli train --resume {batch}")
    assert "Traceback" not in err
    resumed = cli("train", "--resume", batch, "--jobs", 2, "--json", "--quiet", "--no-fail")
    assert len(json.loads(resumed.out)["runs"]) == 4


WEAK = ("--set", "train.schedule.max_learning_rate=0.0008", "--set", "train.epochs=1")


@pytest.mark.slow
def test_the_verdict_is_on_the_mean_with_its_interval(train: Callable) -> None:
    found = train("--seeds", "0-4", "--jobs", 1, *WEAK)[1]["summary"]
    low, high = found["interval"]
    assert low < found["mean_test_accuracy"] < high
    cases = {"pass": low - 0.01, "inconclusive": (low + high) / 2, "fail": high + 0.001}
    for word, limit in cases.items():
        limits = ("--set", f"budget.min_test_accuracy={limit}")
        answer, document = train("--seeds", "0-4", "--jobs", 1, *WEAK, *limits)
        check = next(c for c in document["checks"] if c["name"] == "test_accuracy")
        assert check["verdict"] == word
        assert answer.code == (0 if word == "pass" else 3)
        missing = document["summary"]["additional_seeds_needed"]
        if word != "inconclusive":
            assert missing is None


def test_a_person_reads_a_row_a_run_and_what_would_decide(train: Callable) -> None:
    found = train("--seeds", "0-4", "--jobs", 1, *WEAK)[1]["summary"]
    limit = found["mean_test_accuracy"] + 0.3 * (found["interval"][1] - found["mean_test_accuracy"])
    answer, _ = train(
        "--seeds", "0-4", "--jobs", 1, *WEAK, "--set", f"budget.min_test_accuracy={limit}",
        as_json=False,
    )  # fmt: skip
    assert answer.code == 3
    assert "INCONCLUSIVE  about " in answer.out
    assert "more seeds would decide" in answer.out
    assert "95 % interval of the mean" in answer.out


def test_one_seed_is_checked_by_its_value(train: Callable) -> None:
    answer, document = train("--seeds", "7", "--jobs", 1)
    assert answer.code == 0
    assert document["summary"]["interval"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "3-1"), "--seeds"),
        (("--seeds", "0-1", "--profile"), "--profile"),
        (("--seeds", "0-1", "--jobs", "0"), "--jobs"),
        (("--seeds", ""), "--seeds"),
        (("--jobs", "2"), "--jobs and --cluster are for several"),
    ],
)
def test_a_mistake_is_one_line(train: Callable, options: tuple, words: str) -> None:
    answer, _ = train(*options)
    assert answer.code == 2
    assert words in answer.err


def test_a_batch_of_different_images_has_no_mean(
    train: Callable, cli: Callable, tmp_path: Path
) -> None:
    _, document = train("--seeds", "0-1", "--jobs", 1, "--no-fail", "-q")
    record = Path(document["runs"][1]["path"]) / "record.json"
    content = json.loads(record.read_text())
    content["data"]["train_sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    answer = cli("train", "--resume", batch, "--no-fail", "-q")
    assert answer.code == 4
    assert "were trained on different images" in answer.err


def test_a_run_of_a_batch_that_has_not_ended_is_named(
    train: Callable, cli: Callable, tmp_path: Path
) -> None:
    _, document = train("--seeds", "0-2", "--jobs", 1, "--no-fail", "-q")
    folder = Path(document["runs"][1]["path"])
    (folder / "record.json").rename(folder / "start.json")
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    answer = cli("compare", batch, "--json")
    assert answer.code == 4
    assert folder.name in answer.err
    assert [group["seeds"] for group in json.loads(answer.out)["groups"]] == [[0, 2]]
    (folder / "start.json").unlink()
    assert cli("compare", batch).code == 0, "it was removed"
