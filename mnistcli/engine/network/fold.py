"""A stage's weights, normalization and scales → the integers that it computes with.

A value v stands for the real number scale · v. Source of the arithmetic: Jacob et al. 2018,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
section 2.2; here zero is always 0, and the multipliers are signed and have 15 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log2

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistcli.engine.evaluation import Normalization
from mnistcli.engine.network.layers import GlobalAveragePool
from mnistcli.engine.network.levels import GRIDS, Grid
from mnistcli.engine.network.stages import Curve, Stage
from mnistcli.errors import PresetError

MULTIPLIER_BITS = 15
MULTIPLIER_LIMIT = 2**MULTIPLIER_BITS - 1
MAX_SHIFT = 32
OFFSET_LIMIT = 2**30
"""Max absolute value of a bias; the sums have as much room again."""
SUM_LIMIT = 2**31 - 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Constants:
    """The integers of a stage."""

    weights: NDArray[np.int8] | None
    """(outputs, inputs / groups, height, width); of a linear layer (outputs, inputs)."""
    bias: NDArray[np.int32]
    """Added to the sums; (channels,)."""
    offset: NDArray[np.int32] | None
    """Added after the steps on the sums; (channels,)."""
    multipliers: NDArray[np.int16]
    """(channels,), or one for each value that an addition reads."""
    shift: int


@dataclass(frozen=True)
class Weights:
    """Integer weights, and the real weight of an integer 1 for every output channel."""

    integers: NDArray[np.int8]
    scales: Floats
    grid: Grid = GRIDS[8]


def round_weights(weight: torch.Tensor) -> Weights:
    """Round a layer's weights, every output channel by its own scale; symmetric around 0."""
    values = to_floats(weight)
    flat = np.abs(values.reshape(len(values), -1)).max(axis=1)
    scales = np.where(flat > 0, flat, 1.0) / 127
    shape = (-1,) + (1,) * (values.ndim - 1)
    return Weights(np.rint(values / scales.reshape(shape)).astype(np.int8), scales)


def to_floats(tensor: torch.Tensor) -> Floats:
    """Return a tensor as a float64 array."""
    return tensor.detach().cpu().double().numpy()


@dataclass(frozen=True)
class Inputs:
    """The real numbers that integers stand for: scale · integer + shift."""

    scale: float
    shift: float = 0.0
    """Not 0 for images whose mean pixel is not a whole number."""


def find_image(normalization: Normalization) -> tuple[int, Inputs]:
    """Return the pixel that stands for 0, and what pixels less that one stand for."""
    zero, unit = round(255 * normalization.mean), 1 / (255 * normalization.std)
    return zero, Inputs(unit, (zero - 255 * normalization.mean) * unit)


def fold(
    stage: Stage,
    inputs: Sequence[Inputs],
    sums: torch.Tensor,
    output_scale: float | None,
    weights: Weights | None = None,
) -> tuple[Constants, float]:
    """Return the integers of a stage, and the scale of its results.

    Args:
        stage: in evaluation mode.
        inputs: what the values that it reads stand for.
        sums: of any image, (1, c, h, w), for their shape.
        output_scale: real number of a result of 1; None for logits, which keep the sums' scale.
        weights: of its layer; by default rounded to 8 bits.

    Raises:
        PresetError: its sums do not fit into 32 bits.
    """
    if len(inputs) > 1:
        return _fold_addition([each.scale for each in inputs], output_scale)
    if weights is None and stage.layer is not None:
        weights = round_weights(stage.layer.weight)
    if weights is None and stage.norm is not None:
        # Its inputs, 127-fold, are the sums: an offset in units of the inputs would be too coarse.
        ones = np.full((sums.shape[1], 1, 1, 1), 127, dtype=np.int8)
        weights = Weights(ones, np.full(sums.shape[1], 1 / 127))
    constants, scale = _fold_stage(stage, inputs[0], sums, weights, output_scale)
    _check_sums(stage, constants, sums)
    return constants, scale


def _fold_addition(units: Sequence[float], output: float | None) -> tuple[Constants, float]:
    scale = max(units) if output is None else output
    ratios = np.array(units) / scale
    shift = _choose_shift(float(ratios.max()))
    none = np.zeros(0, dtype=np.int32)
    return Constants(None, none, None, _round_multipliers(ratios, shift), shift), scale


