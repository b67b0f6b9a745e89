"""Headers on small devices: what they need, and that they compute the same there."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mnistcli.errors import UsageError
from mnistcli.experiment.measure_export import check_device, measure
from mnistcli.export import emulators
from mnistcli.export.c_header import render_header, render_row_header
from mnistcli.export.convert import convert
from mnistcli.export.elf import Sizes, read_sizes
from mnistcli.export.emulators import emulate, find_obstacle
from mnistcli.export.integer import IntegerModel, Levels
from mnistcli.export.memory import count_constants, place_values
from mnistcli.export.targets import TARGETS, Build, TargetName, build
from mnistcli.preset.schema import Normalization
from tests.export.drawn import build_network
from tests.export.test_c import FACTS, load_network, take

SMALL = [
    {"kind": "conv", "out_channels": 8, "kernel_size": 5, "stride": 2, "padding": 0},
    {"kind": "max_pool", "kernel_size": 2},
    {"kind": "batch_norm"},
    {"kind": "relu"},
    {"kind": "conv", "out_channels": 16, "kernel_size": 3},
    {"kind": "batch_norm"},
    {"kind": "silu"},
    {"kind": "global_average_pool"},
    {"kind": "linear", "out_features": 10},
]
CROSS: tuple[TargetName, ...] = ("cortex-m0", "cortex-m4", "atmega328p")


def make_small() -> IntegerModel:
    return convert(build_network(SMALL), Normalization(), take("train", 100))


def compile_for(name: TargetName, model: IntegerModel, folder: Path) -> Build:
    target = TARGETS[name]
    if not shutil.which(target.compiler):
        pytest.skip(f"no {target.compiler}: {target.packages}")
    return build(target, render_header(model, FACTS), folder)


def test_a_network_needs_its_constants_and_values_and_little_more(tmp_path: Path) -> None:
    model = make_small()
    made = compile_for("host", model, tmp_path)
    assert 0 < made.sizes.flash - count_constants(model) < 4_096
    assert 0 <= made.sizes.ram - place_values(model).size < 64
    assert made.stack is not None and 0 < made.stack < 1_024
    assert find_obstacle(made) == "there is no emulator for it"


def test_a_missing_compiler_names_its_package(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, package in (("cortex-m4", "libnewlib-arm-none-eabi"), ("atmega328p", "avr-libc")):
        with pytest.raises(UsageError, match=f"no compiler for {name}: .* apt install .*{package}"):
            build(TARGETS[name], "", tmp_path)


def test_sizes_are_those_that_size_tells(tmp_path: Path) -> None:
    if not (shutil.which("cc") and shutil.which("size")):
        pytest.skip("no cc, or no size")
    (tmp_path / "main.c").write_text(
        "static int a[99]; int b[9] = {1}; int main() { return a[b[0]]; }"
    )
    subprocess.run(["cc", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    text, data, bss, *_ = map(
        int, subprocess.check_output(["size", tmp_path / "main"]).splitlines()[1].split()[:3]
    )
    assert read_sizes(tmp_path / "main") == Sizes(text + data, data + bss)
    (tmp_path / "other").write_bytes(b"\xcf\xfa\xed\xfe and more")
    for name in ("other", "main.c"):
        with pytest.raises(UsageError, match="no ELF file"):
            read_sizes(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", CROSS)
def test_a_device_computes_what_the_definition_computes(name: TargetName, tmp_path: Path) -> None:
    model = make_small()
    made = compile_for(name, model, tmp_path)
    assert 0 < made.sizes.flash - count_constants(model) < 4_096
    assert made.sizes.ram == place_values(model).size
    if not shutil.which(made.target.emulator):
        pytest.skip(f"no {made.target.emulator}")
    assert find_obstacle(made) == ""
    images = take("test", 12)[:, 0].numpy()
    ran = emulate(made, images)
    assert np.array_equal(ran.logits, model.compute_logits(images))
    assert made.stack is not None and made.stack - 16 <= ran.stack < made.stack + 64
    count = ran.instructions or ran.cycles
    assert count is not None and 100_000 < count < 10_000_000
    assert (ran.cycles is None) is (name != "atmega328p")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["sprint", "journey-v3", "residual", "shared"])
@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m4"])
def test_networks_are_the_same_on_a_cortex(name: TargetName, preset: str, tmp_path: Path) -> None:
    model = load_network(preset)
    made = compile_for(name, model, tmp_path)
    if obstacle := find_obstacle(made):
        pytest.skip(obstacle)
    images = take("test", 20)[:, 0].numpy()
    ran = emulate(made, images)
    assert np.array_equal(ran.logits, model.compute_logits(images))
    if preset == "sprint":  # what the guide says
        assert made.sizes.flash < 21_500 and made.sizes.ram + ran.stack < 2_000
        assert ran.instructions is not None and ran.instructions < 5_000_000


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_many_packed_weights_are_found_on_a_device_whose_int_has_16_bits(
    stream: bool, tmp_path: Path
) -> None:
    layers = [{"kind": "flatten"}, {"kind": "linear", "out_features": 90}, {"kind": "relu"},
              {"kind": "linear", "out_features": 10}]  # fmt: skip
    model = convert(build_network(layers), Normalization(), take("train", 20))
    ternary = Levels(bits=2, first=-1)
    stages = tuple(
        replace(stage, convolution=replace(stage.convolution,
            weights=np.sign(stage.convolution.weights), levels=ternary))
        for stage in model.stages if stage.convolution is not None
    )  # fmt: skip
    model = replace(model, stages=stages)
    target = TARGETS["atmega328p"]
    if not shutil.which(target.compiler) or not shutil.which(target.emulator):
        pytest.skip(f"no {target.compiler}, or no {target.emulator}")
    header = (render_row_header if stream else render_header)(model, FACTS)
    made = build(target, header, tmp_path, stream=stream)
    images = take("test", 3)[:, 0].numpy()
    assert np.array_equal(emulate(made, images).logits, model.compute_logits(images))


@pytest.mark.slow
def test_what_is_too_large_for_a_device_is_not_run(tmp_path: Path, monkeypatch) -> None:
    made = compile_for("atmega328p", load_network("sprint"), tmp_path)
    assert made.sizes.ram + made.caller > 2_048
    monkeypatch.setattr(emulators.shutil, "which", lambda name: name)
    assert find_obstacle(made) == "it does not fit"


@pytest.mark.slow
def test_a_device_that_computes_otherwise_is_found_out(tmp_path: Path) -> None:
    model = make_small()
    made = compile_for("cortex-m0", model, tmp_path)
    if obstacle := find_obstacle(made):
        pytest.skip(obstacle)
    header = render_header(model, FACTS)
    other = build(
        made.target, header.replace("sum = mnist_bias_", "sum = 9 + mnist_bias_"), tmp_path
    )
    images = take("test", 3)[:, 0].numpy()
    assert not np.array_equal(emulate(other, images).logits, model.compute_logits(images))


def test_what_cannot_be_compiled_for_a_device_fails_by_its_constants() -> None:
    layers = [{"kind": "flatten"}, {"kind": "linear", "out_features": 60}, {"kind": "relu"}]
    model = convert(
        build_network([*layers, {"kind": "linear", "out_features": 10}]),
        Normalization(),
        take("train", 20),
    )
    found = measure(render_header(model, FACTS), SimpleNamespace(model=model), "atmega328p")
    assert found.target.flash == count_constants(model) > 32_768
    assert [row.reason for row in found.parity] == ["it does not fit"]
    rows = {row.name: row.verdict for row in check_device(found)}
    assert rows == {"device_flash": "fail", "device_ram": "inconclusive"}
