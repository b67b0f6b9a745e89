"""Fine-tuning: it starts from the bits of another run, and frozen layers keep theirs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import tomlkit
from torch import Tensor

from mnistcli.engine.network.freeze import count_frozen, freeze
from mnistcli.errors import FileError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training import checkpoint
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import validate_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from tests.engine.network.nested import build
from tests.faults.runs import make_preset, mix, options_of, train_in_pieces

ALONE = {"ensemble": None, "prune": None, "curriculum": None, "dropout": []}
"""One network of equal layers."""


def read(folder: Path | str) -> dict[str, Tensor]:
    return safetensors.torch.load_file(Path(folder) / "weights.safetensors")


def change(preset: Preset, **train: object) -> Preset:
    content = preset.model_dump(mode="json", exclude_none=True)
    content["train"] |= train
    return validate_preset(content, preset.name)


@pytest.fixture(scope="module")
def plain() -> Preset:
    chosen = mix(0) | {"freeze": [], "quantize": None, "coreset": None, "keep": "last"}
    return make_preset(chosen | {"ema": None} | ALONE)


@pytest.fixture(scope="module")
def earlier(plain: Preset, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    options = Options(3, "cpu", "float32", 1, tiny_data, tmp_path_factory.mktemp("earlier"))
    return run(prepare(plain, options), lambda event: None)


def test_it_starts_from_the_bits_of_a_run(
    earlier: RunRecord, plain: Preset, tiny_data: Path, tmp_path: Path
) -> None:
    preset = change(plain, init=earlier.path)
    setup = prepare(preset, Options(9, "cpu", "float32", 1, tiny_data, tmp_path))
    before = read(earlier.path)
    for name, value in setup.network.model.state_dict().items():
        assert value.equal(before[name]), name
    record = run(setup, lambda event: None)
    assert record.init is not None
    assert record.init.weights_sha256 == earlier.weights_sha256
    assert record.init.test_accuracy == earlier.test.accuracy
    assert record.weights_sha256 != earlier.weights_sha256


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_frozen_layers_keep_every_bit(
    ema: float | None, optimizer: str, earlier: RunRecord, tiny_data: Path, tmp_path: Path
) -> None:
    of_kind = next(n for n in range(30) if mix(n)["optimizer"]["kind"] == optimizer)
    chosen = mix(of_kind) | {"ema": ema, "freeze": ["0", 1], "quantize": None, "coreset": None}
    chosen |= {"keep": "last"} | ALONE
    preset = change(make_preset(chosen), init=earlier.path)
    record = run(prepare(preset, options_of(chosen, tiny_data, tmp_path)), lambda event: None)
    before, after = read(earlier.path), read(record.path)
    same = {name for name in before if before[name].equal(after[name])}
    frozen = {name for name in before if name.startswith(("0.", "1."))}
    assert "1.running_mean" in frozen
    assert frozen <= same
    assert {"3.weight", "6.weight"}.isdisjoint(same)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["train.init={}", "teacher.runs=[{}]"])
def test_a_finished_run_needs_no_run_that_it_builds_upon(
    field: str, earlier: RunRecord, plain: Preset, tiny_data: Path, tmp_path: Path, cli: Callable
) -> None:
    path, moved = tmp_path / "plain.toml", tmp_path / "moved"
    path.write_text(tomlkit.dumps(plain.model_dump(mode="json", exclude_none=True)))
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "--no-fail", "-q")
    assert cli("train", path, *options, "--set", field.format(json.dumps(earlier.path))).code == 0
    (run,) = (tmp_path / "runs").iterdir()
    Path(earlier.path).rename(moved)
    try:
        for command in ("report", ("runs", "check"), "evaluate"):
            words = (command,) if isinstance(command, str) else command
            answer = cli(*words, run, "--data", tiny_data)
            assert answer.code == 0, (command, answer.err)
    finally:
        moved.rename(earlier.path)


def test_it_resumes_to_the_same_bits(earlier: RunRecord, tiny_data: Path, tmp_path: Path) -> None:
    chosen = mix(5) | {"freeze": [1], "quantize": {"weights": 8}} | ALONE
    preset = change(make_preset(chosen), init=earlier.path)
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [1, 4])
    assert broken == unbroken
    back = change(make_preset(chosen | {"quantize": None}), init=str(next(tmp_path.glob("a/*"))))
    run(prepare(back, options_of(chosen, tiny_data, tmp_path / "c")), lambda event: None)


def test_names_of_nested_layers_are_those_of_the_summary(cli: Callable, tmp_path: Path) -> None:
    path = tmp_path / "nested.toml"
    path.write_text("""
