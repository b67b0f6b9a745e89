"""What every command keeps to: exit codes, one line of error, stdout and stderr."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from mnistcli import __version__
from mnistcli.cli.app import app
from tests.conftest import posix_only

COMMAND = [sys.executable, "-m", "mnistcli"]
LONG = "x" * 300
# Other systems have other limits, and other words for them.
POSIX_MISTAKES = [
    (["train", "--out", "/dev/null/x"], 4, "/dev/null/x"),
    (["presets", "copy", "sprint", "/nowhere/x.toml"], 4, "/nowhere/x.toml"),
    (["presets", "copy", "sprint", f"{LONG}.toml"], 4, "File name too long"),
    (["presets", "copy", "sprint", f"{LONG}/x.toml"], 4, "File name too long"),
    (["presets", "copy", f"{LONG}.toml", "x.toml"], 2, "File name too long"),
    (["train", "--data", LONG], 4, "File name too long"),
    (["train", f"{LONG}.toml"], 2, "File name too long"),
    (["train", "--out", LONG], 4, "File name too long"),
    (["train", "--coreset", LONG], 4, "File name too long"),
    (["train", "--from", LONG], 4, LONG),
]


def test_version_and_help(cli: Callable) -> None:
    assert cli("--version").out == f"mnistcli {__version__}\n"
    for command in ("summary", "train", "coreset", "evaluate", "presets"):
        answer = cli(command, "--help")
        assert answer.code == 0
        assert "Usage" in answer.out


def test_alone_it_names_three_commands_to_try_and_then_its_help(cli: Callable) -> None:
    answer = cli()
    assert answer.code == 0
    first, *tries = answer.out.splitlines()[:4]
    assert first == "Try:"
    commands = [line.strip().split("  ")[0] for line in tries]
    assert commands == ["mnistcli train", "mnistcli summary sprint", "mnistcli guide"]
    assert cli("--help").out.strip() in answer.out
    for command in commands:
        assert cli(*command.split()[1:], "--help").code == 0


def test_every_help_text_is_a_sentence_and_fits_on_a_line() -> None:
    root = typer.main.get_command(app)
    groups = [root, *(root.commands[name] for name in ("presets", "runs", "data"))]
    commands = [command for group in groups for command in group.commands.values()]
    for command in commands:
        first = command.help.splitlines()[0]
        assert len(first) <= 67, first
        assert first.endswith("."), first
        for parameter in command.params:
            text = parameter.help
            assert text, (command.name, parameter.name)
            assert len(text) <= 50, (command.name, text)
            assert text[0].isupper(), text
            assert text.endswith("."), text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "sprnt"], 2, 'Did you mean "sprint"'),
        (["train", "--set", "train.epohcs=1"], 2, "train.epohcs"),
        (["train", "--set", "train.epochs=-1"], 2, "train.epochs"),
        (["train", "--set", "model.layers.0.kernel_size='x'"], 2, "model.layers.0.kernel_size"),
        (["train", "--set", "model.layers.0.stride=99"], 2, "model.layers.1: max_pool"),
        (["train", "--data", "tests/cli"], 4, "no data set"),
        (["train", "--device", "gpu"], 2, "): 'gpu' is not one of"),
        (["train", "--seed", "-1"], 2, "--seed"),
        (["train", "--threads", "0"], 2, "--threads"),
        (["train", "--set", "train.validation_examples=59990", "--data", "TINY"], 2, "600"),
        (["train", "sevenconv", "--set", "train.batch_size=599", "--data", "TINY"], 2, "leave one"),
        (["train", "--nope"], 2, "--nope"),
        (["nope"], 2, "nope"),
        (["summary"], 2, "NETWORK"),
        (["summary", "[/bold]\x1b[31m"], 2, "[/bold]"),
        (["summary", "x" * 5_000], 2, "unknown preset"),
        (["evaluate", "nowhere"], 4, "nowhere"),
        (["presets", "validate", "missing.toml"], 2, "missing.toml"),
        *(pytest.param(*case, marks=posix_only) for case in POSIX_MISTAKES),
    ],
)
def test_a_mistake_is_one_line_and_the_right_code(
    cli: Callable, tiny_data: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    arguments = [str(tiny_data) if word == "TINY" else word for word in arguments]
    if arguments[0] == "train" and "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "runs")]
    answer = cli(*arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert answer.err.startswith("mnistcli: ")
    assert answer.err.count("\n") == 1
    assert answer.err[:-1].isprintable()
    assert words in answer.err
    assert not (tmp_path / "runs").exists(), "nothing is left by a command that could not start"


def test_data_that_may_not_be_looked_at_is_said(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mnistcli.datasets.find.list_folder", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    answer = cli("train", "--data", tmp_path, "--out", tmp_path / "runs")
    assert answer.code == 4
    path = tmp_path
    assert answer.err == f'mnistcli: cannot read "{path}": Permission denied\n'


def test_a_fault_of_the_program_is_one_line_too(
    cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnistcli.preset.networks.load_network", lambda *_, **__: 1 / 0)
    answer = cli("summary", "sprint")
    assert answer.code == 1
    assert answer.err == (
        "mnistcli: internal fault, please report it: ZeroDivisionError: division by zero\n"
    )


def test_a_traceback_quotes_nothing_that_a_terminal_would_obey(cli: Callable) -> None:
    answer = cli("summary", "x\x1b[31m\u202e", "--traceback")
    assert answer.code == 2
    first, *_, last = answer.err.splitlines()
    assert first.startswith("Traceback ")
    assert last.startswith('mnistcli: unknown preset: "x [31m "')
    assert all(line.isprintable() for line in answer.err.splitlines())


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("arguments", [["summary", "sprint"], ["presets", "schema"]])
def test_a_reader_that_leaves_is_no_error(arguments: list[str]) -> None:
    command = " ".join([*COMMAND, *arguments])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -c 1"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "presets", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 4
    assert done.stderr == "mnistcli: cannot write to stdout: No space left on device\n"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_json_is_strict_and_stderr_plain(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    done = run(
        "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
        FORCE_COLOR="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(done.stdout, parse_constant=refuse)["schema"] == "mnistcli.run/2"
    lines = done.stderr.splitlines()
    assert lines[0] == "tiny · 4,154 parameters · 600 images · 2 epochs · seed 0"
    assert lines[1].startswith("on cpu in ")
    assert [line.split("  ")[0] for line in lines[2:]] == ["epoch 1/2", "epoch 2/2"]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"NO_COLOR": "1"}, marks=pytest.mark.slow),
        pytest.param({"TERM": "dumb"}, marks=pytest.mark.slow),
        {"COLUMNS": "80"},
    ],
)
def test_tables_fit_80_columns_without_control_bytes(environment: dict[str, str]) -> None:
    for command in (("summary", "journey-v2"), ("presets", "list"), ("--help",)):
        done = run(*command, **environment)
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "\x1b" not in done.stdout


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_so(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "train", "sprint", "--out", str(tmp_path)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1].startswith("mnistcli: ")


def test_an_output_that_cannot_show_every_character_is_no_fault() -> None:
    done = run("presets", "list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "sprint" in done.stdout


@posix_only
def test_completion_is_offered_for_the_shell(tmp_path: Path) -> None:
    done = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "mnistcli" in done.stdout
    words = run(_MNISTCLI_COMPLETE="complete_bash", COMP_WORDS="mnistcli train spr", COMP_CWORD="2")
    assert words.stdout.split() == ["sprint", "sprint-coreset", "sprint-curriculum"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("train", "--seed", 1, "--seeds", "0-3"), "--seeds cannot be combined with --seed"),
        (("train", "--dry-run", "--seeds", "0-3"), "--dry-run cannot be combined with --seeds"),
        (("train", "--dry-run", "--profile"), "--dry-run cannot be combined with --profile"),
        (
            ("coreset", "--compare", "--method", "el2n"),
            "--compare cannot be combined with --method",
        ),
        (("coreset", "--compare", "--seed", 3), "--compare cannot be combined with --seed"),
        (
            ("compare", "sprint", "--fail-on", "worse"),
            "--fail-on needs two groups: got only sprint",
        ),
    ],
)
def test_options_without_effect_are_refused(cli: Callable, line: tuple, words: str) -> None:
    answer = cli(*line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mnistcli: {words}")
    assert answer.err.count("\n") == 1
