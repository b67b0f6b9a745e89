from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.datasets.load import load_examples
from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.engine.network.calibrate import choose_scale
from mnistcli.engine.network.stages import compute_stages, plan_stages
from mnistcli.errors import PresetError
from mnistcli.export.convert import convert
from mnistcli.export.integer import (
    BYTES,
    Convolution,
    Levels,
    Pool,
    compute_stage,
    convolve,
    pool,
    scale,
)
from mnistcli.export.memory import count_constants, pack, place_values
from mnistcli.preset.schema import Normalization
from tests.export.drawn import build_network, draw_network

MNIST = Normalization()
CONV = {"kind": "conv", "out_channels": 4, "kernel_size": 3}
NORM, RELU, POOL = {"kind": "batch_norm"}, {"kind": "relu"}, {"kind": "max_pool"}
HEAD = [{"kind": "flatten"}, {"kind": "linear", "out_features": 10}]


@cache
def load_images() -> torch.Tensor:
    return load_examples("train").images[:200]


@pytest.fixture
def images() -> torch.Tensor:
    return load_images()


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000))
def test_stages_compute_what_the_network_computes(seed: int) -> None:
    model = draw_network(seed)
    inputs = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    *_, logits = compute_stages(plan_stages(model), inputs)
    with torch.no_grad():
        torch.testing.assert_close(logits.flatten(1), model(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_integers_are_close_to_the_network(seed: int) -> None:
    images = load_images()
    model = draw_network(seed)
    converted = convert(model, MNIST, images)
    with torch.no_grad():
        logits = model(normalize(to_inputs(images), MNIST)).numpy()
    found = converted.compute_logits(images[:, 0].numpy()) * converted.logit_scale
    assert np.sqrt(np.mean((found - logits) ** 2)) <= 0.15 * np.sqrt(np.mean(logits**2)) + 1e-6


def test_sums_are_those_of_whole_numbers() -> None:
    chance = np.random.default_rng(0)
    weights = chance.integers(-127, 128, (4, 2, 3, 2)).astype(np.int8)
    bias = chance.integers(-1_000, 1_000, 4).astype(np.int32)
    convolution = Convolution(weights, bias, stride=2, padding=1, dilation=2, groups=2)
    values = chance.integers(-255, 256, (2, 4, 9, 8))
    right = torch.nn.functional.conv2d(
        torch.from_numpy(values),
        torch.from_numpy(weights.astype(np.int64)),
        torch.from_numpy(bias.astype(np.int64)),
        stride=2,
        padding=1,
        dilation=2,
        groups=2,
    )
    assert (convolve(convolution, values) == right.numpy()).all()


@given(product=st.integers(-(2**46), 2**46), shift=st.integers(1, 32))
def test_halves_are_rounded_up(product: int, shift: int) -> None:
    right = (2 * product + (1 << shift)) // (1 << (shift + 1))
    assert int(scale(np.array([product]), shift)[0]) == right
    # So does JavaScript, whose numbers are float64.
    assert np.floor((float(product) + 2.0 ** (shift - 1)) / 2.0**shift) == right


def test_pooling_drops_what_is_left_over() -> None:
    values = np.arange(25).reshape(1, 1, 5, 5)
    assert pool("max", values, 2, 2).tolist() == [[[[6, 8], [16, 18]]]]
    assert pool("sum", values, 2, 2).tolist() == [[[[12, 20], [52, 60]]]]


def test_zero_and_padding_are_the_pixel_that_normalizes_to_0(images: torch.Tensor) -> None:
    model = convert(build_network([CONV, *HEAD]), MNIST, images)
    assert model.zero == 33
    flat = np.full((1, 28, 28), 33, dtype=np.uint8)
    first = next(iter(model.compute_values(flat)))
    assert (first == first[:, :, :1, :1]).all()


def test_pooling_before_a_norm_works_on_the_sums(images: torch.Tensor) -> None:
    stage = convert(build_network([CONV, POOL, NORM, RELU, *HEAD]), MNIST, images).stages[0]
    assert stage.steps == (Pool("max", 2, 2),)
    assert stage.name == "0 conv, 1 max_pool, 2 batch_norm, 3 relu"
    assert (stage.multipliers < 0).any() and (stage.multipliers > 0).any()
    assert (stage.low, stage.high) == (0, 255)


def test_a_rectifier_before_a_norm_keeps_its_place(images: torch.Tensor) -> None:
    stage = convert(build_network([CONV, RELU, NORM, *HEAD]), MNIST, images).stages[0]
    assert [type(step).__name__ for step in stage.steps] == ["Rectify", "Offset"]
    assert (stage.low, stage.high) == (-128, 127)


def test_averages_divide_in_the_multiplier(images: torch.Tensor) -> None:
    layers = [CONV, NORM, RELU, {"kind": "global_average_pool"}, HEAD[1]]
    stage = convert(build_network(layers), MNIST, images).stages[1]
    assert stage.steps == (Pool("sum", 28, 28),)
    assert stage.convolution is None


def test_shared_weights_are_counted_once(images: torch.Tensor) -> None:
    def count(*, shared: bool) -> int:
        repeat = {"kind": "repeat", "times": 3, "shared": shared, "layers": [CONV, NORM, RELU]}
        return count_constants(convert(build_network([CONV, repeat, *HEAD]), MNIST, images))

    assert count(shared=False) - count(shared=True) >= 2 * 4 * 4 * 9


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_values_that_are_needed_together_do_not_overlap(seed: int) -> None:
    model = convert(draw_network(seed), MNIST, load_images()[:2])
    buffers = place_values(model)
    memory = np.full(buffers.size, -1)
    for number, stage in enumerate(model.stages):
        for source in stage.sources:
            if source:
                start = buffers.offsets[source]
                size = int(np.prod(model.stages[source - 1].shape))
                assert (memory[start : start + size] == source).all()
        if number + 1 < len(model.stages):
            start = buffers.offsets[number + 1]
            memory[start : start + int(np.prod(stage.shape))] = number + 1


@pytest.mark.parametrize(
    "levels", [Levels(4, -8), Levels(2, -3, 2), Levels(2, -1)], ids=["4", "2", "ternary"]
)
def test_packed_weights_come_back(levels: Levels) -> None:
    codes = np.random.default_rng(0).integers(0, 3, 77)
    weights = levels.first + levels.step * codes
    packed = pack(weights, levels)
    assert packed.dtype == np.uint8 and len(packed) == -(-77 * levels.bits // 8)
    shifts = np.arange(8 // levels.bits) * levels.bits
    found = (packed[:, None] >> shifts & (2**levels.bits - 1)).ravel()[:77]
    assert (found == codes).all()
    assert pack(weights, BYTES).tolist() == weights.tolist()


@pytest.mark.parametrize(
    "layer",
    [
        {"kind": "squeeze_excite"},
        {"kind": "self_attention"},
        {"kind": "group_norm", "groups": 2},
        {"kind": "instance_norm"},
    ],
    ids=lambda layer: str(layer["kind"]),
)
def test_layers_without_an_integer_form_are_named(layer: dict[str, object]) -> None:
    model = build_network([CONV, {"kind": "residual", "layers": [layer]}, *HEAD])
    with pytest.raises(PresetError, match=f"layer 1.0 {layer['kind']} cannot be computed"):
        plan_stages(model)


def test_sums_beyond_32_bits_are_refused(images: torch.Tensor) -> None:
    wide = {"kind": "conv", "out_channels": 2, "kernel_size": 27}
    model = build_network([CONV, wide, {"kind": "average_pool", "kernel_size": 14}, *HEAD])
    with torch.no_grad():
        model[1].weight.fill_(1)
    with pytest.raises(PresetError, match="sums do not fit into 32 bits"):
        convert(model, MNIST, images[:2])


def test_a_table_holds_the_activation(images: torch.Tensor) -> None:
    model = convert(build_network([CONV, {"kind": "silu"}, *HEAD]), MNIST, images)
    stage = model.stages[0]
    assert stage.table is not None and stage.is_signed
    assert stage.table[128] == 0
    plain = replace(stage, table=None)
    values = [images[:, 0].numpy()[:2, None].astype(np.int64) - model.zero]
    looked_up = stage.table.astype(np.int64)[compute_stage(plain, values) + 128]
    assert (compute_stage(stage, values) == looked_up).all()


@pytest.mark.parametrize("shape", [(1000, 32, 7, 7), (1000, 16, 13, 13), (50, 9, 28, 28)])
def test_scales_are_chosen_by_values_of_the_whole_map(shape: tuple[int, ...]) -> None:
    """Values at the left edge are small."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    values[..., 0] *= 0.2
    largest = float(values.max())
    assert choose_scale(values, 255) > 0.95 * largest / 255
