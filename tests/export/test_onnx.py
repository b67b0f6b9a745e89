"""ONNX models compute in onnxruntime what PyTorch and the integer model compute."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mnistcli.datasets.load import load_examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.engine.network.build import build_model
from mnistcli.errors import PresetError, UsageError
from mnistcli.experiment import export_onnx
from mnistcli.export.convert import convert
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import IntegerModel
from mnistcli.export.onnx_check import Agreement, compare_logits, run_onnx
from mnistcli.export.onnx_float import build_float
from mnistcli.export.onnx_graph import IR_VERSION, OPSET
from mnistcli.export.onnx_integer import build_integer
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Normalization
from tests.conftest import Answer
from tests.engine.network.nested import HEAD, build, nested

NORMALIZATION = Normalization()
ACCURACY = Accuracy(9_940, 10_000, (0.9923, 0.9953))
FACTS = Facts(
    run_id="sprint-1",
    preset="sprint",
    version="0.2.0",
    weights_sha256="ab" * 32,
    data="MNIST",
    parameters=19_514,
    macs=376_064,
    float_accuracy=ACCURACY,
    integer_accuracy=replace(ACCURACY, correct=9_939),
    answer_limits=None,
)
CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
NORM, RELU, POOL = {"kind": "batch_norm"}, {"kind": "relu"}, {"kind": "max_pool"}
SHARED = {"kind": "repeat", "times": 3, "shared": True, "layers": [CONV, NORM, RELU]}
KINDS: dict[str, list[dict]] = {
    "conv": [{**CONV, "stride": 2, "padding": 0, "bias": False}, {**CONV, "dilation": 2}],
    "groups": [CONV, {**CONV, "groups": 4}],
    "separable_conv": [{"kind": "separable_conv", "out_channels": 6, "kernel_size": 3}],
    "batch_norm": [CONV, NORM, RELU],
    "group_norm": [CONV, {"kind": "group_norm", "groups": 4}],
    "instance_norm": [CONV, {"kind": "instance_norm"}],
    **{
        kind: [CONV, {"kind": kind}]
        for kind in ("relu", "leaky_relu", "prelu", "silu", "gelu", "hard_swish")
    },
    "max_pool": [CONV, {"kind": "max_pool", "kernel_size": 3}],
    "average_pool": [CONV, {"kind": "average_pool", "kernel_size": 3}],
    "dropout": [CONV, {"kind": "dropout2d", "probability": 0.5}],
    "flatten": [{**CONV, "stride": 4}, {"kind": "flatten"}, {"kind": "linear", "out_features": 12}],
    "global_max_pool": [CONV, {"kind": "global_max_pool"}],
    "squeeze_excite": [CONV, {"kind": "squeeze_excite"}],
    "self_attention": [{**CONV, "stride": 4}, {"kind": "self_attention", "heads": 2}],
    "residual": [CONV, {"kind": "residual", "layers": [CONV, NORM]}],
    "projection": [CONV, {"kind": "residual", "layers": [{**CONV, "out_channels": 4}, POOL]}],
    "features": [
        *({**CONV, "stride": 4}, {"kind": "flatten"}),
        {"kind": "residual", "layers": [{"kind": "linear", "out_features": 12}, RELU]},
    ],
    "shared": [CONV, SHARED],
}
INTEGER_KINDS: dict[str, list[dict]] = {
    "norm after pooling": [CONV, POOL, NORM, RELU],
    "norm after ReLU": [CONV, RELU, NORM],
    "norm after average": [CONV, {"kind": "average_pool"}, NORM],
    "norm alone": [POOL, NORM, CONV],
    "pooling last": [CONV, NORM, RELU, POOL],
    "table and pooling": [CONV, NORM, {"kind": "silu"}, POOL],
    "averages of images": [{"kind": "average_pool"}, CONV],
}
WITHOUT_INTEGERS = ("group_norm", "instance_norm", "squeeze_excite", "self_attention")


def random_network(layers: list[dict]) -> nn.Sequential:
    """The layers and a head, with no weight or mean as it is initialized; some gains negative."""
    ends = layers[-1]["kind"] == "global_max_pool" or any(e["kind"] == "flatten" for e in layers)
    model = build([*layers, *(HEAD[1:] if ends else HEAD)]).eval()
    return randomize(model)


def randomize(model: nn.Sequential) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                tensor.add_(noise.abs() if "var" in name else 0.3 * noise)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data[::3].neg_()
    return model


@cache
def images(count: int) -> Tensor:
    return load_examples("test").images[:count]


def run_float(model: nn.Sequential, count: int) -> Agreement:
    """The float model in onnxruntime beside PyTorch."""
    content = build_float(model, NORMALIZATION, FACTS)
    with torch.no_grad():
        wanted = model(normalize(to_inputs(images(count)), NORMALIZATION)).numpy()
    return compare_logits(run_onnx(content, images(count)[:, 0].numpy()), wanted)


def run_integer(model: IntegerModel, count: int) -> Agreement:
    """The 8-bit model in onnxruntime beside the definition."""
    pixels = images(count)[:, 0].numpy()
    content = build_integer(model, NORMALIZATION, FACTS)
    wanted = model.compute_logits(pixels).astype(np.float32) * np.float32(model.logit_scale)
    return compare_logits(run_onnx(content, pixels), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_computes_what_pytorch_computes(kind: str) -> None:
    model = random_network(KINDS[kind])
    for count in (1, 5):
        found = run_float(model, count)
        assert found.images == found.equal_answers == count
        assert found.max_difference < 1e-5 * max(1, found.max_logit)


@pytest.mark.parametrize("kind", sorted((KINDS | INTEGER_KINDS).keys() - set(WITHOUT_INTEGERS)))
def test_every_kind_of_layer_in_8_bits_computes_what_is_defined(kind: str) -> None:
    model = random_network((KINDS | INTEGER_KINDS)[kind])
    found = run_integer(convert(model, NORMALIZATION, images(30)), 20)
    assert found.equal_answers == 20
    assert found.max_difference < 0.01 * found.max_logit


@pytest.mark.parametrize("preset", ["sprint", "journey-v3"])
def test_presets_compute_the_same_in_onnxruntime(preset: str) -> None:
    layers = load_preset(preset).model.scaled_layers
    model = randomize(build_model(layers, make_generator(0, "weights")))
    found = run_float(model.eval(), 20)
    assert found.max_difference < 1e-5 * found.max_logit
    found = run_integer(convert(model, NORMALIZATION, images(30)), 20)
    assert found.equal_answers >= 19
    assert found.max_difference < 0.03 * found.max_logit


def test_without_8_bits_in_between_logits_are_off_by_one_unit_at_most() -> None:
    model = convert(random_network([{"kind": "flatten"}]), NORMALIZATION, images(30))
    found = run_integer(model, 100)
    assert found.equal_answers == 100
    assert found.max_difference < 1.1 * model.logit_scale


def test_what_is_pinned_is_in_the_model() -> None:
    model = random_network(KINDS["batch_norm"])
    integer = convert(model, NORMALIZATION, images(30))
    for content, correct in (
        (build_float(model, NORMALIZATION, FACTS), 9_940),
        (build_integer(integer, NORMALIZATION, FACTS), 9_939),
    ):
        loaded = onnx.load_from_string(content)
        assert [(each.domain, each.version) for each in loaded.opset_import] == [("", OPSET)]
        assert (loaded.ir_version, loaded.producer_name) == (IR_VERSION, "mnistcli")
        assert loaded.producer_version == "0.2.0"
        assert {each.key: each.value for each in loaded.metadata_props} == {
            "run_id": "sprint-1",
            "preset": "sprint",
            "weights_sha256": "ab" * 32,
            "mnistcli_version": "0.2.0",
            "data": "MNIST",
            "parameters": "19514",
            "macs": "376064",
            "test_correct": str(correct),
            "test_total": "10000",
            "accuracy": str(correct / 10_000),
            "accuracy_low": "0.9923",
            "accuracy_high": "0.9953",
            "normalization_mean": "0.1307",
            "normalization_std": "0.3081",
        }
    assert (OPSET, IR_VERSION) == (18, 8)


def test_the_same_network_is_the_same_file() -> None:
    model = random_network(KINDS["shared"])
    contents = {build_float(model, NORMALIZATION, FACTS) for _ in range(2)}
    assert len(contents) == 1
    integer = convert(model, NORMALIZATION, images(30))
    assert len({build_integer(integer, NORMALIZATION, FACTS) for _ in range(2)}) == 1


def test_shared_weights_are_stored_once_under_the_names_of_pytorch() -> None:
    model = random_network([CONV, SHARED])
    graph = onnx.load_from_string(build_float(model, NORMALIZATION, FACTS)).graph
    weights = [each.name for each in graph.initializer if not each.name.startswith("number")]
    wanted = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    assert sorted(weights) == sorted(wanted)
    users = [node.name for node in graph.node if "1.0.0.weight" in node.input]
    assert users == ["1.0.0.conv", "1.1.0.conv", "1.2.0.conv"]


def test_texts_of_any_kind_are_kept_or_escaped() -> None:
    hostile = '\ud800\x00\n"é😀\udcff' + "x" * 10_000
    facts = replace(FACTS, run_id=hostile, preset=hostile, data=hostile, version=hostile)
    content = build_float(random_network([CONV]), NORMALIZATION, facts)
    found = {each.key: each.value for each in onnx.load_from_string(content).metadata_props}
    for key in ("run_id", "preset", "data"):
        assert found[key].startswith('\\xed\\xa0\\x80\x00\n"é😀\\xed\\xb3\\xbfxxx')
    assert run_onnx(content, images(1)[:, 0].numpy()).shape == (1, 10)


def test_weights_in_8_bits_cannot_overflow_16() -> None:
    """Unsigned weights with the zero point 128; onnxruntime adds up others in 16 bits on AVX2."""
    model = convert(random_network([CONV, NORM, RELU, CONV]), NORMALIZATION, images(30))
    graph = onnx.load_from_string(build_integer(model, NORMALIZATION, FACTS)).graph
    stored = {each.name: each for each in graph.initializer}
    weights = [name for name in stored if name.endswith(".weight")]
    assert len(weights) == 3
    for name in weights:
        assert stored[name].data_type == onnx.TensorProto.UINT8
        assert set(onnx.numpy_helper.to_array(stored[f"{name}.zero"])) == {128}


def test_without_onnx_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"^--to onnx needs onnx: pip install onnx on"):
        build_float(random_network([CONV]), NORMALIZATION, FACTS)


@pytest.fixture(scope="module")
def tiny_run(
    cli: Callable[..., Answer],
    tiny_preset: Path,
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    done = cli("train", tiny_preset, "--data", tiny_data, "--out", out, "--set", "train.epochs=1")
    assert done.code == 0, done.err
    (folder,) = out.iterdir()
    return folder


def test_export_writes_and_checks_two_models(
    cli: Callable[..., Answer], tiny_run: Path, tmp_path: Path
) -> None:
    done = cli("export", tiny_run, "--to", "onnx", "--out", tmp_path / "net.onnx", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [Path(file["path"]).name for file in document["files"]] == ["net.onnx", "net.int8.onnx"]
    for file, parity in zip(document["files"], document["parity"], strict=True):
        onnx.checker.check_model(onnx.load(file["path"]), full_check=True)
        assert (parity["images"], parity["equal_answers"]) == (200, 200)
        assert parity["first_difference"] is None and parity["tool"].startswith("onnxruntime")
    assert document["parity"][0]["max_difference"] < 1e-4
    shown = cli("export", tiny_run, "--to", "onnx", "--out", tmp_path / "net.onnx")
    assert "ONNX float ~ PyTorch: 200 of 200 answers" in shown.out
    assert "ONNX int8 ~ definition: 200 of 200 answers" in shown.out


def test_a_model_that_computes_something_else_is_told_and_renamed(
    cli: Callable[..., Answer], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_wrongly(content: bytes, pixels: np.ndarray) -> np.ndarray:
        logits = run_onnx(content, pixels)
        if b"QuantizeLinear" in content:
            logits[7, 3] += 100
        return logits

    monkeypatch.setattr(export_onnx, "run_onnx", run_wrongly)
    done = cli("export", tiny_run, "--to", "onnx", "--out", tmp_path / "net.onnx")
    assert done.code == 1
    assert "ONNX int8 computes other logits" in done.err and "test image 7" in done.err
    assert 'net.int8.onnx.mismatch"' in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"net.int8.onnx.mismatch", "net.onnx"}


def test_export_without_the_extra_or_the_runtime(
    cli: Callable[..., Answer], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_onnx, "find_runtime", lambda: None)
    done = cli("export", tiny_run, "--to", "onnx", "--out", tmp_path / "net.onnx")
    assert done.code == 0 and "\n ONNX float: not run" in done.out
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = cli("export", tiny_run, "--to", "onnx", "--out", tmp_path / "other.onnx")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "pip install onnx onnxruntime onnxscript" in done.err
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.slow
def test_a_network_trained_for_integers_is_written_in_8_bits_only(
    cli: Callable[..., Answer], tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    trained = cli(
        *("train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs"),
        *("--set", "train.epochs=1", "--set", "train.quantize.weights=4"),
    )
    assert trained.code == 0, trained.err
    (folder,) = (tmp_path / "runs").iterdir()
    done = cli("export", folder, "--to", "onnx", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [Path(file["path"]).name for file in document["files"]] == ["network.int8.onnx"]
    (parity,) = document["parity"]
    assert (parity["name"], parity["equal_answers"]) == ("ONNX int8", 200)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(nested, min_size=1, max_size=4))
def test_random_networks_compute_the_same_in_onnxruntime(body: list[dict]) -> None:
    try:
        model = build([*body, *HEAD])
    except PresetError:
        return
    model = randomize(model.eval())
    found = run_float(model, 20)
    assert found.max_difference < 1e-4 * found.max_logit
    try:
        integer = convert(model, NORMALIZATION, images(30))
    except PresetError:
        return
    found = run_integer(integer, 20)
    assert found.max_difference < 0.1 * found.max_logit


@pytest.mark.slow
def test_sprint_trained_answers_all_test_images_as_defined(
    cli: Callable[..., Answer], tmp_path: Path
) -> None:
    trained = cli("train", "sprint", "--set", "train.epochs=1", "--out", tmp_path / "run")
    assert trained.code in (0, 3), trained.err
    (folder,) = (tmp_path / "run").iterdir()
    done = cli("export", folder, "--to", "onnx", "--json")
    document = json.loads(done.out)
    for parity, least, within in zip(document["parity"], (10_000, 9_990), (1e-4, 0.5), strict=True):
        assert parity["images"] == 10_000 and parity["equal_answers"] >= least
        assert parity["max_difference"] < within
