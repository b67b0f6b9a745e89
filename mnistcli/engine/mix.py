"""Mix every image of a batch with another one, and their labels likewise.

As in `augment`: `draw_…` draws parameters for every image, the other function applies them.
"""

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from mnistcli.engine.augment import Boxes, fill
from mnistcli.engine.targets import Targets
from mnistcli.preset import augmentation as spec

Mix = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Targets]]
"""Images, float (n, 1, h, w), and labels, int64 (n,) → mixed images and their targets."""


def build_mix(settings: spec.Mixing | None = None) -> Mix:
    """Return the function that mixes a batch; without settings, it changes nothing."""
    match settings:
        case None:
            return lambda images, labels, generator: (images, Targets(labels))
        case spec.Mixup():
            return partial(_mix_up, settings)
        case spec.Cutmix():
            return partial(_cut_and_mix, settings)
        case _:
            assert_never(settings)


def _mix_up(
    settings: spec.Mixup, images: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Targets]:
    others = torch.randperm(len(images), generator=generator, device=images.device)
    weights = draw_weights(settings, images, generator)
    mixed = images[others].lerp(images, weights.view(-1, 1, 1, 1))
    return mixed, Targets(labels, labels[others], weights)


def draw_weights(settings: spec.Mixup, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the weight of every image, float (n,) in [½, 1], from a beta distribution."""
    from scipy.special import betaincinv  # only trainings that mix need SciPy

    uniform = torch.rand(len(images), generator=generator, device=images.device)
    weights = torch.from_numpy(betaincinv(settings.alpha, settings.alpha, uniform.cpu().numpy()))
    return torch.maximum(weights, 1 - weights).to(images)


def _cut_and_mix(
    settings: spec.Cutmix, images: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Targets]:
    others = torch.randperm(len(images), generator=generator, device=images.device)
    boxes = draw_cuts(settings, images, generator)
    mixed = fill(images, boxes, images[others])
    area = images.shape[-1] * images.shape[-2]
    return mixed, Targets(labels, labels[others], 1 - boxes.height * boxes.width / area)


def draw_cuts(settings: spec.Cutmix, images: Tensor, generator: torch.Generator) -> Boxes:
    """Draw a rectangle for every image around a random pixel, cropped to the image.

    Its area is drawn uniformly before it is cropped; its height is 0 where nothing is mixed in.
    """
    rows, columns = images.shape[-2:]
    chosen, area, down, right = torch.rand(
        4, len(images), generator=generator, device=images.device
    )
    side = area.sqrt() * (chosen < settings.probability)
    half_height, half_width = (side * rows / 2).round(), (side * columns / 2).round()
    middle_row, middle_column = (down * rows).floor(), (right * columns).floor()
    top, left = (middle_row - half_height).clamp(min=0), (middle_column - half_width).clamp(min=0)
    bottom = (middle_row + half_height).clamp(max=rows)
    end = (middle_column + half_width).clamp(max=columns)
    return Boxes(top.long(), left.long(), (bottom - top).long(), (end - left).long())
