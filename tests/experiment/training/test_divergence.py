"""Losses that are finite at every step, and outputs that are not: a divergence, not a fault."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import write_idx

DEEP = """
title = "Blows up in its last step"

[model]
layers = [
  { kind = "flatten" },
  { kind = "linear", out_features = 64 }, { kind = "relu" },
  { kind = "linear", out_features = 64 }, { kind = "relu" },
  { kind = "linear", out_features = 64 }, { kind = "relu" },
  { kind = "linear", out_features = 64 }, { kind = "relu" },
  { kind = "linear", out_features = 10 },
]

[train]
epochs = 1
batch_size = 100
[train.optimizer]
kind = "sgd"
learning_rate = 100
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "deep.toml"
    path.write_text(DEEP)
    return path


def write_bright_images(folder: Path) -> None:
    """400 bright training images: the fourth step leaves weights whose outputs overflow."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for prefix, count in (("train", 400), ("t10k", 100)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_bright_images(tmp_path / "bright")
    return tmp_path / "bright"


@pytest.mark.parametrize(
    "changes", [[], ["train.validation_examples=100", "train.epochs=2"], ["train.epochs=3"]]
)
def test_outputs_that_are_not_finite_are_a_divergence(
    cli: Callable, preset: Path, data: Path, tmp_path: Path, changes: list[str]
) -> None:
    settings = [word for change in changes for word in ("--set", change)]
    out = ("--out", tmp_path / "runs", "--precision", "float32", "--threads", 1, "--quiet")
    answer = cli("train", preset, "--data", data, *out, *settings)
    assert answer.code == 5, answer.err
    assert answer.err.count("\n") == 1
    assert "not finite: epoch" in answer.err
    (folder,) = (tmp_path / "runs").iterdir()
    place = json.loads((folder / "divergence.json").read_text())
    assert place["epoch"] in (1, 2)
    assert str(place["step"]) in answer.err
    state = load_file(folder / "state.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in state.values())
    again = cli("train", "--resume", folder, "--quiet")
    assert (again.code, again.err) == (answer.code, answer.err)
    assert not (folder / "record.json").exists()


def test_weights_whose_outputs_are_not_finite_are_one_line(
    cli: Callable, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = ("--data", tiny_data, "--threads", 1)
    trained = cli("train", tiny_preset, *data, "--out", tmp_path / "runs", "--json", "-q")
    folder = Path(json.loads(trained.out)["path"])
    weights = load_file(folder / "weights.safetensors")
    weights["5.bias"][3] = float("nan")
    save_file(weights, folder / "weights.safetensors")
    for command in ("evaluate", "report"):
        answer = cli(command, folder, *data)
        assert answer.code == 4, answer.err
        assert answer.err.count("\n") == 1
        assert "the outputs are not finite" in answer.err
