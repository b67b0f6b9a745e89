"""The main job on the real MNIST."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.engine.data import FILES, load_examples
from tests.conftest import write_idx

pytestmark = pytest.mark.slow


def test_sprint_meets_its_budget(cli: Callable, tmp_path: Path) -> None:
    answer = cli("train", "--out", tmp_path, "--json")
    record = json.loads(answer.out)
    assert answer.code == 0, record["checks"]
    assert record["parameters"] < 20_000
    assert record["train_examples"] == 60_000
    assert record["test"]["accuracy"] >= 0.993
    assert len(record["epochs"]) <= 10
    again = json.loads(cli("evaluate", record["path"], "--json").out)
    assert again["correct"] == record["test"]["correct"]
    assert again["matches_record"] is True


def test_optimizednet_meets_its_budget(cli: Callable, tmp_path: Path) -> None:
    answer = cli("train", "optimizednet", "--out", tmp_path, "--json")
    assert answer.code == 0, answer.out
    assert json.loads(answer.out)["test"]["accuracy"] >= 0.97


@pytest.fixture(scope="module")
def tenth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tenth image of the real MNIST."""
    folder = tmp_path_factory.mktemp("tenth")
    for split, names in FILES.items():
        examples = load_examples(split)
        write_idx(folder / names[0], examples.images[::10, 0].numpy())
        write_idx(folder / names[1], examples.labels[::10].byte().numpy())
    return folder


@pytest.mark.parametrize(
    "name",
    ["optimizednet-published", "dualblock", "journey-v1", "journey-v2", "sevenconv", "onebyone"],
)
def test_documented_systems_learn(cli: Callable, tenth: Path, tmp_path: Path, name: str) -> None:
    """One epoch of a tenth of the images, in smaller batches, is enough to see that all works."""
    answer = cli(
        "train", name, "--set", "train.epochs=1", "--set", "train.batch_size=32",
        "--data", tenth, "--out", tmp_path, "--json", "--no-fail",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["test"]["accuracy"] > 0.3
