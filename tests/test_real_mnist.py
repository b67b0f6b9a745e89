"""The main job on the real MNIST."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small networks are trained once for all tests here."""
    return tmp_path_factory.mktemp("cache")


def test_the_published_coreset_is_balanced_and_reproducible(cli: Callable, tmp_path: Path) -> None:
    one, other = (
        json.loads(cli("coreset", "optimizednet-coreset", "--out", tmp_path, "--json").out)
        for _ in range(2)
    )
    assert one["indices_sha256"] == other["indices_sha256"]
    assert one["class_counts"] == [1_200] * 10
    indices = np.load(one["indices_file"])["indices"]
    assert len(np.unique(indices)) == 12_000
    assert 0 <= indices.min() <= indices.max() < 60_000
    # As the documents' measured figures say: it covers worse than chance does.
    assert one["coverage"]["mean"] > one["random_coverage"]["mean"]


@pytest.mark.parametrize(
    ("method", "seconds"),
    [("kmeans", 10), ("kmeans-spread", 60), ("k-center", 60), ("facility-location", 60)],
)
def test_choosing_takes_seconds(cli: Callable, tmp_path: Path, method: str, seconds: float) -> None:
    """Three times what was promised for an idle machine: this one is shared."""
    printed = json.loads(
        cli("coreset", "sprint", "-n", 12_000, "-m", method, "--out", tmp_path, "--json").out
    )
    spent = printed["seconds"]
    assert spent["pixels"] + spent["principal components"] + spent["choice"] < seconds


def test_the_best_fifth_beats_the_published_one(
    cli: Callable, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTCLI_CACHE", str(cache))
    best = cli("train", "optimizednet-coreset-best", "--out", tmp_path, "--json")
    assert best.code == 0, best.out
    published = cli("train", "optimizednet-coreset", "--out", tmp_path, "--json", "--no-fail")
    accuracies = [json.loads(each.out)["test"]["accuracy"] for each in (best, published)]
    assert accuracies[0] >= 0.98
    assert accuracies[1] < 0.96


def test_phases_that_keep_what_came_before_do_not_forget(cli: Callable, tmp_path: Path) -> None:
    kept = cli("curriculum", "optimizednet-curriculum", "--out", tmp_path, "--json")
    assert kept.code == 0, kept.out
    assert json.loads(kept.out)["test"]["accuracy"] >= 0.98
    published = cli("curriculum", "optimizednet-curriculum-published", "--out", tmp_path)
    assert published.code == 3
    assert "forgotten by later phases: 0 1 7: 9" in published.out
