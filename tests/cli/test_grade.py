"""Submissions of every kind, graded in real processes."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from mnistcli.cli.guide import read_guide
from mnistcli.experiment.grading.supervise import LIMITS_MEMORY
from mnistcli.preset.code.trust import allowed_file
from tests.cli.test_cluster import cluster as start_cluster
from tests.conftest import Answer, posix_only
from tests.experiment.grading.processes import list_marked, make_environment, wait_for_none

BUDGET = "parameters<20000, accuracy>=50, epochs<3"
NET = """\
import os, subprocess, sys, time
from torch import nn
{top}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {init}
        self.first = nn.Conv2d(1, {channels}, 5, stride=3)
        self.last = nn.Linear({channels} * 64, {outputs})

    def forward(self, x):
        {forward}
        return self.last(self.first(x).relu().flatten(1))
"""
GOOD = {"top": "", "init": "pass", "forward": "pass", "channels": 4, "outputs": 10}


def write_net(**changes: object) -> str:
    return NET.format(**GOOD | changes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all").mkdir()
    return Path("all")


@pytest.fixture
def grade(cli: Callable, folder: Path, tiny_data: Path) -> Callable[..., Answer]:
    def run(*options: object, budget: str = BUDGET) -> Answer:
        return cli("grade", folder, "--budget", budget, "--data", tiny_data, *options)

    return run


def read_allowed() -> str:
    return allowed_file().read_text() if allowed_file().exists() else ""


def rows_of(answer: Answer) -> dict[str, dict]:
    document = json.loads(answer.out)
    assert document["schema"] == "mnistcli.grades/1"
    return {each["name"]: each for each in document["grades"]}


@pytest.mark.slow
@posix_only
def test_every_submission_has_a_row_and_a_second_time_only_what_changed(
    folder: Path, grade: Callable, cli: Callable, tiny_data: Path, quick_speed: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wrapped = "assert os.environ['WRAPPED'] == 'a b; c'; print('hello')"
    (folder / "ada.py").write_text(write_net(top=wrapped))
    (folder / "large.py").write_text(write_net(channels=40))
    (folder / "empty.py").write_text("")
    before = read_allowed()
    answer = grade("--json", "--jobs", 2, "--wrap", "env 'WRAPPED=a b; c'")
    assert answer.code == 3, answer.err
    rows = rows_of(answer)
    assert {name: each["verdict"] for name, each in rows.items()} == {
        "ada": "pass", "empty": "error", "large": "fail",
    }  # fmt: skip
    assert rows["ada"] | {"parameters": 2_674, "epochs": 2, "reason": ""} == rows["ada"]
    assert rows["large"]["reason"] == "parameters 26,650: the limit is < 20,000"
    first, second, third, *lines = answer.err.splitlines()
    assert first.startswith("no sandbox: submitted code runs with your rights")
    assert second == f"3 submissions · {BUDGET} · recipe starter · seed 0"
    assert "each with 1 thread, 5m and 4GiB" in third
    assert sorted(line.split()[1] for line in lines) == sorted(rows)
    assert Path("grades/grades.json").read_text() == answer.out
    assert read_allowed() == before
    run = Path(rows["ada"]["run"])
    assert json.loads((run / "record.json").read_text())["path"] == str(run)
    monkeypatch.setenv("WRAPPED", "a b; c")
    assert cli("evaluate", run, "--allow-code", "--json").code == 0

    (folder / "empty.py").write_text("def (")
    answer = grade("--no-fail")
    assert answer.code == 0
    assert "2 kept from grades/grades.json: not changed since" in answer.err
    assert answer.err.splitlines()[-1].startswith("3/3  empty  ERROR")
    assert " 3 submissions: 1 pass, 1 fail, 1 error" in answer.out.splitlines()
    assert max(map(len, answer.out.splitlines())) <= 80
    answer = grade("--csv", "--quiet")
    assert (answer.code, answer.err) == (3, "")
    assert [each["name"] for each in csv.DictReader(io.StringIO(answer.out))] == list(rows)
    answer = cli("grade", folder / "ada.py", "--budget", BUDGET, "--data", tiny_data)
    assert (answer.code, answer.out) == (2, "")
    assert "has results of other submissions: empty, large. Name all of them" in answer.err
    answer = grade(budget="parameters<9")
    assert (answer.code, answer.out) == (2, "")
    assert f"has results of other settings: budget {BUDGET}. Choose another --out." in answer.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--csv", "--json"), 2, "--csv cannot be combined with --json"),
        (("--each", "5"), 2, 'invalid --each: "5". Write a number with a unit: 30s, 5m or 1h.'),
        (("--each", "0s"), 2, "invalid --each"),
        (("--each", "9" * 400 + "s"), 2, "invalid --each"),
        (("--memory", "4 KiB"), 2, "invalid --memory"),
        (("--wrap", "a 'b"), 2, "invalid --wrap"),
        (("--wrap", " "), 2, "invalid --wrap: it is empty"),
        (("--wrap", "nonesuch x"), 2, '"nonesuch" is not an installed program'),
        (("--recipe", "sprnt"), 2, 'Did you mean "sprint"?'),
        (("--jobs", "2", "--cluster", "tcp://a:1"), 2, "--jobs"),
        (("--out", "/dev/null/x"), 4, "cannot write results"),
        (("--data", "nowhere"), 4, "nowhere"),
        (("--budget", "x<1"), 2, "at character 1"),
    ],
)
def test_a_mistake_is_one_line(
    grade: Callable, folder: Path, options: tuple, code: int, words: str
) -> None:
    (folder / "ada.py").write_text(write_net())
    answer = grade(*options)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert words in answer.err
    assert answer.err.count("\n") == 1


def test_a_system_that_cannot_limit_memory_says_so(
    grade: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ada.py").write_text("")
    line = "this system cannot limit memory, or find every process of a submission"
    assert (line in grade().err.splitlines()) is not LIMITS_MEMORY
    monkeypatch.setattr("mnistcli.experiment.grading.supervise.LIMITS_MEMORY", False)
    assert line in grade().err.splitlines()


def test_results_that_are_none_are_refused(grade: Callable, folder: Path) -> None:
    (folder / "ada.py").write_text("")
    Path("grades").mkdir()
    Path("grades/grades.json").write_text("{}")
    answer = grade()
    assert answer.code == 4
    assert '"grades/grades.json" is not the results of grade' in answer.err


def heed_signals() -> None:
    """Undo what a shell does to a background process, and nohup: signals that are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.slow