title = "For tests"
[model]
layers = [
  { kind = "conv", out_channels = 3, kernel_size = 5, stride = 4 },
  { kind = "residual", layers = [{ kind = "conv", out_channels = 3, kernel_size = 3 }] },
  { kind = "repeat", times = 2, layers = [{ kind = "conv", out_channels = 3, kernel_size = 1 }] },
  { kind = "flatten" },
  { kind = "linear", out_features = 10 },
]
[train]
epochs = 1
batch_size = 100
optimizer = { kind = "adamw", learning_rate = 0.01 }
""")
    document = json.loads(cli("summary", path, "--json").out)
    counts = {row["name"]: row["parameters"] for row in document["layers"]}
    for name in ("0", "1.0", "2.0.0", "2.1.0"):
        if name in counts:
            answer = cli("summary", path, "--json", "--set", f"train.freeze=['{name}']")
            assert json.loads(answer.out)["frozen_parameters"] == counts[name] > 0
    whole = json.loads(cli("summary", path, "--json", "--set", "train.freeze=[1]").out)
    assert whole["frozen_parameters"] == counts["1.0"]


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        ("[70]", 'the network has no layer "70"'),
        ("['0.weight']", 'the network has no layer "0.weight"'),
        ("[0, 1, 3, 6]", "train.freeze leaves nothing to train"),
        ("[-1]", "train.freeze.0"),
        ("[0, 1.5]", "train.freeze.1"),
        ("", "has no value"),
    ],
)
def test_layers_that_cannot_be_frozen_are_one_line(
    freeze: str, words: str, cli: Callable, plain: Preset, tmp_path: Path
) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(tomlkit.dumps(plain.model_dump(mode="json", exclude_none=True)))
    for command in ("summary", "train"):
        answer = cli(command, path, "--set", f"train.freeze={freeze}")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert words in answer.err


def test_a_run_that_does_not_fit_or_has_changed_is_one_line(
    earlier: RunRecord, plain: Preset, tiny_data: Path, tmp_path: Path, cli: Callable
) -> None:
    line = ("train", "dash", "--data", tiny_data, "--out", tmp_path, "-q", "--init")
    answer = cli(*line, earlier.path)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "train.init: " in answer.err
    assert "does not fit the network" in answer.err
    answer = cli(*line, tmp_path / "nowhere")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "train.init: " in answer.err
    setup = prepare(change(plain, init=earlier.path), Options(0, data=tiny_data, out=tmp_path))
    path = Path(earlier.path) / "record.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | {"run_id": "another"}))
    with pytest.raises(FileError, match="the run it starts from has changed"):
        reopen(setup.folder)
    path.write_text(text)


def test_saving_in_an_epoch_leaves_frozen_layers_as_they_are(
    plain: Preset, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for seconds in (0.0, 30.0):
        monkeypatch.setattr(checkpoint, "SAVE_SECONDS", seconds)
        options = Options(3, "cpu", "float32", 1, tiny_data, tmp_path / str(seconds))
        record = run(prepare(change(plain, freeze=["1"]), options), lambda event: None)
        found.add(record.weights_sha256)
    assert len(found) == 1


def test_a_shared_layer_is_frozen_by_the_name_of_any_of_its_uses() -> None:
    inner = {"kind": "conv", "out_channels": 3, "kernel_size": 3}
    stem = {"kind": "conv", "out_channels": 3, "kernel_size": 5, "stride": 4}
    repeat = {"kind": "repeat", "times": 2, "shared": True, "layers": [inner]}
    for name in ("1.0.0", "1.1.0", "1.1"):
        model = build([stem, repeat, {"kind": "flatten"}, {"kind": "linear", "out_features": 10}])
        freeze(model, [name])
        assert count_frozen(model) == 3 * 3 * 9 + 3
