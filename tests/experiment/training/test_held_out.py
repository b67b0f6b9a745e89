"""What held-out images decide: the learning rate, the last epoch, and the weights to keep."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.errors import PresetError
from mnistcli.experiment.data import load_data
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Machine, Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.loading import load_preset
from mnistcli.preset.training import EarlyStopping
from mnistcli.records.documents import RunRecord
from mnistcli.selection.stopping import count_epochs

Train = Callable[..., RunRecord]


@pytest.fixture
def train(tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Train:
    def train_with(*overrides: str) -> RunRecord:
        common = ["train.validation_examples=100", "train.schedule={kind='constant'}"]
        preset = load_preset(str(tiny_preset), [*common, *overrides])
        options = Options(1, "cpu", "float32", 1, tiny_data, tmp_path)
        return run(prepare(preset, options), lambda event: None)

    return train_with


def list_losses(record: RunRecord) -> list[float]:
    return [epoch.validation_loss or 0.0 for epoch in record.epochs]


def test_a_plateau_lowers_the_learning_rate_as_pytorchs_scheduler_does(train: Train) -> None:
    plateau = "train.schedule={kind='plateau', patience=1, factor=0.5, min_delta=0.3}"
    record = train("train.epochs=8", plateau)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0.3
    )
    rates = []
    for loss in list_losses(record):
        rates.append(optimizer.param_groups[0]["lr"])
        oracle.step(loss)
    assert [epoch.learning_rate for epoch in record.epochs] == rates
    assert len(set(rates)) > 2


def test_a_training_that_does_not_improve_stops_early(train: Train) -> None:
    record = train("train.epochs=9", "train.early_stopping={patience=2, min_delta=5}")
    assert (len(record.epochs), record.passes) == (3, 3)  # the first epoch improves on nothing
    assert record.figures["epochs"] == 3
    assert record.train_seconds == sum(epoch.seconds for epoch in record.epochs)


def test_the_best_epochs_weights_are_tested_and_saved(train: Train, tiny_data: Path) -> None:
    # A learning rate so high that later epochs are often worse.
    record = train("train.epochs=8", "train.optimizer.learning_rate=1", "train.keep=best")
    losses = list_losses(record)
    best = losses.index(min(losses))
    assert record.kept_epoch == best + 1 < len(losses)
    loaded = load_run(Path(record.path), Options(device="cpu"))
    data = load_data(record.preset, Options(1, data=tiny_data), cpu())
    assert data.validation is not None
    found = loaded.evaluate(data.validation)
    assert found.loss == pytest.approx(losses[best], rel=1e-5)
    assert found.accuracy == record.epochs[best].validation_accuracy
    assert loaded.evaluate(data.test).correct == record.test.correct


def cpu() -> Machine:
    return Machine(torch.device("cpu"), torch.float32, 1)


def test_the_last_epochs_weights_are_kept_by_default(train: Train) -> None:
    assert train("train.epochs=2").kept_epoch is None


@pytest.mark.parametrize(
    "setting",
    ["train.schedule={kind='plateau'}", "train.early_stopping={patience=3}", "train.keep=best"],
)
def test_they_need_held_out_images(setting: str, tiny_preset: Path) -> None:
    with pytest.raises(PresetError, match=r"needs held-out images. Set validation_examples"):
        load_preset(str(tiny_preset), [setting])


def has_stalled_slowly(settings: EarlyStopping, figures: Sequence[float]) -> bool:
    """Wait for `patience` epochs in a row, counted one by one, as a person would."""
    best: float | None = None
    waited = 0
    for figure in figures:
        gain = (
            settings.min_delta + 1
            if best is None
            else (figure - best) * (1 if settings.metric == "accuracy" else -1)
        )
        if gain > settings.min_delta:
            best, waited = figure, 0
        else:
            waited += 1
    return waited >= settings.patience


@given(
    figures=st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12),
    patience=st.integers(1, 5),
    min_delta=st.integers(0, 2).map(float),
    metric=st.sampled_from(["loss", "accuracy"]),
)
def test_early_stopping_waits_for_its_patience(
    figures: list[float], patience: int, min_delta: float, metric: Any
) -> None:
    settings = EarlyStopping(patience=patience, min_delta=min_delta, metric=metric)
    ends = [n for n in range(1, len(figures) + 1) if has_stalled_slowly(settings, figures[:n])]
    assert count_epochs(settings, figures, 20) == (ends[0] if ends else 20)
    assert count_epochs(None, figures, 20) == 20
