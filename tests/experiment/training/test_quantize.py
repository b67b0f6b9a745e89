"""A training for integers: resumed to the same bits, and recorded as what its integers reach."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnistcli.errors import PresetError
from mnistcli.experiment.export import convert_run
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset, validate_preset
from tests.faults.runs import OPTIMIZERS, options_of, train_in_pieces

CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 5, "stride": 4}
BLOCK = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
RESIDUAL = {"kind": "residual", "layers": [BLOCK, {"kind": "batch_norm"}]}
DROPOUT = {"kind": "dropout", "probability": 0.1}
LAYERS = [CONV, {"kind": "batch_norm"}, {"kind": "silu"}, RESIDUAL, {"kind": "relu"}, DROPOUT]
HEAD = [{"kind": "flatten"}, {"kind": "linear", "out_features": 10}]


@pytest.mark.parametrize(
    ("weights", "optimizer", "ema", "precision"),
    [
        (8, OPTIMIZERS[1], None, "float32"),
        (4, OPTIMIZERS[4], 0.9, "bfloat16"),
        ("ternary", OPTIMIZERS[3], 0.9, "float32"),
    ],
)
def test_it_is_resumed_to_the_same_bits(
    weights: int | str,
    optimizer: dict[str, Any],
    ema: float | None,
    precision: str,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    content = {
        "name": "few-bits", "title": "For tests", "model": {"layers": [*LAYERS, *HEAD]},
        "train": {
            "epochs": 2, "batch_size": 100, "ema_decay": ema, "optimizer": optimizer,
            "validation_examples": 100, "quantize": {"weights": weights},
        },
    }  # fmt: skip
    preset = validate_preset(content, "few-bits")
    chosen = {"precision": precision}
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [3, 4])
    assert broken == unbroken
    record = unbroken["record"]
    assert record["preset"]["train"]["quantize"] == {"weights": weights, "activations": 8}
    assert record["test"]["accuracy"] > 0.2


@pytest.fixture(scope="module")
def record(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the record of a run with weights of 4 bits and a moving average."""
    out = tmp_path_factory.mktemp("runs")
    changes = ("--set", "train.quantize.weights=4", "--set", "train.ema_decay=0.5")
    common = ("--data", tiny_data, "--out", out, "--json", "--no-fail", "--seed", 3)
    document: dict[str, Any] = json.loads(cli("train", tiny_preset, *common, *changes).out)
    return document


def test_its_figures_are_those_of_its_integers(record: dict[str, Any]) -> None:
    assert record["preset"]["train"]["quantize"]["weights"] == 4
    assert record["parameters"] == 4_154
    facts = convert_run(load_run(Path(record["path"]), Options())).facts
    assert facts.integer_accuracy is not None
    assert facts.integer_accuracy.correct == record["test"]["correct"]
    assert facts.float_accuracy is None


@pytest.mark.slow
def test_commands_read_its_runs(cli: Callable, record: dict[str, Any], tmp_path: Path) -> None:
    run = record["path"]
    evaluated = json.loads(cli("evaluate", run, "--json").out)
    assert evaluated["matches_record"]
    assert evaluated["correct"] == record["test"]["correct"]
    exported = json.loads(cli("export", run, "--to", "c", "--json").out)
    assert exported["weight_bits"] == 4
    assert exported["float_test"] is None
    assert exported["integer_test"]["correct"] == record["test"]["correct"]
    assert all(check["equal"] == check["images"] for check in exported["parity"])
    shown = cli("export", run, "--to", "html").out
    assert "4-bit weights, test accuracy" in shown
    assert "float" not in shown
    assert cli("report", run, "--out", tmp_path / "report.html").code == 0
    assert cli("runs", "check", run).code == 0
    again = cli("train", "--from", run, "--out", tmp_path, "--json", "--no-fail")
    second = json.loads(again.out)
    assert second["weights_sha256"] == record["weights_sha256"]
    assert cli("compare", run, second["path"]).code == 0


def test_an_unsupported_layer_is_named_before_any_training() -> None:
    changes = ["train.quantize.weights=4", 'model.layers.2={kind="squeeze_excite"}']
    preset = load_preset("sprint", changes)
    with pytest.raises(PresetError, match=r"^train\.quantize: layer 2 squeeze_excite cannot be"):
        summarize(preset)
