"""A training that prunes: its two stages, its record, and everything that reads the run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.engine.events import Event, NetworkPruned, StepFinished
from mnistcli.engine.prune import count_weights
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import load_preset
from mnistcli.preset.networks import load_network
from mnistcli.records.checkpoint import load_state, save_state
from mnistcli.records.documents import RunRecord
from tests.faults.runs import (
    PRUNINGS,
    interrupted_run,
    options_of,
    train_in_pieces,
    what_is_left,
)

LAYERS = (
    'model.layers=[{kind="conv", out_channels=8, kernel_size=5, stride=4}, {kind="batch_norm"}, '
    '{kind="relu"}, {kind="flatten"}, {kind="linear", out_features=10}]'
)
CHANNELS = ("prune.kind=channels", "prune.fraction=0.5", "prune.epochs=2")
EARLY = ("train.early_stopping={patience=1, min_delta=5}", "prune.rate_factor=0.25")
WEIGHTS = ("prune.kind=weights", "prune.fraction=0.5", "prune.epochs=1")
CODE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))

class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.rand(784, 10))
    def forward(self, images):
        return images.flatten(1) @ self.matrix
"""
Train = Callable[..., tuple[RunRecord, list[Event]]]


@pytest.fixture
def train(tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Train:
    def train_with(*overrides: str) -> tuple[RunRecord, list[Event]]:
        preset = load_preset(str(tiny_preset), [LAYERS, *overrides])
        options = Options(1, "cpu", "float32", 1, tiny_data, tmp_path / "runs")
        events: list[Event] = []
        return run(prepare(preset, options), events.append), events

    return train_with


def test_channels_are_gone_and_every_figure_is_of_the_network_that_is_left(train: Train) -> None:
    record, events = train(*CHANNELS)
    assert record.parameters == 4 * 25 + 4 + 8 + 4 * 49 * 10 + 10
    assert record.macs == 49 * 4 * 25 + 4 * 49 * 10
    pruning = record.pruning
    assert pruning is not None
    assert pruning.parameters_before == 8 * 25 + 8 + 16 + 8 * 49 * 10 + 10
    assert pruning.macs_before == 2 * record.macs
    assert pruning.weights is pruning.non_zero_weights is None
    assert [epoch.epoch for epoch in record.epochs] == [1, 2, 3, 4]
    assert (pruning.epochs, record.passes, record.figures["epochs"]) == (2, 4, 4)
    assert record.test.accuracy > 0.5
    (place,) = [n for n, event in enumerate(events) if isinstance(event, NetworkPruned)]
    names = [type(event).__name__ for event in events if "Epoch" in type(event).__name__]
    assert len(names) == 4
    assert type(events[place - 1]).__name__ == "EpochFinished"
    loaded = load_run(Path(record.path), Options(device="cpu"))
    assert loaded.model[0].out_channels == 4


def test_weights_are_zero_and_stay_parameters(train: Train) -> None:
    for more in ((), ("train.ema_decay=0.9",), ("train.quantize.weights=4",)):
        record, _ = train(*WEIGHTS, *more)
        assert record.parameters == record.pruning.parameters_before == 4154
        assert record.pruning.weights == 200 + 3920
        assert record.pruning.non_zero_weights == 2060
        loaded = load_run(Path(record.path), Options(device="cpu"))
        assert count_weights(loaded.model) == (4120, 2060)


def test_the_training_before_the_pruning_is_the_presets_own(train: Train) -> None:
    plain, _ = train()
    for kind in (CHANNELS, WEIGHTS):
        pruned, _ = train(*kind)
        before = pruned.epochs[:2]
        assert [e.train_loss for e in before] == [e.train_loss for e in plain.epochs]
        peak = max(epoch.learning_rate for epoch in pruned.epochs[2:])
        assert peak <= max(epoch.learning_rate for epoch in before)


def test_held_out_images_decide_in_both_stages(train: Train) -> None:
    common = ["train.validation_examples=100", "train.keep=best", "train.epochs=6"]
    common += ["train.schedule={kind='plateau', patience=0, min_delta=0.9}"]
    record, _ = train(*common, *EARLY, *CHANNELS)
    assert record.pruning.epochs == 2  # the first epoch improves on nothing
    assert len(record.epochs) == 4
    losses = [epoch.validation_loss for epoch in record.epochs]
    assert record.kept_epoch == 3 + losses[2:].index(min(losses[2:]))
    assert record.epochs[2].learning_rate == 0.25 * record.epochs[0].learning_rate


@pytest.mark.slow
@pytest.mark.parametrize("kind", [CHANNELS, WEIGHTS])
def test_a_pruned_run_is_read_like_any_other(
    cli: Callable, quick_speed: None, train: Train, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    record, _ = train(*kind)
    folder = record.path
    found = json.loads(cli("evaluate", folder, "--json").out)
    assert found["matches_record"] is True
    assert found["accuracy"] == record.test.accuracy
    assert cli("runs", "check", folder).code == 0
    again = json.loads(cli("train", "--from", folder, "--out", tmp_path, "--json", "-q").out)
    assert again["repeats"]["matches"] is True
    assert again["pruning"] == record.pruning.model_dump()
    onnx = cli("export", folder, "--to", "html", "--out", tmp_path / "page.html")
    assert onnx.code == 0, onnx.err
    assert cli("report", folder, "--out", tmp_path / "report.html").code == 0
    assert cli("compare", folder, again["path"]).code == 0
    text = cli("runs", "show", folder).out
    assert f"after epoch {record.pruning.epochs}" in text
    changed = json.loads((Path(folder) / "record.json").read_text())
    changed["pruning"]["macs_before" if kind == CHANNELS else "non_zero_weights"] -= 1
    (Path(folder) / "record.json").write_text(json.dumps(changed))
    assert cli("runs", "check", folder).code == 3


def test_the_summary_and_the_budget_are_of_the_pruned_network(
    cli: Callable, tiny_preset: Path, train: Train
) -> None:
    record, _ = train(*CHANNELS)
    words = [word for override in (LAYERS, *CHANNELS) for word in ("--set", override)]
    budget = ("--budget", f"parameters<={record.parameters}, macs<={record.macs}")
    found = json.loads(cli("summary", tiny_preset, *words, *budget, "--json").out)
    assert (found["parameters"], found["macs"]) == (record.parameters, record.macs)
    assert found["passed"] is True


def test_progress_says_what_was_pruned(
    cli: Callable, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    for kind, line in (
        (CHANNELS, "pruned: 4,154 → 2,082 parameters, 13,720 → 6,860 MACs per image"),
        (WEIGHTS, "pruned: 2,060 of 4,120 weights are not zero"),
    ):
        words = [word for override in (LAYERS, *kind) for word in ("--set", override)]
        answer = cli("train", tiny_preset, *words, "--data", tiny_data, "--out", tmp_path)
        assert line in answer.err.splitlines()
        assert "epoch 3/" in answer.err
    assert "non-zero weights" in answer.out
    assert "2,060" in answer.out


@pytest.mark.parametrize("step", [23, 24, 25, 36])
@pytest.mark.parametrize("kind", ["channels", "weights"])
def test_a_kill_around_the_pruning_changes_no_bit(
    kind: str, step: int, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    """The first stage has 24 steps of 50 images."""
    prune = [f"prune.kind={kind}", "prune.fraction=0.5", "prune.epochs=1", "train.batch_size=50"]
    more = ["train.ema_decay=0.9", "curriculum={kind='hardest', fractions=[1.0]}"]
    preset = load_preset(str(tiny_preset), [LAYERS, *prune, *more])
    chosen = {"precision": "float32"}
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [step])
    assert broken == unbroken


@pytest.mark.parametrize(
    "change",
    [
        {"pruned_after": 0},
        {"pruned_after": 1},
        {"pruned_after": 10**9},
        {"zeros": "missing"},
        {"zeros": "unknown"},
        {"zeros": "shape"},
        {"zeros": "type"},
    ],
)
def test_a_state_of_another_pruning_is_refused(
    change: dict, tiny_data: Path, tmp_path: Path
) -> None:
    changes = {"prune": PRUNINGS[3], "curriculum": None, "coreset": None, "stopping": None}
    folder = interrupted_run(tiny_data, tmp_path, 30, **changes)
    tensors, saved = load_state(folder)
    name = "zeros.0.weight"
    assert tensors[name].any()
    match change:
        case {"zeros": "missing"}:
            del tensors[name]
        case {"zeros": "unknown"}:
            tensors["zeros.9.weight"] = tensors[name]
        case {"zeros": "shape"}:
            tensors[name] = tensors[name][:1]
        case {"zeros": "type"}:
            tensors[name] = tensors[name].float()
        case _:
            saved = saved.model_copy(update=change)
    save_state(folder, tensors, saved)
    with pytest.raises(FileError, match=r"state.safetensors.*it belongs to another"):
        run(reopen(folder), lambda event: None)


def test_a_network_without_weights_to_prune_is_one_line(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    code = tmp_path / "net.py"
    code.write_text(CODE)
    options = Options(1, "cpu", "float32", 1, tiny_data, tmp_path / "runs")
    with pytest.raises(PresetError, match="prune: the network has no convolution and no linear"):
        prepare(load_network(f"{code}:Bare", [*WEIGHTS, "train.epochs=1"]), options)
    with pytest.raises(PresetError, match="only a network of layers can lose channels"):
        load_network(f"{code}:Net", CHANNELS)
    record = run(
        prepare(load_network(f"{code}:Net", [*WEIGHTS, "train.epochs=1"]), options),
        lambda event: None,
    )
    assert record.pruning.weights == 7840
    assert record.pruning.non_zero_weights == 3920
    assert record.parameters == 7850


@pytest.mark.parametrize("kind", ["channels", "weights"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_sudden_end_beside_the_pruning_changes_no_bit(
    kind: str, place: str, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    prune = [f"prune.kind={kind}", "prune.fraction=0.5", "prune.epochs=1"]
    preset = load_preset(str(tiny_preset), [LAYERS, *prune])
    options = options_of({"precision": "float32"}, tiny_data, tmp_path / "a")
    unbroken = train_in_pieces(preset, options, [])

    def end(event: Event) -> None:
        has_begun = isinstance(event, StepFinished) and event.epoch == 3
        if has_begun or (place == "before" and isinstance(event, NetworkPruned)):
            raise RuntimeError("a sudden end")

    setup = prepare(preset, options_of({"precision": "float32"}, tiny_data, tmp_path / "b"))
    with pytest.raises(RuntimeError, match="a sudden end"):
        run(setup, end)
    _, saved = load_state(setup.folder)
    assert saved.pruned_after == (2 if place == "after" else 0)
    run(reopen(setup.folder), lambda event: None)
    assert what_is_left(setup.folder) == unbroken
