import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistcli.datasets.examples import Examples, corrupt_labels
from mnistcli.datasets.load import load_examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.stages import Stages
from mnistcli.experiment import label_check
from mnistcli.experiment.label_check import FOLDS, Found, check_labels, divide_into_folds
from mnistcli.experiment.machine import Options
from mnistcli.preset.choices import Split

QUIET = Stages(lambda event: None)


def check(data: dict[Split, Examples], seed: int = 0) -> Found:
    return check_labels(data, Options(seed=seed, device="cpu", threads=1), QUIET)


def corrupt(split: Split, path: Path | None, fraction: float) -> tuple[Examples, np.ndarray]:
    """Return examples with wrong labels, and which are wrong."""
    true = load_examples(split, path)
    found = corrupt_labels(true, fraction, make_generator(0, "noise"))
    return found, (found.labels != true.labels).numpy()


def test_folds_are_of_equal_size_and_in_proportion_to_the_digits() -> None:
    labels = torch.cat([torch.zeros(30), torch.ones(60), torch.full((10,), 9)]).long()
    folds = divide_into_folds(labels, 0)
    assert torch.bincount(folds).tolist() == [34, 33, 33]
    for digit, each in ((0, 10), (1, 20), (9, 3)):
        assert (torch.bincount(folds[labels == digit], minlength=FOLDS) - each).abs().max() <= 1
    assert torch.equal(folds, divide_into_folds(labels, 0))
    assert not torch.equal(folds, divide_into_folds(labels, 1))


@pytest.mark.slow
def test_wrong_labels_are_found_again_from_the_same_seed(
    tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_check, "MIN_STEPS", 30)
    data: dict[Split, Examples] = {}
    wrong = {}
    for split in ("train", "test"):
        data[split], wrong[split] = corrupt(split, tiny_data, 0.05)
    errors, described = check(data)
    assert (described.preset, described.folds, described.seed) == ("dash", 3, 0)
    for split, each in errors.items():
        found = {suspect.index for suspect in each.suspicious}
        right = found & set(np.flatnonzero(wrong[split]).tolist())
        assert len(right) >= 0.8 * wrong[split].sum(), split
        assert len(right) >= 0.8 * len(found), split
        for suspect in each.suspicious:
            assert suspect.label == data[split].labels[suspect.index] != suspect.predicted
    assert check(data)[0] == errors


@pytest.mark.slow
def test_most_of_the_wrong_labels_in_mnist_are_found() -> None:
    data, wrong = {}, {}
    for split in ("train", "test"):
        data[split], wrong[split] = corrupt(split, None, 0.01)
    for split, each in check(data)[0].items():
        found = np.zeros(len(data[split]), dtype=bool)
        found[[suspect.index for suspect in each.suspicious]] = True
        right = (found & wrong[split]).sum()
        assert right / wrong[split].sum() >= 0.9, split
        assert right / found.sum() >= 0.85, split
        assert 0.85 <= each.estimated / wrong[split].sum() <= 1.15, split


@pytest.mark.slow
def test_few_labels_of_mnist_are_suspicious() -> None:
    data = {split: load_examples(split) for split in ("train", "test")}
    errors, _ = check(data)
    assert len(errors["train"].suspicious) + len(errors["test"].suspicious) <= 40
    known = {59915: (4, 7), 43454: (5, 3)}
    found = {each.index: (each.label, each.predicted) for each in errors["train"].suspicious}
    assert known.items() <= found.items(), json.dumps(found)
