"""A home folder that cannot be written: batch systems, containers, service accounts."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import posix_only

FOLDERS = ("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MNISTCLI_CACHE", "TMPDIR")


@posix_only
@pytest.mark.slow
def test_no_library_complains(tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()  # below a file nobody can write, not even root
    missing = dict.fromkeys(FOLDERS, str(home / "of" / "nobody"))
    train = ["train", tiny_preset, "--data", tiny_data, "--out", "r"]
    select = ["coreset", tiny_preset, "--data", tiny_data, "--out", "c", "-n", "50"]
    for arguments in (
        [*train, "-q"],
        [*train, "-q", "--seeds", "1-2", "--jobs", "2"],
        ["evaluate", "r", "--data", tiny_data, "--sheet", "s.png"],
        ["report", "r", "--data", tiny_data, "--out", "r.html"],
        [*select, "-q", "--method", "entropy", "--sheet", "e.png"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mnistcli", *map(str, arguments)], capture_output=True,
            text=True, cwd=tmp_path, env={**os.environ, **missing}, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_a_system_error_that_nobody_expected_is_one_line(
    cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("mnistcli.preset.networks.load_network", refuse)
    answer = cli("summary", "sprint")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == 'mnistcli: cannot read or write "/tmp/x": No space left on device\n'
