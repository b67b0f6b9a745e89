"""A folder of 500 runs: what reads all of them is done within seconds."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUNS = 500
MAX_SECONDS = 5.0
"""Of the processor, beyond the import of PyTorch."""
ATTEMPTS = 3
"""A core that is shared with others takes up to twice as long."""


@pytest.fixture(scope="module")
def many_runs(tiny_preset: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of run folders that differ in their seed."""
    folder = tmp_path_factory.mktemp("many")
    options = ("--data", tiny_data, "--out", folder, "--json", "-q", "--no-fail")
    first = json.loads(measure("train", tiny_preset, *options)[1])
    path = Path(first["path"])
    record = json.loads((path / "record.json").read_text())
    for seed in range(1, RUNS):
        name = f"{record['run_id']}-{seed}"
        shutil.copytree(path, folder / name)
        # Runs with equal weights would be one.
        differences = {"seed": seed, "run_id": name, "weights_sha256": f"{seed:064x}"}
        changed = record | differences | {"path": str(folder / name)}
        (folder / name / "record.json").write_text(json.dumps(changed))
    return folder


def measure(*arguments: object) -> tuple[float, str]:
    """Run a command in a process of its own; return its processor time and what it printed."""
    command = [sys.executable, "-m", "mnistcli", *map(str, arguments)]
    before = os.times()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = os.times()
    seconds = after.children_user + after.children_system
    return seconds - before.children_user - before.children_system, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("compare", "--json"), ("runs", "list", "--json"), ("report", "--out", "report.html")],
    ids=lambda arguments: arguments[0],
)
def test_500_runs_are_read_within_seconds(
    many_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(ATTEMPTS):
        imports, _ = measure("summary", "sprint", "--json")
        seconds, printed = measure(*arguments, many_runs)
        if seconds - imports < MAX_SECONDS:
            break
    else:
        pytest.fail(f"{seconds:.1f} s, {imports:.1f} s of them for the import")
    if arguments[0] == "report":
        printed = Path("report.html").read_text()
    assert f"{RUNS - 1}" in printed


@pytest.mark.slow
def test_a_report_of_many_runs_has_their_tables_alone(
    cli: Callable, tiny_preset: Path, tiny_data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mnistcli.cli.report.MAX_DETAILED", 1)
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "-q", "--no-fail")
    for seed in range(2):
        cli("train", tiny_preset, "--seed", seed, *options)
    answer = cli("report", tmp_path / "runs", "--out", tmp_path / "report.html", "--json")
    assert answer.code == 0, answer.err
    assert len(json.loads(answer.out)["runs"]) == 2
    page = (tmp_path / "report.html").read_text()
    assert "Side by side" in page
    assert "reports of fewer runs" in page
    assert "<svg" not in page
    assert 'href="#run' not in page
    monkeypatch.undo()
    cli("report", tmp_path / "runs", "--data", tiny_data, "--out", tmp_path / "report.html")
    assert "<svg" in (tmp_path / "report.html").read_text()
