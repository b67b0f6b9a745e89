"""kill -9 at any moment, signals, and two processes at once."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Counts
from tests.faults.runs import what_is_left

pytestmark = pytest.mark.faults
KILLS = 100
COMMAND = [sys.executable, "-m", "mnistcli"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def test_killed_at_any_moment_a_run_can_be_resumed(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path, counts: Counts
) -> None:
    (tmp_path / "killed.toml").write_text(tiny_preset.read_text())
    module = [sys.executable, "-m", "tests.faults.killing", str(KILLS), tiny_data, tmp_path]
    done = subprocess.run(
        module, capture_output=True, text=True, timeout=400, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout)
    assert sum(found["kills"].values()) >= KILLS
    # The kills came at every stage, not all before the first step.
    assert found["kills"].get("mid-epoch", 0) + found["kills"].get("between epochs", 0) > KILLS / 4
    counts["kills survived, no line lost, torn or doubled"] += sum(found["kills"].values())
    counts["killed runs that ended as the unbroken one"] += found["runs"]


@pytest.fixture
def long_command(tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> list[str]:
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "--threads", 1, "--no-fail")
    settings = ("--set", "train.epochs=100")
    return [*COMMAND, "train", *map(str, (tiny_preset, *options, *settings))]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_resume(
    number: signal.Signals, code: int, long_command: list[str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        long_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch 3/"):
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    last = err.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert last.endswith(f"; resume with: mnistcli train --resume {folder}")
    again = [*COMMAND, *last.rpartition("mnistcli ")[2].split(), "--no-fail", "-q"]
    subprocess.run(again, check=True, capture_output=True, timeout=120, env=ENVIRONMENT)
    unbroken = [part.replace(str(tmp_path / "runs"), str(tmp_path / "a")) for part in long_command]
    subprocess.run([*unbroken, "-q"], check=True, capture_output=True, timeout=120, env=ENVIRONMENT)
    (other,) = (tmp_path / "a").iterdir()
    assert what_is_left(folder) == what_is_left(other)


def test_an_interrupted_batch_says_how_to_resume(long_command: list[str], tmp_path: Path) -> None:
    command = [*long_command, "--seeds", "0-3", "--jobs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert any("run 1/4" in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    assert err.splitlines()[-1].endswith(f"mnistcli train --resume {batch}")
    assert "Traceback" not in err
    again = [*COMMAND, "train", "--resume", str(batch), "--json", "--jobs", "2", "--no-fail"]
    done = subprocess.run(
        again, capture_output=True, text=True, timeout=200, env=ENVIRONMENT, check=True
    )
    assert [run["seed"] for run in json.loads(done.stdout)["runs"]] == [0, 1, 2, 3]


def test_the_second_ctrl_c_does_not_wait_and_the_cursor_comes_back(
    long_command: list[str],
) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        long_command, stdin=slave, stdout=slave, stderr=slave,
        env=ENVIRONMENT | {"TERM": "xterm"}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while not re.search(rb"epoch [1-9]\d*/100", shown):
        shown += os.read(master, 65_536)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    try:
        while more := os.read(master, 65_536):
            shown += more
    except OSError:  # Linux's way to say that the other side has gone
        pass
    os.close(master)
    assert process.wait(timeout=30) == 130
    assert b"\x1b[?25l" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert re.search(rb"interrupted; resume with: mnistcli\s+train", shown)


def test_runs_that_begin_at_once_never_mix(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = [
        *COMMAND, "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs",
        "--threads", "1", "--json", "-q",
    ]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda number: subprocess.run(
                    list(map(str, command)), capture_output=True, text=True, timeout=200,
                    env=ENVIRONMENT, check=True,
                ),
                range(4),
            )
        )  # fmt: skip
    records = [json.loads(one.stdout) for one in done]
    assert len({record["run_id"] for record in records}) == 4
    assert len({record["weights_sha256"] for record in records}) == 1
    for record in records:
        kept = json.loads((Path(record["path"]) / "record.json").read_text())
        assert kept == record
        lines = (Path(record["path"]) / "events.jsonl").read_text().splitlines()
        assert len(lines) == 3


@pytest.mark.slow
def test_sprint_killed_three_times_is_sprint(tmp_path: Path, counts: Counts) -> None:
    command = [*COMMAND, "train", "sprint", "--threads", "1", "--no-fail"]
    subprocess.run(
        [*command, "--out", tmp_path / "a"], check=True, capture_output=True, timeout=300
    )
    (unbroken,) = (tmp_path / "a").iterdir()
    rng = random.Random(1)
    now = [*command, "--out", str(tmp_path / "b")]
    for _ in range(3):
        with subprocess.Popen(now, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            process.stderr.readline()
            time.sleep(rng.uniform(1, 5))
            process.kill()
        (folder,) = (tmp_path / "b").iterdir()
        assert not (folder / "record.json").exists()
        now = [*COMMAND, "train", "--resume", str(folder), "--no-fail"]
    subprocess.run(now, check=True, capture_output=True, timeout=300)
    assert what_is_left(folder) == what_is_left(unbroken)
    counts["kills of sprint itself survived"] += 3