def test_larger_limits_try_again_what_exceeded_them(folder: Path, grade: Callable) -> None:
    (folder / "slow.py").write_text(write_net(top="time.sleep(3)"))
    (folder / "empty.py").write_text("")
    options = ("--json", "--jobs", 2, "--no-fail")
    assert rows_of(grade(*options, "--each", "2s"))["slow"]["verdict"] == "timeout"
    kept = grade(*options, "--each", "1s")
    assert "2 kept" in kept.err
    again = grade(*options, "--each", "2m")
    assert "1 kept" in again.err
    assert rows_of(again)["slow"]["verdict"] == "pass"


@pytest.mark.slow
def test_an_own_recipe_and_a_preset_are_trained_as_they_say(
    folder: Path, grade: Callable, tiny_preset: Path
) -> None:
    (folder / "ada.py").write_text(write_net())
    shutil.copy(tiny_preset, folder / "eve.toml")
    shutil.copy(tiny_preset, "mine.toml")
    answer = grade("--recipe", "./mine.toml", "--json", "--seed", 5)
    rows = rows_of(answer)
    assert [each["verdict"] for each in rows.values()] == ["pass", "pass"], answer.err
    record = json.loads(Path(rows["ada"]["run"], "record.json").read_text())
    assert record["preset"]["title"] == "ada.py:Net, recipe mine"
    assert (record["seed"], record["threads"]) == (5, 1)
    (folder / "copy.py").write_text(write_net(top="x = 1"))
    again = rows_of(grade("--recipe", "mine.toml", "--json", "--seed", 5))
    assert again["copy"]["same_as"] == "ada"
    assert again["eve"]["same_as"] is None


