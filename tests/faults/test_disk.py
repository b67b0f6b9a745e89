"""A disk that is full, a folder that is gone, a place that cannot be written."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.engine.events import EpochFinished
from mnistcli.errors import FileError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.loading import load_preset
from mnistcli.records.checkpoint import load_state
from tests.conftest import Counts
from tests.faults.runs import what_is_left

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("limit", [2_000, 60_000, 61_000, 63_000, 66_000])
def test_on_a_full_disk_the_last_state_stays(
    limit: int, tiny_data: Path, tiny_preset: Path, tmp_path: Path, counts: Counts
) -> None:
    """No file may grow beyond the limit, as if that were all there is."""
    import resource

    command = [
        sys.executable, "-m", "mnistcli", "train", tiny_preset, "--data", tiny_data,
        "--out", tmp_path / "runs", "--threads", "1", "-q", "--no-fail", "--set", "train.epochs=40",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    (folder,) = (tmp_path / "runs").iterdir()
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot write" in done.stderr
    assert not (folder / "record.json").exists()
    if (folder / "start.json").exists():
        assert f"resume with: mnistcli train --resume {folder}" in done.stderr
        if (folder / "state.safetensors").exists():
            load_state(folder)
        resumed = [sys.executable, "-m", "mnistcli", "train", "--resume", folder, "--no-fail", "-q"]
        subprocess.run(list(map(str, resumed)), check=True, capture_output=True, timeout=120)
        again = [str(part).replace(str(tmp_path / "runs"), str(tmp_path / "a")) for part in command]
        subprocess.run(again, check=True, capture_output=True, timeout=120)
        (unbroken,) = (tmp_path / "a").iterdir()
        assert what_is_left(folder) == what_is_left(unbroken)
        counts["full disks survived"] += 1


def test_a_folder_that_is_gone_ends_the_training(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    preset = load_preset(str(tiny_preset))
    experiment = prepare(preset, Options(threads=1, data=tiny_data, out=tmp_path / "runs"))

    def remove(event: object) -> None:
        if isinstance(event, EpochFinished):
            shutil.rmtree(experiment.folder, ignore_errors=True)

    with pytest.raises(FileError, match="cannot write"):
        run(experiment, remove)


@pytest.mark.parametrize("out", ["/proc/here", "/dev/null/runs", "a\0b"])
def test_a_place_that_cannot_be_written_is_one_line(
    cli: Callable, tiny_data: Path, tiny_preset: Path, out: str
) -> None:
    answer = cli("train", tiny_preset, "--data", tiny_data, "--out", out)
    assert answer.code in (2, 4)
    assert answer.err.count("\n") == 1


def test_a_divergence_is_kept(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    settings = (
        "--set", "train.optimizer={kind='sgd', learning_rate=100, momentum=0.9}",
        "--set", "train.schedule={kind='constant'}", "--set", "train.epochs=3",
        "--set", "model.layers=[{kind='flatten'}, {kind='linear', out_features=64}, "
        "{kind='linear', out_features=64}, {kind='linear', out_features=10}]",
    )  # fmt: skip
    answer = cli("train", tiny_preset, "--data", tiny_data, "--out", tmp_path, "-q", *settings)
    assert answer.code == 5
    assert answer.err.count("\n") == 1
    (folder,) = tmp_path.glob("tiny-*")
    found = json.loads((folder / "divergence.json").read_text())
    assert found["epoch"] == 1
    assert found["step"] > 1
    assert found["learning_rate"] == 100
    assert len(found["batch"]) == 64
    advice = "Lower train.optimizer.learning_rate, or set train.clip_gradient_norm."
    assert f"not finite: epoch 1, step {found['step']}. {advice}\n" in answer.err
    tensors, state = load_state(folder)
    assert all(
        bool(value.isfinite().all()) for name, value in tensors.items() if name.startswith("model.")
    )
    assert not state.history
    assert not (folder / "record.json").exists()
    assert os.listdir(folder).count(".lock") <= 1
