"""How the process ends: at once, and nothing that was to happen before is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code.sources import network

BEGIN = """
import atexit, sys, threading, time
from mnistcli.process import ending_at_once
class Undone:
    def __del__(self): print("taken apart")
kept = Undone()
def work():
    time.sleep(0.1)
    print("thread")
with ending_at_once():
    atexit.register(print, "atexit")
    threading.Thread(target=work).start()
    sys.stdout.write("said ")
"""


@pytest.mark.parametrize(
    ("ending", "code", "fast"),
    [
        ("sys.exit(0)", 0, True),
        ("sys.exit(3)", 3, True),
        ("sys.exit('in words')", 1, False),
        ("raise ValueError", 1, False),
        ("pass", 0, False),
    ],
)
def test_threads_functions_and_output_come_before_the_end(
    ending: str, code: int, fast: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}    {ending}\n"], capture_output=True, text=True
    )
    assert done.returncode == code
    lines = done.stdout.splitlines()
    if fast:  # what comes after the exit would stand beside a JSON document
        assert lines == ["said "]
        assert done.stderr.splitlines() == ["thread", "atexit"]
    else:
        assert lines[:2] == ["said thread", "atexit"]
        assert "taken apart" in lines


def test_what_code_prints_at_exit_is_not_beside_the_json(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(network("import atexit; atexit.register(print, 'bye')"))
    command = [sys.executable, "-m", "mnistcli", "summary", "net.py:Net", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(done.stdout)["parameters"] == 7_850
    assert done.stderr.endswith("bye\n")


def test_output_that_cannot_be_written_is_no_success() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"{BEGIN}    sys.exit(0)\n"],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode != 0
