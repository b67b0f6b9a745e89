"""kill -9 at a search and its processes: no finished trial is lost, and the winner is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.test_search import SPACE
from tests.conftest import Counts, posix_only

pytestmark = [pytest.mark.faults, posix_only]
COMMAND = [sys.executable, "-m", "mnistcli", "search"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
BUDGET = "parameters<400, accuracy>=99, epochs<9"
TRIALS, KILLS, WORKER_KILLS = 30, 20, 8
CODE = """
import os, time, torch
from torch import nn

class Net(nn.Module):
    def __init__(self, kind="plain", features=4):
        super().__init__()
        self.kind, self.steps = kind, 0
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, features), nn.ReLU(),
                                    nn.Linear(features, 10))

    def forward(self, images):
        self.steps += self.training and len(images) > 20
        if self.steps > 8:
            if self.kind == "crash":
                os._exit(9)
            if self.kind == "hang":
                time.sleep(1_000)
            if self.kind == "diverge":
                return self.layers(images) * float("nan")
        return self.layers(images)
"""
CODE_SPACE = """
title = "Networks that go wrong."
[model]
python = "net.py:Net"
arguments = { kind = ["plain", "crash", "hang", "diverge"], features = { low = 2, high = 9 } }
[train]
epochs = 3
batch_size = 50
optimizer = { kind = "adamw", learning_rate = 0.01 }
"""


@pytest.fixture(scope="module")
def command(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    space = tmp_path_factory.mktemp("space") / "tiny.toml"
    space.write_text(SPACE.replace("epochs = 4", "epochs = 8"))
    options = ("--budget", BUDGET, "--space", space, "--data", tiny_data, "--trials", TRIALS)
    # Rounding depends on the number of threads, which else follows from --jobs.
    return [str(each) for each in (*COMMAND, *options, "--threads", 1, "--no-fail")]


@pytest.fixture(scope="module")
def unbroken(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("unbroken")
    finish([*command, "--jobs", "2", "--out", str(out)])
    return read_result(out)


def finish(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=400, check=True, env=ENVIRONMENT
    )
    return done.stdout


def read_result(out: Path) -> dict[str, object]:
    """Return the winner, and the weights of every trial and of the confirmation."""
    (folder,) = out.iterdir()
    document = json.loads((folder / "search.json").read_text())
    weights = {
        str(path.parent.relative_to(folder) if "trials" in path.parts else record["seed"]): (
            record["weights_sha256"]
        )
        for path in sorted(folder.glob("*/*/record.json"))
        for record in [json.loads(path.read_text())]
    }
    return {
        "winner": {name: document["winner"][name] for name in ("number", "loss", "accuracy", "n")},
        "front": [each["number"] for each in document["front"]],
        "accuracies": document["preset"]["reference"]["test_accuracies"],
        "weights": weights,
    }


def test_20_kills_change_neither_the_winner_nor_a_bit(
    command: list[str], unbroken: dict[str, object], tmp_path: Path, counts: Counts
) -> None:
    """With one worker, while the unbroken search had two."""
    rng, out = random.Random(0), tmp_path / "runs"
    now = [*command, "--jobs", "1", "--out", str(out)]
    kept: list[bytes] = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            now, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(rng.uniform(1, 8))
        process.kill()
        process.wait()
        folders = [*out.iterdir()] if out.exists() else []
        if not folders or not (folders[0] / "plan.json").exists():
            [folder.rmdir() for folder in folders]
            continue
        log = folders[0] / "search.jsonl"
        lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        assert whole[: len(kept)] == kept, "a finished trial was lost"
        kept = whole
        now = [*COMMAND, "--resume", str(folders[0]), "--jobs", "1", "--no-fail"]
    finish(now)
    assert read_result(out) == unbroken
    counts["kills of a search survived, with the same winner and weights"] += KILLS


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_kills_of_single_workers_change_neither_the_winner_nor_a_bit(
    command: list[str], unbroken: dict[str, object], tmp_path: Path, counts: Counts
) -> None:
    """A trial whose process died is resumed in another one, and the search does not wait."""
    rng, out, killed = random.Random(1), tmp_path / "runs", 0
    search = subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(out)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    while search.poll() is None:
        time.sleep(rng.uniform(2, 4))  # three deaths of one trial would be its result
        if (found := list_workers(search.pid)) and killed < WORKER_KILLS:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)
                killed += 1
    assert search.returncode == 0
    assert killed
    assert read_result(out) == unbroken
    counts["kills of single workers survived by a search"] += killed


def list_workers(parent: int) -> list[int]:
    """Return the processes that train for a search."""
    with suppress(OSError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    return []


def test_networks_that_crash_hang_or_diverge_are_results(
    cli: Callable, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnistcli.search.pace.UNKNOWN_SECONDS", 15.0)
    monkeypatch.setattr("mnistcli.search.pace.START_SECONDS", 12.0)
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "space.toml").write_text(CODE_SPACE)
    options = (
        "--budget", "parameters<9000", "--space", tmp_path / "space.toml", "--data", tiny_data,
        "--trials", 12, "--jobs", 2, "--out", tmp_path / "runs", "--no-fail", "--json", "-q",
    )  # fmt: skip
    assert cli("search", *options).code == 2, "the code is not trusted yet"
    answer = cli("search", *options, "--allow-code")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["preset"]["model"]["arguments"]["kind"] == "plain"
    folder = Path(found["path"])
    assert cli("export", found["winner"]["run"], "--to", "onnx").code == 0
    again = ("--set", "train.epochs=1", "--data", tiny_data, "--out", tmp_path / "again", "-q")
    assert cli("train", folder / "winner.toml", "--allow-code", "--no-fail", *again).code == 0
    log = (folder / "search.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    failed = [line["failed"] for line in lines if line["event"] == "trial" and line["failed"]]
    assert len(failed) == found["failed_trials"] > 1
    kinds = {reason for reason in ("not finite", "processes", "not finished") for text in failed
             if reason in text}  # fmt: skip
    assert len(kinds) >= 2, failed