KINDS: dict[str, tuple[str | bytes, str, str]] = {
    "good": (write_net(), "pass", ""),
    "other": (write_net(channels=5), "pass", ""),
    "prints": (write_net(forward="print('x' * 1_000_000)"), "pass", ""),
    "writes": (write_net(top="os.write(1, b'{\\n' * 1_000_000)"), "pass", ""),
    "forks": (
        write_net(top="if os.fork() == 0:\n    os.setsid()\n    time.sleep(3600)"), "pass", "",
    ),
    "starts": (write_net(init="subprocess.Popen(['sleep', '3600'])"), "pass", ""),
    "large": (write_net(channels=40), "fail", "parameters 26,650: the limit is < 20,000"),
    "shape": (write_net(outputs=9), "error", "shape.py:12: Net returns 64×9 instead of 64×10"),
    "syntax": ("def f(:\n", "error", "syntax.py:1: "),
    "raises": (write_net(init="raise ValueError('no')"), "error", "raises.py:8: ValueError: no"),
    "late": (
        write_net(forward="assert not self.training, 'late'"), "error",
        "late.py:13: AssertionError: late",
    ),
    "exits": (write_net(top="sys.exit(0)"), "error", "exits.py:3: it calls sys.exit(0)"),
    "quits": (write_net(top="os._exit(0)"), "error", "it ended early, with exit code 0"),
    "crashes": (write_net(top="os.abort()"), "error", "it was ended by SIGABRT"),
    "asks": (write_net(top="input()"), "error", "asks.py:3: EOFError"),
    "empty": ("", "error", "defines no class"),
    "none": ("x = 1\n", "error", "defines no class"),
    "binary": (bytes(range(256)), "error", "binary.py:1: "),
}  # fmt: skip
SLOW_KINDS: dict[str, tuple[str | bytes, str, str]] = {
    "endless": (write_net(top="while True: pass"), "timeout", "stopped after 60s, while counting"),
    "deaf": (
        write_net(
            top="import signal\nfor each in signal.Signals:\n"
            "    if each not in (9, 19): signal.signal(each, signal.SIG_IGN)",
            forward="\n        while self.training: time.sleep(1)",
        ),
        "timeout", "stopped after 60s, while counting",
    ),
    "hog": (
        write_net(top="kept = [bytearray(os.urandom(1 << 20)) * 64 for _ in range(64)]"),
        "memory", "used more than 1500MiB, while counting",
    ),
    "herd": (
        write_net(
            top="for _ in range(20):\n    if os.fork() == 0:\n"
            "        kept = b'x' * (100 << 20)\n        time.sleep(3600)",
            forward="time.sleep(3600)",
        ),
        "memory", "used more than 1500MiB, while counting",
    ),
}  # fmt: skip


@pytest.mark.skipif(not LIMITS_MEMORY, reason="memory is limited on Linux only")
@pytest.mark.parametrize(
    ("copies", "submissions"),
    [
        pytest.param(1, 24, marks=pytest.mark.slow),
        pytest.param(3, 60, marks=pytest.mark.exhaustive),
    ],
)
def test_all_submissions_have_their_right_rows_and_leave_nothing_running(
    copies: int, submissions: int, folder: Path, tiny_data: Path
) -> None:
    wanted = {}
    for number in range(copies):
        for name, kind in (KINDS if number else KINDS | SLOW_KINDS).items():
            content = kind[0].encode() if isinstance(kind[0], str) else kind[0]
            place = folder / f"{name}{number}" / f"{name}.py" if number == 1 else None
            place = place or folder / f"{name}{number}.py"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
            wanted[f"{name}{number}"] = (kind[1], kind[2].replace(f"{name}.py", place.name))
    (folder / "notes.txt").write_text("x")
    wanted["notes"] = ("error", "is not a .py file")
    (folder / "bare").mkdir()
    wanted["bare"] = ("error", "has no .py file")
    assert len(wanted) == submissions
    mark = uuid4().hex
    command = [
        sys.executable, "-m", "mnistcli", "grade", folder, "--budget", BUDGET, "--data", tiny_data,
        "--each", "60s", "--memory", "1500MiB", "--json",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=make_environment(mark)
    )
    assert not list_marked(mark)
    assert done.returncode == 3, done.stderr
    rows = rows_of(Answer(3, done.stdout, done.stderr))
    assert {name: each["verdict"] for name, each in rows.items()} == {
        name: verdict for name, (verdict, _) in wanted.items()
    }
    for name, (verdict, words) in wanted.items():
        assert words in rows[name]["reason"], name
        assert (rows[name]["run"] is not None) == (verdict == "pass")
    alike = {name for name, each in rows.items() if each["same_as"] == "forks0"}
    last = copies - 1
    assert {"good0", f"good{last}", f"prints{copies // 2}"} <= alike
    assert not {"other0", f"large{copies // 2}", f"empty{last}"} & alike


