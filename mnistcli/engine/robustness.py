"""Distorted images, by kind and strength, on which a network's robustness is measured."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from mnistcli.engine.augment import AffineParameters, affine
from mnistcli.engine.evaluation import to_inputs

Distortion = Literal["rotation", "shift", "scale", "noise", "blur"]
DISTORTIONS: tuple[Distortion, ...] = get_args(Distortion)
STRENGTHS: dict[Distortion, tuple[float, ...]] = {
    "rotation": (10, 20, 30, 45),
    "shift": (1, 2, 4, 6),
    "scale": (0.6, 0.8, 1.2, 1.4),
    "noise": (0.1, 0.2, 0.4, 0.6),
    "blur": (0.5, 1, 1.5, 2),
}
UNITS: dict[Distortion, str] = {
    "rotation": "degrees",
    "shift": "pixels",
    "scale": "times",
    "noise": "sd of 1",
    "blur": "px sd",
}


def distort(
    images: Tensor, kind: Distortion, strength: float, generator: torch.Generator
) -> Tensor:
    """Distort every image by the same strength, in directions that alternate.

    Args:
        images: uint8 (n, 1, h, w).
        kind: rotation to the left and right, a shift to one of four sides, scaling about the
            centre, Gaussian noise, or a Gaussian blur.
        strength: in the unit that `UNITS` names.
        generator: draws the noise; not used by the other kinds.

    Returns:
        uint8, of the same shape.
    """
    inputs = to_inputs(images)
    turn = torch.arange(len(images), device=images.device)
    sign = 1.0 - 2.0 * (turn % 2)
    none, one = torch.zeros_like(sign), torch.ones_like(sign)
    match kind:
        case "rotation":
            changed = _move(inputs, AffineParameters(sign * strength, none, none, one, none))
        case "shift":
            across = turn % 4 < 2
            x, y = torch.where(across, sign, none), torch.where(across, none, sign)
            changed = _move(inputs, AffineParameters(none, x * strength, y * strength, one, none))
        case "scale":
            changed = _move(inputs, AffineParameters(none, none, none, one * strength, none))
        case "noise":
            noise = torch.randn(inputs.shape, generator=generator).to(inputs.device)
            changed = inputs + strength * noise
        case "blur":
            changed = _blur(inputs, strength)
    return changed.clamp(0, 1).mul_(255).round_().to(torch.uint8)


def _move(inputs: Tensor, parameters: AffineParameters) -> Tensor:
    return affine(inputs, parameters, "bilinear")


def _blur(inputs: Tensor, spread: float) -> Tensor:
    reach = int(3 * spread + 0.5)
    places = torch.arange(-reach, reach + 1, device=inputs.device)
    kernel = torch.exp(-((places / spread) ** 2) / 2)
    kernel /= kernel.sum()
    across = functional.conv2d(inputs, kernel.view(1, 1, 1, -1), padding=(0, reach))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1), padding=(reach, 0))
