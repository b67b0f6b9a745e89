"""Receptive fields: which pixels of the image a value depends on.

Source: Araujo et al. 2019, "Computing receptive fields of convolutional neural networks".
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from mnistcli.engine.network.modules import extent, pad
from mnistcli.preset import layers as spec


@dataclass(frozen=True)
class Reached:
    """What has been computed so far from one image."""

    values: Tensor
    """Float (1, c, h, w) or (1, d)."""
    field: int = 1
    """Side, in pixels, of the square that a value depends on."""
    jump: int = 1
    """Distance, in pixels, between the squares of neighbouring values."""
    start: int = 0
    """First pixel of the first value's square; it is negative where the square is padded."""


class _Window(NamedTuple):
    kernel: int
    stride: int
    padding: int = 0


def advance(reached: Reached, layer: spec.PlainLayer | None, values: Tensor) -> Reached:
    """Return what the layer, if there is one, has reached with its output (equations 2 and 6)."""
    window = _measure(layer, reached.values)
    return Reached(
        values,
        reached.field + (window.kernel - 1) * reached.jump,
        reached.jump * window.stride,
        reached.start - window.padding * reached.jump,
    )


def join(inner: Reached, added: Reached, values: Tensor) -> Reached:
    """Return what a sum of two branches has reached: every pixel that one of them has.

    That is the larger square, as long as the squares of both branches have the same centre.
    """
    last = values.shape[-1] - 1 if values.dim() == 4 else 0
    starts, ends = [], []
    for branch in (inner, added):
        for place in {0, last}:
            start = branch.start + place * (branch.jump - inner.jump)
            starts.append(start)
            ends.append(start + branch.field)
    return Reached(values, max(ends) - min(starts), inner.jump, min(starts))


def _measure(layer: spec.PlainLayer | None, values: Tensor) -> _Window:
    match layer:
        case spec.Conv() | spec.SeparableConv():
            return _Window(extent(layer), layer.stride, pad(layer))
        case spec.MaxPool() | spec.AveragePool():
            return _Window(layer.kernel_size, layer.kernel_size)
        case (
            spec.Flatten()
            | spec.GlobalAveragePool()
            | spec.GlobalMaxPool()
            | spec.InstanceNorm()
            | spec.GroupNorm()
            | spec.SqueezeExcite()
            | spec.SelfAttention()
        ):
            return _Window(values.shape[-1] if values.dim() == 4 else 1, 1)
        case _:
            return _Window(1, 1)