@pytest.mark.faults
@pytest.mark.skipif(not LIMITS_MEMORY, reason="processes are found on Linux only")
@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGKILL", -9)]
)
def test_a_signal_leaves_nothing_running_and_what_is_done_is_kept(
    folder: Path, tiny_data: Path, grade: Callable, name: str, code: int
) -> None:
    (folder / "ada.py").write_text("")
    (folder / "ben.py").write_text(write_net(top="while True: pass"))
    mark = uuid4().hex
    command = [
        sys.executable, "-m", "mnistcli", "grade", folder, "--budget", BUDGET, "--data", tiny_data,
        "--jobs", "1",
    ]  # fmt: skip
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True,
        env=make_environment(mark) | {"TMPDIR": str(Path("all").absolute().parent)},
        preexec_fn=heed_signals,
    ) as process:  # fmt: skip
        while len(list_marked(mark)) < 3 and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        err = process.stderr.read()
    assert process.returncode == code
    assert not wait_for_none(mark)
    if name != "SIGKILL":
        assert err.splitlines()[-1].endswith("; run the same command again to resume")
    answer = grade("--each", "1s", "--no-fail")
    assert "1 kept" in answer.err
    assert " 2 submissions: 1 error, 1 timeout" in answer.out.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")
def test_the_guides_sandbox_has_no_network_and_nothing_to_write(
    folder: Path, grade: Callable
) -> None:
    ((wrap),) = re.findall(r'"(bwrap .*?)"', read_guide("grading"), re.DOTALL)
    if subprocess.run([*wrap.split(), "true"]).returncode:
        pytest.skip("bubblewrap may not make namespaces here")
    home = Path.home()
    (folder / "good.py").write_text(write_net())
    (folder / "writes.py").write_text(write_net(top=f"open({str(home / 'x')!r}, 'w')"))
    connect = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    (folder / "calls.py").write_text(write_net(top=connect))
    rows = rows_of(grade("--wrap", wrap, "--json"))
    assert rows["good"]["verdict"] == "pass"
    assert "Read-only file system" in rows["writes"]["reason"]
    assert "Network is unreachable" in rows["calls"]["reason"]


cluster = start_cluster


@pytest.fixture
def capabilities() -> tuple[str, str]:
    return ("", "")


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("distributed")
    return request.getfixturevalue("cluster").address


@pytest.mark.slow
def test_a_cluster_gives_the_same_grades(folder: Path, grade: Callable, address: str) -> None:
    (folder / "ada.py").write_text(write_net())
    (folder / "ben.py").write_text(write_net(outputs=9))
    there = rows_of(grade("--cluster", address, "--json"))
    here = rows_of(grade("--json", "--out", "here"))
    assert os.listdir("grades") != []
    for name in ("ada", "ben"):
        for field in ("verdict", "reason", "parameters", "test_accuracy", "sha256"):
            assert there[name][field] == here[name][field]
    weights = [Path(rows["ada"]["run"], "weights.safetensors") for rows in (there, here)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not LIMITS_MEMORY, reason="processes are found on Linux only")
def test_what_is_interrupted_ends_on_the_cluster_too(
    folder: Path, tiny_data: Path, address: str
) -> None:
    for name in ("ada", "ben", "eve"):
        (folder / f"{name}.py").write_text(write_net(top="while True: pass"))
    command = [
        sys.executable, "-m", "mnistcli", "grade", folder, "--budget", BUDGET, "--data", tiny_data,
        "--cluster", address,
    ]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as process:
        while count_children() < 2 and process.poll() is None:
            time.sleep(0.2)
        process.terminate()
    assert process.returncode == 143
    deadline = time.monotonic() + 20
    while count_children() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert count_children() == 0
    time.sleep(3)
    assert count_children() == 0, "the third does not start"


def count_children() -> int:
    command = ["ps", "-eo", "args"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    started = [f"mnistcli summary ./{name}.py" for name in ("ada", "ben", "eve")]
    return sum(each in line for line in lines for each in started)


@posix_only
def test_a_pipe_and_code_that_cannot_be_followed_end_no_grading(
    folder: Path, grade: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(content: bytes, path: Path) -> list[str]:
        raise RecursionError("too deep")

    os.mkfifo(folder / "pipe.toml")
    (folder / "deep.py").write_text(write_net())
    monkeypatch.setattr("mnistcli.preset.code.code.find_networks", fail)
    rows = rows_of(grade("--json", "--no-fail"))
    assert {name: each["verdict"] for name, each in rows.items()} == dict.fromkeys(
        ("pipe", "deep"), "error"
    )
    assert "is not a .py file" in rows["pipe"]["reason"]
    assert "RecursionError" in rows["deep"]["reason"]
