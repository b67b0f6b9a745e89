"""Trained network → integer model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.evaluation import Normalization, normalize, to_inputs
from mnistcli.engine.network.calibrate import Scales, calibrate
from mnistcli.engine.network.ensemble import list_members
from mnistcli.engine.network.fold import (
    Constants,
    Inputs,
    Weights,
    choose_range,
    find_image,
    fold,
    tabulate,
)
from mnistcli.engine.network.plan import Plan, join
from mnistcli.engine.network.quantize import Quantized
from mnistcli.engine.network.stages import Average, Stage, apply, plan_stages
from mnistcli.errors import PresetError
from mnistcli.export import integer


def convert(model: nn.Module, normalization: Normalization, images: Tensor) -> integer.IntegerModel:
    """Return the integer model of a trained network of layers, or of an ensemble of them.

    Args:
        model: on the CPU.
        normalization: of its inputs.
        images: uint8 (n, 1, 28, 28), some of the training images, to choose the scales by.

    Raises:
        PresetError: a layer has no integer counterpart, or its sums do not fit into 32 bits.
    """
    zero, image = find_image(normalization)
    inputs = normalize(to_inputs(images), normalization)
    members = list_members(model.eval())
    plan = join([_plan(member, inputs, image) for member in members])
    stages, logits = convert_stages(plan.stages, plan.scales, plan.weights, image)
    return integer.IntegerModel(zero, stages, logits.scale / len(members))


def _plan(network: nn.Module, inputs: Tensor, image: Inputs) -> Plan:
    """Return what a network of layers computes in integers; `inputs` choose the scales."""
    if isinstance(network, Quantized):
        return network.plan()
    assert isinstance(network, nn.Sequential)
    stages = plan_stages(network)
    return Plan(stages, calibrate(stages, inputs, image.scale), [None] * len(stages))


@torch.no_grad()
def convert_stages(
    plans: Sequence[Stage],
    scales: Sequence[Scales],
    weights: Sequence[Weights | None],
    image: Inputs,
) -> tuple[tuple[integer.Stage, ...], Inputs]:
    """Return the stages in integers, and what the logits stand for.

    Args:
        plans: stages in evaluation mode.
        scales: of their results.
        weights: of their layers.
        image: what pixels stand for.

    Raises:
        PresetError: the sums of a stage do not fit into 32 bits.
    """
    stages = list[integer.Stage]()
    reached = [_Reached(torch.zeros(1, 1, SIDE, SIDE), image)]
    for plan, scale, own in zip(plans, scales, weights, strict=True):
        given = [reached[source] for source in plan.sources]
        try:
            stage, after = _convert(plan, scale, own, given)
        except PresetError as error:
            raise PresetError(f"layer {plan.name}: {error}") from error
        stages.append(stage)
        reached.append(after)
    return tuple(stages), reached[-1].inputs


@dataclass(frozen=True)
class _Reached:
    """A value of an image, for its shape, and what its integers stand for."""

    values: Tensor
    inputs: Inputs


def _convert(
    plan: Stage, scales: Scales, weights: Weights | None, given: Sequence[_Reached]
) -> tuple[integer.Stage, _Reached]:
    sums = plan.sum_up(*(each.values for each in given))
    output = plan.finish(sums)
    constants, scale = fold(plan, [each.inputs for each in given], sums, scales.results, weights)
    low, high = choose_range(plan, is_last=scales.results is None)
    table = None
    if plan.curve is not None and scales.output is not None:
        table, scale = tabulate(plan.curve, scale, scales.output), scales.output
    stage = integer.Stage(
        name=plan.name,
        sources=plan.sources,
        convolution=_make_convolution(plan, constants, find_levels(weights), given[0].values),
        steps=tuple(_make_steps(plan, constants, sums)),
        multipliers=constants.multipliers,
        shift=constants.shift,
        low=low,
        high=high,
        table=table,
        pool=_measure_pool(plan, sums),
        shape=(output.shape[1], output.shape[2], output.shape[3]),
    )
    return stage, _Reached(output, Inputs(scale))


def find_levels(weights: Weights | None) -> integer.Levels:
    """Return how the weights of a layer are stored."""
    if weights is None or weights.grid.bits == integer.BYTES.bits:
        return integer.BYTES
    return integer.Levels(weights.grid.bits, weights.grid.low, weights.grid.step)


def _make_convolution(
    plan: Stage, constants: Constants, levels: integer.Levels, inputs: Tensor
) -> integer.Convolution | None:
    if constants.weights is None:
        return None
    weights, bias = constants.weights, constants.bias
    match plan.layer:
        case nn.Conv2d() as conv:
            return integer.Convolution(
                weights,
                bias,
                levels,
                stride=conv.stride[0],
                padding=int(conv.padding[0]),
                dilation=conv.dilation[0],
                groups=conv.groups,
            )
        case nn.Linear():
            # A linear layer is a convolution whose kernel covers the whole image.
            return integer.Convolution(weights.reshape(-1, *inputs.shape[1:]), bias, levels)
    return integer.Convolution(weights, bias, groups=len(weights))


def _make_steps(plan: Stage, constants: Constants, sums: Tensor) -> Iterator[integer.Step]:
    """Yield what happens to the sums before they are scaled.

    A ReLU that only the scaling follows is left out: the results' range begins at 0.
    """
    values = sums
    *_, last = (*plan.sums, None)
    for module in plan.sums:
        if isinstance(module, nn.ReLU):
            if module is not last or plan.norm is not None:
                yield integer.Rectify()
            continue
        before, values = values, apply(module, values)
        height, width = _divide(before, values, module)
        yield integer.Pool("sum" if isinstance(module, Average) else "max", height, width)
    if constants.offset is not None:
        yield integer.Offset(constants.offset)


def _divide(before: Tensor, after: Tensor, module: nn.Module) -> tuple[int, int]:
    """Return the height and width of what a pooling takes together."""
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return int(module.kernel_size), int(module.kernel_size)  # type: ignore[arg-type]
    return before.shape[2] // after.shape[2], before.shape[3] // after.shape[3]


def _measure_pool(plan: Stage, sums: Tensor) -> int:
    if plan.pool is None:
        return 1
    values = sums
    for module in plan.sums:
        values = apply(module, values)
    return _divide(values, apply(plan.pool, values), plan.pool)[0]
