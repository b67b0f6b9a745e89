"""kill -9 and signals at a study: every finished trial is kept, none is lost or run twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Counts, posix_only

pytestmark = [pytest.mark.faults, posix_only]
COMMAND = [sys.executable, "-m", "mnistcli", "study"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
TIMED = {"train_seconds", "seconds_ratio"}


def figures(stdout: str) -> list[dict]:
    document = json.loads(stdout)
    arms = [document["base"], *document["arms"]]
    return [{name: arm[name] for name in arm.keys() - TIMED} for arm in arms]


def wait_for(out: Path, trials: int, process: subprocess.Popen) -> Path:
    """Wait until so many trials are kept; return the folder of the study."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if len(found := list(out.glob("*/trials/[0-9]*.json"))) >= trials:
            return found[0].parent.parent
        assert process.poll() is None, (out.parent / "stderr").read_text()
        time.sleep(0.01)
    raise AssertionError(f"there are not {trials} trials yet")


@pytest.fixture(scope="module")
def options(tiny_data: Path, tiny_preset: Path) -> list[object]:
    return [
        tiny_preset, "--data", tiny_data, "--seeds", "0-3", "--threads", "1",
        "--set", "train.schedule.max_learning_rate=0.0003",
        "--arm", "longer: train.epochs=3", "--arm", "noise: data.label_noise=0.2",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(options: list[object], tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    out = tmp_path_factory.mktemp("unbroken")
    found = figures(run([*COMMAND, *options, "--jobs", "1", "--json", "--out", out]).stdout)
    assert len({accuracy for arm in found for accuracy in arm["accuracies"]}) > 6
    return found


def run(command: list) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=True, env=ENVIRONMENT
    )


KILLS = [("1", [(4, signal.SIGTERM)]), ("2", [(1, signal.SIGKILL), (8, signal.SIGKILL)])]


@pytest.mark.parametrize(("jobs", "kills"), KILLS, ids=["one job", "two jobs"])
def test_a_stopped_study_ends_with_the_same_figures(
    jobs: str, kills: list, options: list, unbroken: list[dict], tmp_path: Path, counts: Counts
) -> None:
    common = ["--jobs", jobs, "--json"]
    now = [*COMMAND, *options, *common, "--out", tmp_path / "runs"]
    kept: dict[Path, bytes] = {}
    for trials, number in kills:
        # No pipe: the processes that train outlive a killed parent for some minutes.
        with (tmp_path / "stderr").open("w") as told:
            process = subprocess.Popen(now, stdout=told, stderr=told, env=ENVIRONMENT)
            folder = wait_for(tmp_path / "runs", trials, process)
            process.send_signal(number)
            process.wait(timeout=120)
        if number == signal.SIGTERM:
            assert process.returncode == 143
            advice = f"resume with: mnistcli study --resume {folder}"
            assert advice in (tmp_path / "stderr").read_text()
        assert {path: path.read_bytes() for path in kept} == kept, "a trial was run again"
        kept = {path: path.read_bytes() for path in (folder / "trials").glob("[0-9]*.json")}
        now = [*COMMAND, "--resume", folder, *common]
    ended = run(now)
    assert f"resuming after {len(kept)} trials" in ended.stderr
    assert figures(ended.stdout) == unbroken
    names = {path.name for path in (folder / "trials").iterdir()}
    assert names == {f"{arm}-s{seed}.json" for arm in range(3) for seed in range(4)}
    assert {path: path.read_bytes() for path in kept} == kept, "a trial was run again"
    counts["kills of a study survived, no trial lost or run twice"] += len(kills)
