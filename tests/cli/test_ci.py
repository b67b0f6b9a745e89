"""What CI jobs read: Markdown, JUnit XML, a badge, and the workflow of the guide."""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mnistcli.cli.guide import read_guide
from mnistcli.experiment.training import run as single_run
from tests.conftest import posix_only
from tests.display.test_junit import parse
from tests.display.test_markdown import check_is_harmless

WEAK = ("--set", "train.schedule.max_learning_rate=1e-6")
UNFINISHED = "the training did not finish"


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object) -> object:
        common = ("--data", tiny_data, "--out", tmp_path / "runs")
        return cli("train", tiny_preset, *common, *options)

    return run


def test_markdown_is_all_of_stdout(train: Callable) -> None:
    answer = train("--format", "markdown")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "## PASS: `tiny`, seed 0"
    assert "| parameters | 4,154 | < 5,000 | PASS |" in lines
    assert lines[-2].startswith("mnistcli train --from ")
    check_is_harmless(answer.out)
    assert answer.err.startswith("tiny · 4,154 parameters")


def test_the_command_in_it_repeats_the_run(train: Callable, cli: Callable) -> None:
    command = re.findall(r"```sh\nmnistcli (.*)\n```", train("--format", "markdown").out)[0]
    answer = cli(*shlex.split(command), "--json", "--quiet")
    assert json.loads(answer.out)["repeats"]["matches"] is True


def test_several_seeds_and_a_resumed_batch_are_markdown_too(
    train: Callable, cli: Callable, tmp_path: Path
) -> None:
    options = ("--format", "markdown", "--junit", tmp_path / "checks.xml")
    answer = train("--seeds", "0-1", "--jobs", 1, *options)
    assert answer.code == 0
    assert answer.out.startswith("## PASS: `tiny`, mean of 2 seeds\n")
    (batch,) = (tmp_path / "runs").glob("*.batch.json")
    (tmp_path / "checks.xml").rename(tmp_path / "first.xml")
    again = cli("train", "--resume", batch, "--jobs", 1, *options)
    assert again.out == answer.out
    assert (tmp_path / "checks.xml").read_bytes() == (tmp_path / "first.xml").read_bytes()
    parse((tmp_path / "checks.xml").read_bytes())
    run = next((tmp_path / "runs").glob("tiny-*-s0*/record.json")).parent
    assert cli("train", "--resume", run, *options).out.startswith("## PASS: `tiny`, seed 0\n")
    assert parse((tmp_path / "checks.xml").read_bytes()).get("name") == "tiny"


def test_a_summary_is_markdown_before_any_training(cli: Callable) -> None:
    answer = cli("summary", "sprint", "--budget", "parameters<19514", "--format", "markdown")
    assert answer.code == 3
    assert "| parameters | 19,514 | < 19,514 | FAIL |" in answer.out.splitlines()
    check_is_harmless(answer.out)


@pytest.mark.parametrize("command", [("summary", "sprint"), ("train",)])
def test_one_format_at_a_time(cli: Callable, command: tuple) -> None:
    answer = cli(*command, "--json", "--format", "markdown")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnistcli: --json cannot be combined with --format markdown\n"


@pytest.mark.parametrize("option", [("--format", "markdown"), ("--junit", "x.xml")])
def test_a_dry_run_has_no_result_to_write(cli: Callable, option: tuple) -> None:
    answer = cli("train", "--dry-run", *option)
    assert answer.code == 2
    assert answer.err == f"mnistcli: --dry-run cannot be combined with {option[0]}\n"


def test_junit_has_a_case_a_check(train: Callable, tmp_path: Path) -> None:
    file = tmp_path / "checks.xml"
    answer = train("--junit", file, "--budget", "parameters<5000, accuracy>=99.4", *WEAK)
    assert answer.code == 3
    assert "written to" in answer.out, "the table is still printed"
    suite = parse(file.read_bytes())
    good, bad = suite.findall("testcase")
    assert (good.get("name"), bad.get("name")) == ("parameters < 5,000", "test accuracy ≥ 99.40 %")
    assert list(good) == []
    assert bad[0].tag == "failure"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "checks.xml"}
    assert train("--junit", file, "--no-fail", *WEAK, "--budget", "epochs<1").code == 0
    assert parse(file.read_bytes()).get("failures") == "1"


