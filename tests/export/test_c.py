import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mnistcli.datasets.load import load_examples
from mnistcli.export.c_header import render_header
from mnistcli.export.convert import convert
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import IntegerModel
from mnistcli.export.run_c import MAIN
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Normalization
from tests.export.drawn import build_network, draw_network
from tests.export.random_models import make_model

NONE = Accuracy(0, 1, (0.0, 1.0))
FACTS = Facts("run", "preset */ int x;\n#error", "0", "0" * 64, "*/", 1, 1, NONE, NONE, None)
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZED = ("gcc", "-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover")
COMMANDS = [
    ("gcc", "-std=c99", "-O0"),
    ("gcc", "-std=c99", "-O3"),
    ("clang", "-std=c99", "-O0"),
    ("clang", "-std=c99", "-O3"),
    ("g++", "-x", "c++", "-std=c++11", "-O1"),
    SANITIZED,
]
IDS = [" ".join(command[:1] + command[-1:]) for command in COMMANDS]
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
RESIDUAL = [
    {"kind": "conv", "out_channels": 6, "kernel_size": 5, "stride": 2},
    {
        "kind": "residual",
        "layers": [
            {"kind": "conv", "out_channels": 8, "kernel_size": 3, "stride": 2},
            {"kind": "batch_norm"},
            {"kind": "relu"},
            {"kind": "conv", "out_channels": 8, "kernel_size": 3},
            {"kind": "batch_norm"},
        ],
    },
    {"kind": "relu"},
    {"kind": "global_average_pool"},
    {"kind": "linear", "out_features": 10},
]
SHARED = [
    {"kind": "conv", "out_channels": 8, "kernel_size": 5, "stride": 2},
    {
        "kind": "repeat",
        "times": 4,
        "shared": True,
        "layers": [
            {
                "kind": "residual",
                "layers": [
                    {"kind": "separable_conv", "out_channels": 8, "kernel_size": 3},
                    {"kind": "batch_norm"},
                    {"kind": "silu"},
                ],
            }
        ],
    },
    {"kind": "global_max_pool"},
    {"kind": "linear", "out_features": 10},
]


def run(model: IntegerModel, images: NDArray[np.uint8], folder: Path, *command: str) -> bytes:
    """Return what the program of a header prints for images."""
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    (folder / "network.h").write_text(render_header(model, FACTS), encoding="utf-8")
    (folder / "main.c").write_text(MAIN)
    subprocess.run([*command, *WARNINGS, "main.c", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run(["./main"], cwd=folder, input=images.tobytes(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def take(split: str, count: int) -> torch.Tensor:
    return load_examples(split).images[:count]  # type: ignore[arg-type]


def load_network(name: str) -> IntegerModel:
    layers = {"residual": RESIDUAL, "shared": SHARED}.get(name)
    if layers is None:
        preset = load_preset(name)
        layers = [layer.model_dump() for layer in preset.model.layers or ()]
    return convert(build_network(layers), Normalization(), take("train", 200))


@needs_gcc
def test_c_computes_what_the_definition_computes(tmp_path: Path) -> None:
    images = take("test", 30)[:, 0].numpy()
    model = load_network("shared")
    logits = model.compute_logits(images)
    assert run(model, images, tmp_path, *COMMANDS[0]) == logits.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sprint", "journey-v3", "residual", "shared"])
@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_compiler_agrees(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    images = take("test", 200)[:, 0].numpy()
    model = load_network(name)
    assert run(model, images, tmp_path, *command) == model.compute_logits(images).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_random_networks_agree(command: tuple[str, ...], tmp_path: Path) -> None:
    images = take("test", 20)[:, 0].numpy()
    place = COMMANDS.index(command)
    for seed in range(place, 120, len(COMMANDS)):
        model = convert(draw_network(seed), Normalization(), take("train", 50))
        found = run(model, images, tmp_path, *command)
        assert found == model.compute_logits(images).tobytes(), f"network {seed}"


def test_the_header_needs_nothing_and_no_name_ends_its_comment() -> None:
    header = render_header(load_network("shared"), FACTS)
    assert [line for line in header.splitlines() if line.startswith("#include")] == [
        "#include <stdint.h>"
    ]
    for word in ("float", "double", "malloc"):
        assert word not in header.partition("#if ")[2]
    assert header.partition("#if ")[0].count("*/") == 1


@needs_gcc
def test_two_networks_in_one_source_file_are_an_error(tmp_path: Path) -> None:
    for number, model in enumerate(map(make_model, (0, 1))):
        (tmp_path / f"{number}.h").write_text(render_header(model, FACTS), encoding="utf-8")
    command = ("gcc", "-fsyntax-only", "-x", "c", "-std=c99", "-Wall", "-Werror", "-")
    for names, fault in (("00", ""), ("01", "Another network is included already")):
        source = "".join(f'#include "{name}.h"\n' for name in names)
        source += "int main(void) { static uint8_t image[784]; return mnist_predict(image); }\n"
        done = subprocess.run(command, input=source, text=True, capture_output=True, cwd=tmp_path)
        assert (done.returncode != 0) == bool(fault) and fault in done.stderr
