"""1,000 seeds in a batch, and 64 workers of a cluster: time and memory grow with the work."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import start_cluster
from tests.conftest import Counts

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone"),
]
FEW, MANY, WORKERS = 100, 1_000, 64


def train(preset: Path, data: Path, out: Path, seeds: int, *options: object) -> tuple[float, float]:
    """Train seeds in one batch; return seconds, and MiB of the largest of its processes."""
    command = [sys.executable, "-m", "mnistcli", "train", preset, "--data", data, "--out", out]
    command += ["--seeds", f"0-{seeds - 1}", "--threads", 1, "--no-fail", "--json", "-q", *options]
    printed = out.with_suffix(".json")
    start = time.monotonic()
    with printed.open("wb") as file:
        process = subprocess.Popen([*map(str, command)], stdout=file)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    assert status == 0
    runs = json.loads(printed.read_text())["runs"]
    assert [run["seed"] for run in runs] == list(range(seeds))
    return seconds, used.ru_maxrss / 1024


def test_1000_seeds_take_ten_times_as_long_as_100(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    few, memory_of_few = train(tiny_preset, tiny_data, tmp_path / "few", FEW, "--jobs", 2)
    many, memory_of_many = train(tiny_preset, tiny_data, tmp_path / "many", MANY, "--jobs", 2)
    assert many < 1.3 * MANY / FEW * few
    assert memory_of_many < 1.5 * memory_of_few
    counts["seeds trained in one batch"] += MANY


def test_64_workers_share_a_batch(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    seeds = 4 * WORKERS
    alone, memory_alone = train(tiny_preset, tiny_data, tmp_path / "alone", seeds, "--jobs", 1)
    with start_cluster(tmp_path, ("",) * WORKERS) as cluster:
        address = ("--cluster", cluster.address)
        seconds, memory = train(tiny_preset, tiny_data, tmp_path / "shared", seeds, *address)
    # Every worker first imports PyTorch, on as few cores as there are.
    assert seconds < alone + 10 * WORKERS
    assert memory < 1.5 * memory_alone
    counts["workers of one cluster"] += WORKERS
