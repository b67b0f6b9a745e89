"""Choose the scale of every stage's 8-bit results by the values that images lead to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import torch
from torch import Tensor

from mnistcli.engine.network.stages import Average, Stage

CLIPS = [fraction / 50 for fraction in range(25, 51)]
"""Fractions of the largest value that are tried as the largest one to represent."""
SAMPLED = 200_000
"""Values that a scale is chosen by."""


@dataclass(frozen=True)
class Scales:
    """Real numbers that the integer 1 stands for."""

    results: float | None
    """Scale of the results before the curve; None for logits, which keep their sums' scale."""
    output: float | None
    """Scale of the stage's output: that of the results, if there is no curve."""


@torch.no_grad()
def calibrate(stages: Sequence[Stage], inputs: Tensor, input_scale: float) -> list[Scales]:
    """Return the scales of all stages.

    Args:
        stages: of a network in evaluation mode.
        inputs: normalized images, float (n, 1, 28, 28).
        input_scale: real number that a pixel of 1 stands for.
    """
    values, found = [inputs], list[Scales]()
    outputs: list[float | None] = [input_scale]
    for stage in stages:
        given = [values[source] for source in stage.sources]
        results = replace(stage, curve=None, pool=None).compute(*given)
        values.append(stage.compute(*given))
        if stage is stages[-1]:
            found.append(Scales(None, None))
        elif stage.curve is not None:
            curved = stage.curve(results)
            found.append(Scales(choose_scale(results, 127), choose_scale(curved, 127)))
        else:
            kept = outputs[stage.sources[0]] if only_picks(stage) else None
            scale = kept or choose_scale(results, 255 if stage.is_unsigned else 127)
            found.append(Scales(scale, scale))
        outputs.append(found[-1].output)
    return found


def choose_scale(values: Tensor, max_integer: int) -> float:
    """Return the scale with the smallest mean squared error of rounding and clipping."""
    flat = values.flatten()
    step = max(1, len(flat) // SAMPLED)
    while gcd(step, values[0].numel()) > 1:  # the same places of every map, as its left edge
        step += 1
    flat = flat[::step]
    largest = float(values.abs().max())
    if largest == 0:
        return 1.0
    low = 0 if max_integer == 255 else -max_integer
    candidates = [largest * clip / max_integer for clip in CLIPS]

    def measure(scale: float) -> float:
        rounded = (flat / scale).round_().clamp_(low, max_integer).mul_(scale)
        return float((rounded - flat).square_().mean())

    return min(candidates, key=measure)


def only_picks(stage: Stage) -> bool:
    """Return whether the output is 8-bit values that the stage reads, unchanged."""
    averages = any(isinstance(each, Average) for each in stage.sums)
    is_weighted = stage.layer is not None or stage.norm is not None
    changes = is_weighted or averages or stage.curve is not None
    return len(stage.sources) == 1 and stage.sources[0] > 0 and not changes
