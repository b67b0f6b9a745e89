"""Signals: they save, they say how to resume, and they leave nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.errors import ExitCode
from mnistcli.records.checkpoint import load_state
from tests.conftest import posix_only
from tests.faults.runs import what_is_left

pytestmark = [pytest.mark.faults, posix_only]
COMMAND = [sys.executable, "-m", "mnistcli"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
ENDINGS = [
    ("SIGINT", 130, "interrupted"),
    ("SIGTERM", 143, "terminated"),
    ("SIGHUP", 129, "hung up"),
    ("SIGUSR1", 138, "stopped by SIGUSR1"),
]


def handle_by_default(ignored: int | None = None) -> None:
    """Undo what these tests inherit, as under `nohup` or in the background; ignore one signal."""
    for name, _, _ in ENDINGS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    if ignored is not None:
        signal.signal(ignored, signal.SIG_IGN)


@pytest.fixture
def long_command(tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> list[str]:
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "--threads", 1, "--no-fail")
    settings = ("--set", "train.epochs=40")
    return [*COMMAND, "train", *map(str, (tiny_preset, *options, *settings))]


@pytest.fixture
def begin(tmp_path: Path) -> Callable:
    """Start a command in a session of its own, and wait for a line of its progress."""

    def start(command: list[str], line: str, ignored: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
            start_new_session=True, preexec_fn=lambda: handle_by_default(ignored),
        )  # fmt: skip
        assert any(line in each for each in process.stderr), process.wait()
        return process

    return start


def list_processes(group: int) -> list[str]:
    """Return what is left of a group after ten seconds, other than the dead."""
    for _ in range(100):
        command = ["ps", "-eo", "pgid,stat,args"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
        left = [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]
        if not left:
            break
        time.sleep(0.1)
    return left


def resume(message: str) -> None:
    """Run the command that a message ends with."""
    again = [*COMMAND, *message.rpartition("mnistcli ")[2].split(), "--no-fail", "-q"]
    subprocess.run(again, check=True, capture_output=True, timeout=200, env=ENVIRONMENT)


@pytest.mark.parametrize(("name", "code", "word"), ENDINGS)
def test_a_signal_saves_and_says_how_to_resume(
    name: str, code: int, word: str, long_command: list[str], tmp_path: Path, begin: Callable
) -> None:
    process = begin(long_command, "epoch 3/")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=30)
    assert process.returncode == code == ExitCode(code)
    assert out == ""
    last = err.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert last == f"mnistcli: {word}; resume with: mnistcli train --resume {folder}"
    resume(last)
    unbroken = [part.replace(str(tmp_path / "runs"), str(tmp_path / "a")) for part in long_command]
    subprocess.run([*unbroken, "-q"], check=True, capture_output=True, timeout=120, env=ENVIRONMENT)
    (other,) = (tmp_path / "a").iterdir()
    assert what_is_left(folder) == what_is_left(other)


@pytest.mark.parametrize(
    ("ending", "to_all"),
    [(0, True), (1, False), (2, True), (2, False), (3, True), (3, False)],
)
def test_several_runs_stop_and_resume(
    ending: int, to_all: bool, long_command: list[str], tmp_path: Path, begin: Callable
) -> None:
    name, code, word = ENDINGS[ending]
    process = begin([*long_command, "--seeds", "0-3", "--jobs", "2"], "run 1/4")
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    last = err.splitlines()[-1]
    assert last == f"mnistcli: {word}; resume with: mnistcli train --resume {batch}"
    assert "Traceback" not in err
    assert not list_processes(process.pid)
    for folder in tmp_path.glob("runs/*/"):
        if (folder / "state.safetensors").exists():
            assert load_state(folder)
    again = [*COMMAND, "train", "--resume", str(batch), "--json", "--jobs", "2", "--no-fail"]
    done = subprocess.run(
        again, capture_output=True, text=True, timeout=200, env=ENVIRONMENT, check=True
    )
    assert [run["seed"] for run in json.loads(done.stdout)["runs"]] == [0, 1, 2, 3]


@pytest.mark.parametrize(("ending", "to_all"), [(1, False), (2, True), (3, True)])
def test_a_study_stops(
    ending: int, to_all: bool, tiny_data: Path, tiny_preset: Path, tmp_path: Path, begin: Callable
) -> None:
    name, code, word = ENDINGS[ending]
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "--set", "train.epochs=40")
    study = ("coreset", tiny_preset, "--compare", "--methods", "random", "--sizes", 100)
    command = map(str, (*COMMAND, *study, "--seeds", "0-5", "--jobs", 2, *options))
    process = begin([*command], "run 1/")
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == f"mnistcli: {word}"
    assert "Traceback" not in err
    assert not list_processes(process.pid)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_signal_that_the_parent_ignores_stays_ignored(
    name: str, long_command: list[str], tmp_path: Path, begin: Callable
) -> None:
    """As SIGHUP under `nohup`, and SIGINT of a script's background jobs."""
    number = getattr(signal, name)
    process = begin(long_command, "epoch 3/", ignored=number)
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.1)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(list(tmp_path.glob("runs/*/record.json"))) == 1


def test_nohup_lets_the_processes_of_several_runs_finish(
    long_command: list[str], tmp_path: Path, begin: Callable
) -> None:
    process = begin(["nohup", *long_command, "--seeds", "0-3", "--jobs", "2"], "run 1/4")
    os.killpg(process.pid, signal.SIGHUP)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(list(tmp_path.glob("runs/*/record.json"))) == 4


def test_another_signal_still_stops_what_ignores_one(
    long_command: list[str], begin: Callable
) -> None:
    process = begin(long_command, "epoch 3/", ignored=signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1].startswith("mnistcli: terminated; resume with")


@pytest.mark.parametrize("several", [False, True])
def test_a_closed_terminal_saves(several: bool, long_command: list[str], tmp_path: Path) -> None:
    """As a closed ssh session: SIGHUP comes, and nothing can be printed any more."""
    command = [*long_command, *(["--seeds", "0-3", "--jobs", "2"] if several else [])]
    import pty

    child, master = pty.fork()
    if not child:
        handle_by_default()
        os.execvpe(command[0], command, ENVIRONMENT | {"TERM": "xterm"})
    shown = b""
    while not re.search(rb"[2-9]\d?/40", shown):
        shown += os.read(master, 65_536)
    os.close(master)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == ExitCode.HUNG_UP
    assert not list_processes(child)
    pattern = "*.batch.json" if several else "*/state.safetensors"
    (kept,) = tmp_path.glob(f"runs/{pattern}")
    resume(f"mnistcli train --resume {kept if several else kept.parent}")
    assert len(list(tmp_path.glob("runs/*/record.json"))) == (4 if several else 1)


def test_the_second_ctrl_c_does_not_wait_and_the_cursor_comes_back(
    long_command: list[str],
) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        long_command, stdin=slave, stdout=slave, stderr=slave,
        env=ENVIRONMENT | {"TERM": "xterm"}, start_new_session=True, preexec_fn=handle_by_default,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while not re.search(rb"epoch [1-9]\d*/40", shown):
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


def test_a_key_that_is_held_down_gives_one_line(long_command: list[str], begin: Callable) -> None:
    """Ctrl-C repeats while the program is ending."""
    process = begin(long_command, "epoch 3/")
    for _ in range(5_000):
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert sum(line.startswith("mnistcli: interrupted") for line in err.splitlines()) == 1
    assert "Traceback" not in err.partition("Exception ignored")[0]
