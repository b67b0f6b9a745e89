"""Limits on real processes: nothing that a command starts survives it."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from mnistcli.experiment.grading.limits import Commands, Ending
from mnistcli.experiment.grading.supervise import LIMITS_MEMORY, STDERR_LIMIT, STDOUT_LIMIT
from tests.conftest import posix_only
from tests.experiment.grading.processes import list_marked, make_environment, wait_for_none

needs_linux = pytest.mark.skipif(not LIMITS_MEMORY, reason="memory is limited on Linux only")
MEBIBYTE = 1 << 20
SLEEP = "import time; time.sleep(600)"
ESCAPES = {
    "a child": "subprocess.Popen(['sleep', '600'])",
    "a child in a session of its own": "subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "an orphan": "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(600)",
    "a child without environment": "subprocess.Popen(['sleep', '600'], env={}, process_group=0)",
}


@pytest.fixture
def mark() -> str:
    return uuid4().hex


@pytest.fixture
def run(tmp_path: Path, mark: str) -> Callable[..., Ending]:
    def start(code: str, seconds: float = 60, memory: int = 1 << 40) -> Ending:
        command = [sys.executable, "-S", "-c", code]
        return Commands().run(command, make_environment(mark), tmp_path, seconds, memory)

    return start


def test_a_command_ends_by_itself(run: Callable) -> None:
    ending = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert ending == Ending("exited", 3, "out\n", "err\n")


def test_it_has_no_stdin_and_runs_in_its_folder(run: Callable, tmp_path: Path) -> None:
    ending = run("import os, sys; print(os.getcwd(), repr(sys.stdin.read()))")
    assert ending.stdout == f"{tmp_path} ''\n"


@posix_only
def test_a_signal_is_told_by_its_number(run: Callable) -> None:
    assert run("import os; os.abort()").code == -signal.SIGABRT


def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    ending = Commands().run(["nonesuch"], {}, tmp_path, 60, 1 << 40)
    assert (ending.why, ending.code) == ("exited", 127)
    assert "nonesuch" in ending.stderr


def test_time_is_limited(run: Callable) -> None:
    began = time.monotonic()
    assert run("while True: pass", seconds=0.3).why == "timeout"
    assert time.monotonic() - began < 10


@needs_linux
def test_memory_is_limited(run: Callable, mark: str) -> None:
    code = f"import time; kept = b'x' * (200 * {MEBIBYTE}); time.sleep(600)"
    assert run(code, memory=100 * MEBIBYTE).why == "memory"
    assert not list_marked(mark)


@needs_linux
def test_the_memory_of_several_processes_counts_together(run: Callable, mark: str) -> None:
    code = (
        "import os, time\nfor _ in range(4):\n  if os.fork() == 0:\n"
        f"    kept = b'x' * (60 * {MEBIBYTE}); time.sleep(600)\ntime.sleep(600)"
    )
    assert run(code, memory=180 * MEBIBYTE).why == "memory"
    assert not list_marked(mark)


@needs_linux
def test_memory_below_the_limit_is_no_fault(run: Callable) -> None:
    code = f"import time; kept = b'x' * (60 * {MEBIBYTE}); time.sleep(0.5); print('fine')"
    assert run(code, memory=180 * MEBIBYTE).stdout == "fine\n"


@needs_linux
@pytest.mark.parametrize("kind", ESCAPES)
def test_no_process_survives(run: Callable, kind: str, mark: str) -> None:
    before = _count_sleepers()
    assert run(f"import os, subprocess, time\n{ESCAPES[kind]}\ntime.sleep(0.3)").code == 0
    assert not list_marked(mark)
    assert _count_sleepers() == before


def _count_sleepers() -> int:
    command = ["ps", "-eo", "args"]
    return subprocess.run(command, capture_output=True, text=True).stdout.count("sleep 600\n")


def test_only_the_last_of_much_output_is_kept(run: Callable) -> None:
    code = (
        "import sys\nfor _ in range(20):\n"
        "  sys.stdout.write('o' * 1_000_000); sys.stderr.write('e' * 1_000_000)\n"
        "print('last'); print('last', file=sys.stderr)"
    )
    ending = run(code)
    assert (len(ending.stdout), len(ending.stderr)) == (STDOUT_LIMIT, STDERR_LIMIT)
    assert ending.stdout.endswith("last\n")
    assert ending.stderr.endswith("last\n")


@posix_only
def test_a_command_that_kills_its_supervisor_is_lost_and_killed(run: Callable, mark: str) -> None:
    assert run(f"import os; os.kill(os.getppid(), 9); {SLEEP}").why == "lost"
    if LIMITS_MEMORY:
        assert not wait_for_none(mark)


@needs_linux
def test_commands_are_stopped_at_once(tmp_path: Path, mark: str) -> None:
    commands, endings = Commands(), []

    def start() -> None:
        command = [sys.executable, "-S", "-c", SLEEP]
        endings.append(commands.run(command, make_environment(mark), tmp_path, 600, 1 << 40))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(list_marked(mark)) < 2:
        time.sleep(0.05)
    commands.stop()
    for thread in threads:
        thread.join(10)
    assert [ending.why for ending in endings] == ["stopped", "stopped"]
    assert not list_marked(mark)
    assert commands.run(["true"], {}, tmp_path, 60, 1 << 40).why == "lost", "none starts any more"


@needs_linux
def test_nothing_survives_the_death_of_the_process_that_asked(mark: str) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from mnistcli.experiment.grading.limits import Commands\n"
        f"command = [sys.executable, '-S', '-c', {SLEEP!r}]\n"
        "Commands().run(command, dict(os.environ), Path(), 600, 1 << 40)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=make_environment(mark)) as process:
        while len(list_marked(mark)) < 3 and process.poll() is None:
            time.sleep(0.05)
        assert len(list_marked(mark)) == 3, "it, its supervisor, and the command"
        process.kill()
    assert not wait_for_none(mark)
