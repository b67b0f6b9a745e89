"""File names that are not UTF-8: refused before anything starts, whichever option has them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.errors import UsageError, require_text
from tests.conftest import posix_only

BAD = os.fsdecode(b"l\xe4ufe")
"""A name in Latin-1, as old archives have it."""
COMMANDS = [
    ("train", "--data", BAD), ("train", "--out", BAD), ("train", "--out", f"fine/{BAD}/fine"),
    ("train", "--coreset", f"{BAD}.npz"), ("train", f"{BAD}.toml"), ("train", "--resume", BAD),
    ("train", "--resume", f"{BAD}/x.batch.json"), ("train", "--from", BAD),
    ("train", "--seeds", "0-1", "--out", BAD), ("train", "--set", f"title={BAD}"),
    ("coreset", "--size", "10", "--out", BAD), ("coreset", "--size", "10", "--sheet", BAD),
    ("coreset", "--compare", "--data", BAD), ("curriculum", f"{BAD}.toml"), ("summary", BAD),
    ("evaluate", BAD), ("evaluate", "x", "--images", f"{BAD}.png"), ("evaluate", "x", BAD),
    ("evaluate", "x", "--sheet", BAD), ("report", BAD), ("report", "x", "--out", BAD),
    ("report", "x", "--badge", BAD), ("train", "--junit", BAD), ("train", "--budget", BAD),
    ("compare", "sprint", BAD), ("presets", "show", BAD), ("presets", "copy", "sprint", BAD),
    ("guide", BAD), ("data", "show", "--data", BAD), ("data", "show", "--sheet", BAD), (BAD,),
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0] if words else "")
def test_a_name_that_is_no_text_is_refused_before_anything_starts(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith('mnistcli: a name is not UTF-8 text: "')
    assert "l\\xe4ufe" in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["MNISTCLI_OUT", "MNISTCLI_DATA", "MNISTCLI_CACHE"])
def test_so_is_one_in_a_variable(
    cli: Callable, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, BAD)
    assert cli("train").code == 2


@settings(max_examples=200)
@given(st.binary(max_size=20))
def test_exactly_what_a_document_can_hold_is_text(content: bytes) -> None:
    name = content.decode(errors="surrogateescape")
    try:
        content.decode()
    except UnicodeDecodeError:
        with pytest.raises(UsageError) as caught:
            require_text(name)
        str(caught.value).encode()
    else:
        assert require_text(name) == name


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of such a name, where the file system allows one."""
    folder = tmp_path / BAD
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system has only UTF-8 names")
    return folder


@posix_only
def test_it_is_so_for_a_real_command_line(odd: Path) -> None:
    command = [os.fsencode(word) for word in (sys.executable, "-m", "mnistcli", "train", "--out")]
    done = subprocess.run([*command, os.fsencode(odd)], capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert rb"l\xe4ufe" in done.stderr
    assert list(odd.iterdir()) == []


@pytest.mark.slow
def test_in_a_folder_of_such_a_name_only_relative_data_is_refused(
    cli: Callable, odd: Path, tiny_preset: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(odd)
    shutil.copytree(tiny_data, "data")
    for more in ((), ("--seeds", "0-1", "--jobs", 1)):
        answer = cli("train", tiny_preset, "--data", "data", *more)
        assert (answer.code, answer.out) == (2, "")
        assert "l\\xe4ufe/data" in answer.err
        assert not Path("runs").exists()
    trained = cli("train", tiny_preset, "--data", tiny_data, "--json", "-q")
    run = json.loads(trained.out)["path"]
    for command in (("evaluate", run), ("report", run), ("compare", run), ("train", "--from", run)):
        answer = cli(*command, *(["-q"] if command[0] == "train" else ["--json"]))
        assert answer.code == 0, answer.err


@pytest.mark.slow
def test_a_run_folder_of_such_a_name_does_not_hide_the_others(
    cli: Callable, odd: Path, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    for seed in range(2):
        cli("train", tiny_preset, "--data", tiny_data, "--out", runs, "--seed", seed, "-q")
    first, second = sorted(runs.iterdir())
    first.rename(runs / odd.name)
    for command in ("evaluate", "compare", "report"):
        options = ("--out", tmp_path / "x.html") if command == "report" else ()
        answer = cli(command, runs, "--json", *options)
        assert answer.code == 4
        assert answer.err.count("\n") == 1
        assert "l\\xe4ufe" in answer.err
        assert second.name in answer.out
