"""Trainings on a real Dask cluster, on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.cluster import Cluster, free_port, start_cluster
from tests.experiment.training.test_divergence import DEEP, write_bright_images

pytest.importorskip("distributed")
needs_cluster = pytest.mark.slow


@pytest.fixture
def capabilities() -> tuple[str, str]:
    """The CPU capability that each worker's PyTorch uses: the best there is, if empty."""
    return ("", "")


@pytest.fixture
def cluster(tmp_path: Path, capabilities: tuple[str, str]) -> Iterator[Cluster]:
    with start_cluster(tmp_path, capabilities) as started:
        yield started


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object, out: str = "runs") -> tuple:
        answer = cli(
            "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / out,
            "--json", *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if answer.out else None

    return run


def hashes(document: dict) -> list[str]:
    return [run["weights_sha256"] for run in document["runs"]]


@needs_cluster
def test_a_cluster_gives_the_same_runs_as_this_machine(
    train: Callable, cluster: Cluster, tmp_path: Path
) -> None:
    answer, there = train("--seeds", "0-3", "--cluster", cluster.address, "--threads", 1)
    assert answer.code == 0, answer.err
    assert "run 4/4" in answer.err
    for seed in range(4):
        lines = [line for line in answer.err.splitlines() if line.startswith(f"seed {seed}  epoch")]
        assert [line.split("  ")[1] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    _, here = train("--seeds", "0-3", "--jobs", 1, "--threads", 1, out="here")
    assert hashes(there) == hashes(here)
    assert [run["test"] for run in there["runs"]] == [run["test"] for run in here["runs"]]
    for run in there["runs"]:
        folder = Path(run["path"])
        assert folder.parent == tmp_path / "runs"
        assert {path.name for path in folder.iterdir()} == {
            path.name for path in Path(here["runs"][0]["path"]).iterdir()
        }
        assert json.loads((folder / "record.json").read_text()) == run


@pytest.fixture
def compare(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object) -> tuple:
        answer = cli(
            "coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
            "--compare", "--sizes", "100", "--seeds", "0-2", "--methods", "random", "--threads", 1,
            *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if answer.out else None

    return run


@needs_cluster
def test_a_comparison_says_where_its_workers_trained(compare: Callable, cluster: Cluster) -> None:
    """One precision for all: that of the workers, which here are on this machine."""
    answer, there = compare("--cluster", cluster.address)
    assert answer.code == 0, answer.err
    _, here = compare("--jobs", 1)
    for name in ("device", "precision", "threads", "cpu"):
        assert there[name] == here[name]
    assert there["threads"] == 1
    for row in ("everything", "results"):
        accuracies = [
            [each["accuracies"] for each in (one[row] if row == "results" else [one[row]])]
            for one in (there, here)
        ]
        assert accuracies[0] == accuracies[1]


@needs_cluster
@pytest.mark.parametrize("capabilities", [("", "default")])
def test_trials_on_different_processors_are_not_paired(compare: Callable, cluster: Cluster) -> None:
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this processor has nothing to leave out")
    answer, _ = compare("--cluster", cluster.address)
    assert answer.code == 2
    assert answer.out == ""
    last = answer.err.splitlines()[-1]
    assert last.startswith("mnistcli: workers differ, and their trials cannot be paired: ")
    assert ", DEFAULT" in last
    assert "Traceback" not in answer.err


@needs_cluster
def test_a_killed_worker_loses_no_result(
    cluster: Cluster, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "mnistcli", "train", tiny_preset, "--data", tiny_data,
        "--out", tmp_path / "runs", "--json", "--seeds", "0-5", "--cluster", cluster.address,
        "--set", "train.epochs=40", "--threads", "1", "--no-fail",
    ]  # fmt: skip
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if "run 1/6" in line:
                break
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert [run["seed"] for run in document["runs"]] == list(range(6))
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 6


@needs_cluster
def test_a_run_that_diverges_there_is_named_and_its_files_are_sent_back(
    cli: Callable, cluster: Cluster, tmp_path: Path
) -> None:
    preset, data = tmp_path / "deep.toml", tmp_path / "bright"
    preset.write_text(DEEP)
    write_bright_images(data)
    options = ("--out", tmp_path / "runs", "--precision", "float32", "--cluster", cluster.address)
    answer = cli("train", preset, "--data", data, "--seeds", "0", "--quiet", *options)
    assert (answer.code, answer.out) == (5, "")
    assert answer.err.startswith("mnistcli: seed 0: the ")
    assert answer.err.count("\n") == 1
    (folder,) = (tmp_path / "runs").glob("*-s0")
    assert (folder / "divergence.json").exists()


def test_no_scheduler_is_one_line(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistcli.experiment.workers.ANSWER_SECONDS", 1)
    began = time.monotonic()
    answer, _ = train("--seeds", "0-1", "--cluster", f"tcp://127.0.0.1:{free_port()}")
    assert answer.code == 4
    assert answer.err.startswith("mnistcli: no Dask scheduler answers at tcp://127.0.0.1:")
    assert answer.err.count("\n") == 1
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "0-1", "--cluster", "nonsense"), "tcp://HOST:PORT"),
        (("--seeds", "0-1", "--cluster", "http://a:1"), "tcp://HOST:PORT"),
        (("--seeds", "0-1", "--cluster", "tcp://a:1", "--jobs", "2"), "--jobs"),
        (("--cluster", "tcp://a:1"), "--seeds"),
    ],
)
def test_a_mistake_is_one_line(train: Callable, options: tuple, words: str) -> None:
    answer, _ = train(*options)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1


@needs_cluster
def test_a_lost_scheduler_ends_the_command(
    cluster: Cluster, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "mnistcli", "train", tiny_preset, "--data", tiny_data,
        "--out", tmp_path / "runs", "--seeds", "0-5", "--cluster", cluster.address,
        "--set", "train.epochs=40", "--threads", "1", "--no-fail",
    ]  # fmt: skip
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline().startswith("seed ")
        cluster.scheduler.kill()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 4, err
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    advice = f"resume with: mnistcli train --resume {batch}"
    assert err.splitlines()[-1] == (
        f"mnistcli: the Dask cluster at {cluster.address} was lost; {advice}"
    )
    assert "Traceback" not in err


@needs_cluster
def test_a_study_gives_the_same_figures_there(
    cli: Callable, cluster: Cluster, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    found = []
    for where in (("--cluster", cluster.address), ("--jobs", 1)):
        answer = cli(
            "study", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
            "--arm", "slow: train.schedule.max_learning_rate=0.0003", "--seeds", "0-1",
            "--threads", 1, *where,
        )  # fmt: skip
        assert answer.code == 0, answer.err
        assert "run 4/4" in answer.err
        document = json.loads(answer.out)
        found.append([document[arm]["accuracies"] for arm in ("base",)])
        found[-1] += [arm["accuracies"] for arm in document["arms"]]
    assert found[0] == found[1]
    assert len({accuracy for arm in found[0] for accuracy in arm}) > 2