def _fold_stage(
    stage: Stage,
    inputs: Inputs,
    sums: torch.Tensor,
    weights: Weights | None,
    output_scale: float | None,
) -> tuple[Constants, float]:
    channels, count = sums.shape[1], _count_averaged(stage, sums)
    gain, added = _fold_norm(stage, channels)
    units = np.full(channels, inputs.scale) if weights is None else inputs.scale * weights.scales
    bias = _read_bias(stage, channels)
    if weights is not None:
        bias = bias + inputs.shift * weights.scales * weights.integers.reshape(channels, -1).sum(1)
    ratios = units * gain / count
    scale = float(np.abs(ratios).max()) if output_scale is None else output_scale
    shift = _choose_shift(float(np.abs(ratios).max()) / scale)
    # A ReLU on the sums needs the layer's own bias before it, and the rest after it.
    is_split = stage.norm is not None and any(isinstance(each, nn.ReLU) for each in stage.sums)
    last = added if is_split else bias * gain + added
    multipliers = _round_multipliers(ratios / scale, shift, np.abs(last) / scale)
    offset = _round_sums(last * 2.0**shift / (multipliers * scale) / (1 if is_split else count))
    constants = Constants(
        weights=None if weights is None else weights.integers,
        bias=_round_sums(bias / units) if is_split else offset,
        offset=offset if is_split else None,
        multipliers=multipliers,
        shift=shift,
    )
    return constants, scale


def _count_averaged(stage: Stage, sums: torch.Tensor) -> int:
    """Return how many sums an average is taken of; 1 without one."""
    for module in stage.sums:
        match module:
            case nn.AvgPool2d():
                return int(module.kernel_size) ** 2  # type: ignore[arg-type]
            case GlobalAveragePool():
                return int(sums.shape[2] * sums.shape[3])
    return 1


def _round_sums(values: Floats) -> NDArray[np.int32]:
    rounded: NDArray[np.int32] = np.rint(values.clip(-OFFSET_LIMIT, OFFSET_LIMIT)).astype(np.int32)
    return rounded


def _check_sums(stage: Stage, constants: Constants, sums: torch.Tensor) -> None:
    """Raise unless the largest possible sums fit into 32 bits."""
    products = 255 * np.ones(1, dtype=np.int64)
    if constants.weights is not None:
        weights = constants.weights.astype(np.int64)
        products = 255 * np.abs(weights).reshape(len(weights), -1).sum(axis=1)
    bound = (products + np.abs(constants.bias.astype(np.int64))) * _count_averaged(stage, sums)
    if constants.offset is not None:
        bound = bound + np.abs(constants.offset.astype(np.int64))
    if bound.max() > SUM_LIMIT:
        raise PresetError("its sums do not fit into 32 bits. Make it narrower.")


def _fold_norm(stage: Stage, channels: int) -> tuple[Floats, Floats]:
    """Return what the normalization multiplies by and adds, for every channel."""
    if stage.norm is None:
        return np.ones(channels), np.zeros(channels)
    norm = stage.norm
    assert norm.running_mean is not None and norm.running_var is not None
    gain = to_floats(norm.weight) / np.sqrt(to_floats(norm.running_var) + norm.eps)
    return gain, to_floats(norm.bias) - to_floats(norm.running_mean) * gain


def _read_bias(stage: Stage, channels: int) -> Floats:
    if stage.layer is None or stage.layer.bias is None:
        return np.zeros(channels)
    return to_floats(stage.layer.bias)


def _choose_shift(ratio: float) -> int:
    """Return the shift that gives the largest multiplier 15 bits."""
    if ratio <= 0:
        return MAX_SHIFT
    return min(max(MULTIPLIER_BITS - 1 - floor(log2(ratio)), 1), MAX_SHIFT)


def _round_multipliers(
    ratios: Floats, shift: int, biases: Floats | None = None
) -> NDArray[np.int16]:
    """Return ratios · 2^shift as integers, none 0.

    A channel with a multiplier near 0 is little more than its bias, which must be a number of
    sums: `biases`, as results, keep the multipliers large enough for that.
    """
    sizes = np.rint(np.abs(ratios) * 2.0**shift)
    floors = np.ones_like(sizes)
    if biases is not None:
        floors = np.maximum(floors, np.ceil(biases * 2.0**shift / OFFSET_LIMIT))
    sizes = np.clip(sizes, floors, None)
    if sizes.max() > MULTIPLIER_LIMIT + 1:
        raise PresetError("a bias is too large for the other values of its layer")
    signs = np.where(ratios < 0, -1, 1)
    signed: NDArray[np.int16] = (signs * sizes.clip(max=MULTIPLIER_LIMIT)).astype(np.int16)
    return signed


def choose_range(stage: Stage, *, is_last: bool) -> tuple[int, int]:
    """Return the results' smallest and largest integer."""
    if is_last:
        return (0 if stage.is_unsigned else -SUM_LIMIT), SUM_LIMIT
    return (0, 255) if stage.is_unsigned else (-128, 127)


@torch.no_grad()
def tabulate(curve: Curve, scale: float, output_scale: float) -> NDArray[np.int16]:
    """Return the integer results of an activation for -128 … 127."""
    device = next((each.device for each in curve.parameters()), None)
    inputs = torch.arange(-128, 128, dtype=torch.float32, device=device) * scale
    outputs = to_floats(curve(inputs[:, None])[:, 0])
    table: NDArray[np.int16] = np.rint(outputs / output_scale).clip(-128, 127).astype(np.int16)
    return table
