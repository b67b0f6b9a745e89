"""Presets with layers in layers, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mnistcli.preset.schema import Preset
from mnistcli.records.documents import Summary

NESTED = """
title = "Layers in layers"

[budget]
parameters_below = 20_000
min_test_accuracy = 0.97
max_epochs = 1

[model]
layers = [
  { kind = "conv", out_channels = 16, kernel_size = 5, stride = 2, bias = false },
  { kind = "batch_norm" },
  { kind = "relu" },
  { kind = "repeat", times = 2, layers = [
    { kind = "residual", layers = [
      { kind = "separable_conv", out_channels = 16, kernel_size = 3, bias = false },
      { kind = "batch_norm" },
      { kind = "squeeze_excite" },
    ] },
    { kind = "hard_swish" },
  ] },
  { kind = "residual", layers = [
    { kind = "max_pool" },
    { kind = "repeat", times = 2, shared = true, layers = [
      { kind = "conv", out_channels = 16, kernel_size = 3, bias = false },
      { kind = "group_norm", groups = 4 },
      { kind = "silu" },
    ] },
  ] },
  { kind = "residual", layers = [{ kind = "self_attention", heads = 2 }] },
  { kind = "max_pool" },
  { kind = "flatten" },
  { kind = "linear", out_features = 10 },
]

[train]
epochs = 1
batch_size = 128

[train.optimizer]
kind = "adamw"
learning_rate = 0.01

[train.schedule]
kind = "one_cycle"
max_learning_rate = 0.01
"""


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    path = tmp_path / "nested.toml"
    path.write_text(NESTED)
    return path


def test_its_summary_adds_up(cli: Callable, nested: Path) -> None:
    answer = cli("summary", nested, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    jsonschema.validate(found, Summary.model_json_schema(mode="serialization"))
    jsonschema.validate(found["preset"], Preset.model_json_schema())
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])
    names = [layer["name"] for layer in found["layers"]]
    assert names[3:7] == ["3", "3.0.0", "3.0.0.0", "3.0.0.1"]
    assert len(set(names)) == len(names)


def test_its_summary_is_a_tree_of_80_columns(cli: Callable, nested: Path) -> None:
    lines = cli("summary", nested).out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line[: line.index("×1")].split()[:2] for line in lines if "×14×14" in line]
    assert ["3", "repeat"] in rows
    assert ["3.0.0.0", "separable_conv"] in rows
    assert any(line.startswith("3.1        1 more") for line in lines)
    assert not any(line.startswith("3.1.0") for line in lines)


@pytest.mark.slow
def test_width_and_depth_build_another_network_and_the_record_says_so(
    cli: Callable, nested: Path, tiny_data: Path, tmp_path: Path
) -> None:
    def parameters(*settings: str) -> int:
        words = [word for setting in settings for word in ("--set", setting)]
        return json.loads(cli("summary", nested, "--json", "--no-fail", *words).out)["parameters"]

    assert parameters("model.width=0.5") < parameters() < parameters("model.depth=2")
    scaled = ("model.width=0.5", "model.depth=1.5")
    words = [word for setting in scaled for word in ("--set", setting)]
    answer = cli(
        "train", nested, *words, "--data", tiny_data, "--out", tmp_path / "runs", "--json", "-q",
        "--no-fail",
    )  # fmt: skip
    record = json.loads(answer.out)
    assert record["parameters"] == parameters(*scaled)
    model = record["preset"]["model"]
    assert (model["width"], model["depth"]) == (0.5, 1.5)
    assert model["layers"][0]["out_channels"] == 16, "the preset stays as written"
    found = json.loads(cli("evaluate", record["path"], "--json").out)
    assert found["matches_record"] is True


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("times = 2, layers", "times = 1000000000, layers", "model.layers.3.times: input should"),
        ("times = 2, layers", "times = 900, layers", "model: layers: 4,518 with all repetitions"),
        ('kind = "hard_swish"', 'kind = "hardswish"', 'Did you mean "hard_swish"?'),
        ("groups = 4", "groups = 3", "model.layers.4.layers.1.layers.1: group_norm: num_channels"),
        ("heads = 2", "heads = 3", "model.layers.5.layers.0: self_attention: 3 heads do not"),
        ("[model]", "[model]\ndepth = 0", "model.depth: input should be greater than 0"),
        ("[model]", "[model]\nwidth = 1e9", "model.width: input should be less than or equal"),
        (
            '{ kind = "flatten" }',
            "{ kind = 'residual', layers = [" * 300 + "]}" * 300,
            "values are nested too deeply. Nest them less.",
        ),
        ('{ kind = "flatten" }', "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_mistake_is_one_line(cli: Callable, nested: Path, old: str, new: str, words: str) -> None:
    assert old in NESTED
    nested.write_text(NESTED.replace(old, new, 1))
    answer = cli("summary", nested)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert words in answer.err


def test_one_image_at_one_pixel_is_refused_in_nested_layers_too(
    cli: Callable, nested: Path, tiny_data: Path, tmp_path: Path
) -> None:
    body = (
        "{kind='conv', out_channels=8, kernel_size=28, padding=0},"
        "{kind='residual', layers=[{kind='repeat', times=2, layers=[{kind='%s'}]}]}"
    )
    ending = "{kind='flatten'}, {kind='linear', out_features=10}"
    for kind, words in (
        ("batch_norm", "batch_norm cannot normalize one image at 1 × 1, and batches have one"),
        ("instance_norm", "1.layers.0.layers.0: instance_norm: one value per channel cannot be"),
    ):
        answer = cli(
            "train", nested, "--set", f"model.layers=[{body % kind}, {ending}]",
            "--set", "train.batch_size=1", "--data", tiny_data, "--out", tmp_path / "runs",
        )  # fmt: skip
        assert answer.code == 2
        assert answer.err.count("\n") == 1
        assert words in answer.err


@pytest.mark.slow
def test_it_learns_mnist_in_one_epoch(cli: Callable, nested: Path, tmp_path: Path) -> None:
    answer = cli("train", nested, "--out", tmp_path / "runs", "--json")
    assert answer.code == 0, answer.out
    record = json.loads(answer.out)
    assert record["test"]["accuracy"] >= 0.97
    assert len(record["epochs"]) == 1