def test_a_file_that_cannot_be_written_is_refused_before_training(
    train: Callable, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for name, seeds in itertools.product(
        ("no/checks.xml", "folder"), ((), ("--seeds", "0-1", "--jobs", 1))
    ):
        answer = train("--junit", tmp_path / name, *seeds)
        assert (answer.code, answer.out) == (4, "")
        assert answer.err.startswith("mnistcli: cannot write ")
        assert answer.err.count("\n") == 1
        assert not (tmp_path / "runs").exists()


def diverge(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Let the training from one seed end with outputs that are not finite."""

    def train_or_diverge(state: object, examples: object, course: object, recipe, *rest) -> None:
        original(state, examples, course, recipe, *rest)
        if recipe.seed == seed:
            raise FloatingPointError("the outputs are not finite")

    original = single_run.train
    monkeypatch.setattr(single_run, "train", train_or_diverge)


def test_a_training_that_ends_with_an_error_leaves_no_older_report(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checks.xml"
    assert train("--junit", file).code == 0
    assert parse(file.read_bytes()).get("errors") == "0"

    diverge(monkeypatch, 0)
    assert train("--junit", file).code == 5
    (error,) = parse(file.read_bytes()).iter("error")
    assert (error.text or "").startswith(UNFINISHED)


def test_a_run_that_diverges_is_an_error_beside_the_others(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge(monkeypatch, 1)
    file = tmp_path / "checks.xml"
    assert train("--junit", file, "--seeds", "0-2", "--jobs", 1).code == 5
    (error,) = parse(file.read_bytes()).iter("error")
    assert "not finite" in (error.text or "")


@posix_only
def test_junit_can_go_to_a_pipe(train: Callable, tmp_path: Path) -> None:
    """Once, at the end: who reads it expects one document."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(pipe.read_bytes)
        assert train("--junit", pipe).code == 0
        assert parse(reading.result(timeout=60)).get("name") == "tiny"


def test_a_badge_is_drawn_from_the_record_alone(
    train: Callable, cli: Callable, tmp_path: Path
) -> None:
    run = Path(json.loads(train("--json").out)["path"])
    (run / "weights.safetensors").unlink()
    file = tmp_path / "badge.svg"
    answer = cli("report", run, "--badge", file)
    assert (answer.code, answer.out) == (0, f"{file}\n")
    root = ElementTree.parse(file).getroot()
    assert "% · 4,154 parameters · PASS" in (root.get("aria-label") or "")
    assert not (run / "report.html").exists()
    document = json.loads(cli("report", run, "--badge", file, "--json").out)
    assert document["bytes"] == file.stat().st_size
    assert document["runs"] == [run.name]


def test_a_badge_is_of_one_run(train: Callable, cli: Callable, tmp_path: Path) -> None:
    runs = [json.loads(train("--seed", seed, "--json").out)["path"] for seed in range(2)]
    answer = cli("report", *runs, "--badge", tmp_path / "x.svg")
    assert answer.code == 2
    assert answer.err == ("mnistcli: --badge takes a single run: got 2. Name one of them.\n")
    for option in (("--csv",), ("--out", "x.html"), ("--device", "cpu")):
        answer = cli("report", runs[0], "--badge", tmp_path / "x.svg", *option)
        assert answer.err == f"mnistcli: --badge cannot be combined with {option[0]}\n"
    assert cli("report", runs[0], "--badge", tmp_path / "no" / "x.svg").code == 4
    assert cli("report", "nowhere", "--badge", tmp_path / "x.svg").code == 4
    assert not (tmp_path / "x.svg").exists()


def read_workflow() -> dict:
    """Return the workflow of the guide."""
    yaml = pytest.importorskip("yaml")
    (text,) = re.findall(r"```yaml\n(.*?)```", read_guide("scripts"), re.DOTALL)
    return yaml.safe_load(text)


def test_the_workflow_of_the_guide_runs_no_strange_code_with_secrets() -> None:
    workflow = read_workflow()
    events = workflow[True]  # YAML reads "on" so
    assert "pull_request" in events
    assert "pull_request_target" not in events
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in json.dumps(workflow, default=str)


MODEL = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 5, stride=4)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(36 * width, 10)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        return nn.functional.log_softmax(self.head(x.flatten(1)), dim=1)
"""


@posix_only
@pytest.mark.parametrize(
    ("budget", "code"), [("", 0), pytest.param("parameters<3114", 3, marks=pytest.mark.slow)]
)
def test_the_commands_of_the_workflow_do_what_the_guide_says(
    tiny_data: Path, tmp_path: Path, budget: str, code: int
) -> None:
    """With tiny data, and with a tool on the path for the one that pip installs."""
    (job,) = read_workflow()["jobs"].values()
    install, train = [step["run"] for step in job["steps"] if "run" in step]
    assert shlex.split(install)[:2] == ["pip", "install"]
    assert shlex.split(install)[2].startswith("git+https://")
    assert "mnistcli train model.py:Net" in train
    (tmp_path / "model.py").write_text(MODEL)
    command = re.sub(r'--budget "[^"]*"', f'--budget "{budget}"', train) if budget else train
    tool = tmp_path / "bin" / "mnistcli"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mnistcli "$@"\n')
    tool.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tool.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MNISTCLI_DATA": str(tiny_data),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    page = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert page.startswith(f"## {'FAIL' if code else 'PASS'}: `model.Net`, seed 0\n")
    (upload,) = [step["with"]["path"] for step in job["steps"] if "path" in step.get("with", {})]
    suite = parse((tmp_path / upload).read_bytes())
    assert suite.get("failures") == str(int(code == 3))
    assert len(suite.findall("testcase")) == (1 if budget else 3)
