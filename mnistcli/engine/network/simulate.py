"""The arithmetic of the integer model on tensors of whole numbers, exact to the last bit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mnistcli.engine.network.calibrate import Scales
from mnistcli.engine.network.fold import (
    Constants,
    Inputs,
    Weights,
    choose_range,
    fold,
    tabulate,
)
from mnistcli.engine.network.layers import GlobalAveragePool
from mnistcli.engine.network.stages import Stage, apply
from mnistcli.errors import PresetError

FLOAT_LIMIT = 2**24
"""Whole numbers up to this are exact in float32."""


def simulate(
    stages: Sequence[Stage],
    scales: Sequence[Scales],
    weights: Sequence[Weights | None],
    image: Inputs,
    pixels: Tensor,
) -> tuple[Tensor, float]:
    """Return the logits as whole numbers, float64 (n, 10), on the CPU, and the real one of a 1.

    Args:
        stages: of a network in evaluation mode.
        scales: of the stages.
        weights: integer weights of the stages' layers.
        image: what pixels stand for.
        pixels: whole numbers, float32 (n, 1, h, w), on the CPU.

    Raises:
        PresetError: the sums of a stage do not fit into 32 bits.
    """
    values, reached = [pixels], [image]
    # NNPACK, on ARM, convolves by transforms that are not exact.
    with torch.backends.nnpack.flags(enabled=False):
        for stage, scale, own in zip(stages, scales, weights, strict=True):
            given = [values[source] for source in stage.sources]
            units = [reached[source] for source in stage.sources]
            try:
                results, unit = _compute(stage, scale, own, given, units)
            except PresetError as error:
                raise PresetError(f"layer {stage.name}: {error}") from error
            values.append(results)
            reached.append(Inputs(unit))
    return values[-1].double().flatten(1), reached[-1].scale


def _compute(
    stage: Stage,
    scales: Scales,
    weights: Weights | None,
    given: Sequence[Tensor],
    units: Sequence[Inputs],
) -> tuple[Tensor, float]:
    """Return a stage's results as whole numbers, float64 (n, c, h, w), and their scale."""
    is_last = scales.results is None
    sums = given[0] if weights is None else _multiply(stage, weights, given[0])
    constants, unit = fold(stage, units, sums[:1], scales.results, weights)
    products = _scale(stage, constants, sums, given)
    shift = constants.shift
    products = products.add_(2.0 ** (shift - 1)).mul_(2.0**-shift).floor_()
    results = products.clamp_(*choose_range(stage, is_last=is_last))
    if stage.curve is not None and scales.output is not None:
        table = torch.from_numpy(tabulate(stage.curve, unit, scales.output))
        results = table.to(results)[results.long() + 128]
        unit = scales.output
    results = apply(stage.pool, results)
    return (results if is_last else results.float()), unit


def _multiply(stage: Stage, weights: Weights, values: Tensor) -> Tensor:
    """Return the sums of products, whole numbers."""
    bound = 255 * abs(weights.integers.astype(int)).reshape(len(weights.integers), -1).sum(1).max()
    kind = torch.float32 if bound < FLOAT_LIMIT else torch.float64
    integers = torch.from_numpy(weights.integers).to(kind)
    values = values.to(kind)
    layer = stage.layer
    if isinstance(layer, nn.Linear):
        return functional.linear(values.flatten(1), integers)[:, :, None, None]
    assert isinstance(layer, nn.Conv2d)
    return functional.conv2d(
        values, integers, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def _scale(stage: Stage, constants: Constants, sums: Tensor, given: Sequence[Tensor]) -> Tensor:
    """Return sums times multipliers, float64."""
    if len(given) > 1:
        factors = constants.multipliers.tolist()
        first, *others = [value.double() * each for value, each in zip(given, factors, strict=True)]
        added: Tensor = sum(others, start=first)
        return added
    products = sums.double()
    if stage.layer is None and constants.weights is not None:
        products = products * 127
    products = products + _spread(constants.bias)
    for module in stage.sums:
        products = _take(module, products)
    if constants.offset is not None:
        products = products + _spread(constants.offset)
    return products * _spread(constants.multipliers)


def _take(module: nn.Module, sums: Tensor) -> Tensor:
    match module:
        case nn.AvgPool2d():
            summed: Tensor = functional.avg_pool2d(sums, module.kernel_size, divisor_override=1)
            return summed
        case GlobalAveragePool():
            return sums.sum(dim=(2, 3), keepdim=True)
    return apply(module, sums)


def _spread(numbers: NDArray[np.integer[Any]]) -> Tensor:
    spread: Tensor = torch.from_numpy(numbers).double()[:, None, None]
    return spread
