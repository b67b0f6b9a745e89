import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object, as_json: bool = True) -> tuple:
        answer = cli(
            "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs",
            "--threads", 1, *(["--json"] if as_json else []), *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if as_json and answer.out else None

    return run


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


def test_a_coreset_is_the_same_in_a_process_of_its_own(train: Callable) -> None:
    """K-means depends, in its last bits, on the threads: they are limited as PyTorch's are."""
    settings = ("--set", "coreset.size=100", "--set", "coreset.selector={kind='kmeans_spread'}")
    document = train("--seeds", "0-1", "--jobs", 2, *settings)[1]
    for seed, run in enumerate(document["runs"]):
        single = train("--seed", seed, *settings)[1]
        assert run["coreset"]["indices_sha256"] == single["coreset"]["indices_sha256"]
        assert run["weights_sha256"] == single["weights_sha256"]


WEAK = ("--set", "train.schedule.max_learning_rate=0.0008", "--set", "train.epochs=1")


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
