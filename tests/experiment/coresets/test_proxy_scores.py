from pathlib import Path

import numpy as np
import pytest
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.load import load_examples
from mnistcli.engine.events import Event, StageStarted
from mnistcli.engine.stages import Stages
from mnistcli.experiment.coresets.proxy_scores import TRAININGS, Difficulty, score_difficulty
from mnistcli.experiment.machine import Machine

CPU = Machine(torch.device("cpu"), torch.float32, 1)


@pytest.fixture
def score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Score with an empty cache; return the scores and the number of networks trained."""
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path))

    def run(examples: Examples, seed: int = 0) -> tuple[Difficulty, int]:
        events: list[Event] = []
        found = score_difficulty(examples, seed, CPU, Stages(events.append))
        return found, sum(isinstance(event, StageStarted) for event in events)

    return run


def test_scores_are_computed_once_for_the_same_images_and_seed(score, tiny_data: Path) -> None:
    examples = load_examples("train", tiny_data)
    first, trained = score(examples)
    assert trained == TRAININGS
    again, trained = score(examples)
    assert trained == 0
    assert again.seconds == first.seconds
    assert again.scores.keys() == first.scores.keys()
    assert all(np.array_equal(again.scores[name], first.scores[name]) for name in first.scores)
    assert np.array_equal(again.features, first.features)
    assert score(examples, seed=1)[1] == TRAININGS
    assert score(Examples(examples.images.flip(3), examples.labels))[1] == TRAININGS


def test_scores_that_read_labels_find_wrong_ones_hard(score, tiny_data: Path) -> None:
    """The images are easy; every seventh has a wrong label."""
    examples = load_examples("train", tiny_data)
    labels = examples.labels.clone()
    wrong = np.arange(0, 600, 7)
    labels[wrong] = (labels[wrong] + 1) % 10
    found, _ = score(Examples(examples.images, labels))
    right = np.setdiff1d(np.arange(600), wrong)
    assert {"el2n", "grand", "forgetting", "margin", "entropy"} <= found.scores.keys()
    for name in ("el2n", "grand"):
        values = found.scores[name]
        assert values.shape == (600,)
        assert np.median(values[wrong]) > np.median(values[right]), name
