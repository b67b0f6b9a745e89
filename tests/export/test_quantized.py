"""Networks trained for integers: simulation, definition and C are equal, with packed weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mnistcli.datasets.load import load_examples
from mnistcli.engine.evaluation import BATCH, normalize, to_inputs
from mnistcli.engine.network.quantize import Quantized
from mnistcli.export.convert import convert
from mnistcli.export.integer import IntegerModel
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Normalization
from mnistcli.preset.training import Quantize
from tests.export.drawn import build_network, draw_network
from tests.export.test_c import RESIDUAL, SHARED, needs_gcc, run

MNIST = Normalization()
WEIGHTS: list[int | str] = [8, 4, 2, "ternary"]
GCC = ("gcc", "-std=c99", "-O2")


def train(network: nn.Sequential, weights: int | str, steps: int) -> Quantized:
    """Return the network after a few steps on real images, in evaluation mode."""
    model = Quantized(network, Quantize.model_validate({"weights": weights}), MNIST).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    examples = load_examples("train")
    for images, labels in zip(
        examples.images.split(50)[:steps], examples.labels.split(50), strict=False
    ):
        optimizer.zero_grad()
        logits = model(normalize(to_inputs(images), MNIST))
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    return model.eval()


def make(name: str, weights: int | str) -> Quantized:
    layers: Sequence | None = {"residual": RESIDUAL, "shared": SHARED}.get(name)
    if layers is None:
        layers = [layer.model_dump() for layer in load_preset(name).model.layers or ()]
    return train(build_network(layers), weights, 20)


def find_differences(model: Quantized, count: int) -> tuple[IntegerModel, int]:
    """Return the definition, and on how many test images the simulation has other logits."""
    images = load_examples("test").images[:count]
    definition = convert(model, MNIST, images[:1])
    found = [model(normalize(to_inputs(part), MNIST)).numpy() for part in images.split(BATCH)]
    logits = definition.compute_logits(images[:, 0].numpy())
    wanted = (logits * definition.logit_scale).astype(np.float32)
    return definition, int((np.concatenate(found) != wanted).any(axis=1).sum())


def agrees_in_c(definition: IntegerModel, count: int, folder: Path) -> bool:
    images = load_examples("test").images[:count, 0].numpy()
    return run(definition, images, folder, *GCC) == definition.compute_logits(images).tobytes()


@needs_gcc
@pytest.mark.parametrize("weights", [4, "ternary"])
def test_packed_weights_are_unpacked_in_c(weights: int | str, tmp_path: Path) -> None:
    definition, different = find_differences(train(build_network(RESIDUAL), weights, 1), 30)
    assert different == 0
    assert agrees_in_c(definition, 30, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("sprint", 4), ("sprint", "ternary"), ("journey-v3", 4), ("residual", 8), ("residual", 2),
        ("shared", "ternary"),
    ],
)  # fmt: skip
def test_every_test_image_has_equal_logits(name: str, weights: int | str, tmp_path: Path) -> None:
    definition, different = find_differences(make(name, weights), 10_000)
    assert different == 0
    assert agrees_in_c(definition, 2_000, tmp_path)


@pytest.mark.slow
def test_random_networks_agree(tmp_path: Path) -> None:
    for seed in range(100):
        network = train(draw_network(seed), WEIGHTS[seed % 4], 1)
        definition, different = find_differences(network, 20)
        assert different == 0, f"network {seed}"
        assert seed % 10 or agrees_in_c(definition, 20, tmp_path), f"network {seed}"
