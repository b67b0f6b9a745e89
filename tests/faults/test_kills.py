"""kill -9 at any moment, and two processes at once."""

import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnistcli.preset.loading import load_preset
from tests.conftest import Counts
from tests.faults.runs import what_is_left
from tests.networks.names import HERE

pytestmark = pytest.mark.faults
KILLS = 100
PRESETS = Path(__file__).parent.parent.parent / "presets"
COMMAND = [sys.executable, "-m", "mnistcli"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def kill(kills: int, data: Path, folder: Path) -> dict:
    """What became of trainings of killed.toml in the folder that were killed so many times."""
    module = [sys.executable, "-m", "tests.faults.killing", str(kills), data, folder]
    done = subprocess.run(
        module, capture_output=True, text=True, timeout=400, check=False,
        env=ENVIRONMENT | os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout)
    assert sum(found["kills"].values()) >= kills
    # The kills came at every stage, not all before the first step.
    assert found["kills"].get("mid-epoch", 0) + found["kills"].get("between epochs", 0) > kills / 4
    return found


def test_killed_at_any_moment_a_run_can_be_resumed(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path, counts: Counts
) -> None:
    (tmp_path / "killed.toml").write_text(tiny_preset.read_text())
    found = kill(KILLS, tiny_data, tmp_path)
    counts["kills survived, no line lost, torn or doubled"] += sum(found["kills"].values())
    counts["killed runs that ended as the unbroken one"] += found["runs"]


@pytest.mark.parametrize("name", ["Attention", "Counting", "Noisy"])
def test_killed_at_any_moment_a_run_of_code_can_be_resumed(
    name: str, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    preset = (PRESETS / "starter.toml").read_text()
    layers = preset[preset.index("layers = [") : preset.index("[[augment]]")]
    code = preset.replace(layers, f'python = "unusual.py:{name}"\n\n')
    (tmp_path / "killed.toml").write_text(code)
    (tmp_path / "unusual.py").write_text((HERE / "unusual.py").read_text())
    load_preset(str(tmp_path / "killed.toml"), allow_code=True)
    found = kill(KILLS // 20, tiny_data, tmp_path)
    counts["kills survived by networks in code"] += sum(found["kills"].values())


def test_runs_that_begin_at_once_never_mix(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = [
        *COMMAND, "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs",
        "--threads", "1", "--json", "-q",
    ]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda number: subprocess.run(
                    list(map(str, command)), capture_output=True, text=True, timeout=200,
                    env=ENVIRONMENT, check=True,
                ),
                range(4),
            )
        )  # fmt: skip
    records = [json.loads(one.stdout) for one in done]
    assert len({record["run_id"] for record in records}) == 4
    assert len({record["weights_sha256"] for record in records}) == 1
    for record in records:
        kept = json.loads((Path(record["path"]) / "record.json").read_text())
        assert kept == record
        lines = (Path(record["path"]) / "events.jsonl").read_text().splitlines()
        assert len(lines) == 3


@pytest.mark.slow
def test_sprint_killed_three_times_is_sprint(tmp_path: Path, counts: Counts) -> None:
    command = [*COMMAND, "train", "sprint", "--threads", "1", "--no-fail"]
    subprocess.run(
        [*command, "--out", tmp_path / "a"], check=True, capture_output=True, timeout=300
    )
    (unbroken,) = (tmp_path / "a").iterdir()
    rng = random.Random(1)
    now = [*command, "--out", str(tmp_path / "b")]
    for _ in range(3):
        with subprocess.Popen(now, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            process.stderr.readline()
            time.sleep(rng.uniform(0.4, 1.2))
            process.kill()
        (folder,) = (tmp_path / "b").iterdir()
        assert not (folder / "record.json").exists()
        now = [*COMMAND, "train", "--resume", str(folder), "--no-fail"]
    subprocess.run(now, check=True, capture_output=True, timeout=300)
    assert what_is_left(folder) == what_is_left(unbroken)
    counts["kills of sprint itself survived"] += 3
