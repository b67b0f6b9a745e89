"""Deform strokes and pixels: elastic distortion, noise, blur and thickness, by the batch.

As in `augment`: `draw_…` draws parameters for every image, the other function applies them. Images
are float (n, 1, h, w) in [0, 1] with h = w.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from mnistcli.preset import augmentation as spec

TRUNCATE = 4.0
"""Standard deviations at which a Gaussian kernel ends, as in SciPy."""


def draw_displacements(
    settings: spec.Elastic, images: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw a smooth field for every image: pixels to the right and down, float (n, 2, h, w)."""
    side = images.shape[-1]
    noise = torch.rand(len(images), 2, side, side, generator=generator, device=images.device)
    smooth = smoothing_matrix(side, settings.sigma, images.device)
    return (smooth @ noise.mul_(2).sub_(1) @ smooth).mul_(settings.alpha)


@cache
def smoothing_matrix(side: int, sigma: float, device: torch.device) -> Tensor:
    """Return the matrix (side, side) that convolves a line with a Gaussian, with zeros around."""
    place = torch.arange(side, dtype=torch.float64)
    radius = int(TRUNCATE * sigma + 0.5)
    total = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    distance = place[:, None] - place
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) / total.sum()
    return torch.where(distance.abs() <= radius, weights, 0).float().to(device)


def displace(images: Tensor, displacements: Tensor) -> Tensor:
    """Sample every pixel where its displacement, float (n, 2, h, w) in pixels, points.

    Source: Simard et al. 2003, "Best practices for convolutional neural networks applied to visual
    document analysis", section 2.
    """
    side = images.shape[-1]
    grid = displacements.mul(2 / side).add_(_centres(side, images.device)).permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)


@cache
def _centres(side: int, device: torch.device) -> Tensor:
    """Return x and y of every pixel's centre, float (2, side, side); the edges are at ±1."""
    line = (torch.arange(side, device=device) * 2 + 1) / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])


def add_noise(images: Tensor, std: Tensor, flipped: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise, then set a random fraction of the pixels to black or white.

    Args:
        images: may be overwritten.
        std: standard deviation of every image's noise, (n, 1, 1, 1).
        flipped: fraction of every image's pixels, (n, 1, 1, 1).
        generator: draws the noise.
    """
    if bool((std > 0).any()):
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        images = images.addcmul_(noise, std).clamp_(0, 1)
    if bool((flipped > 0).any()):
        draw = torch.rand(images.shape, generator=generator, device=images.device)
        images = torch.where(draw < flipped, (draw < flipped / 2).to(images.dtype), images)
    return images


REACH = 5
"""Sides of an image beyond which the widest Gaussian is nothing: its deviation is one side."""


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Convolve every image with a Gaussian of its own standard deviation (n,), in pixels.

    The kernel is not cut off; what lies outside the image is black. 0 leaves an image as it is.
    """
    side = images.shape[-1]
    place = torch.arange(side, device=images.device, dtype=images.dtype)
    squares = (place[:, None] - place) ** 2
    inverse = -0.5 / sigma.clamp_min(1e-3).square()
    weights = torch.exp(squares * inverse.view(-1, 1, 1))
    # The kernel's sum over all whole numbers: the middle row holds nearly all of it.
    kernel = torch.exp(
        (torch.arange(-REACH * side, REACH * side + 1, device=images.device) ** 2)
        * inverse[:, None]
    )
    matrix = (weights / kernel.sum(dim=1).view(-1, 1, 1))[:, None]
    return matrix @ images @ matrix


def thicken(images: Tensor, pixels: Tensor) -> Tensor:
    """Widen strokes by `pixels`, (n, 1, 1, 1) in -1 … 1, on each side; negative ones thin them.

    Grey morphology: between the image and its dilation, or erosion, by 3 × 3 pixels. Source of the
    idea: Castro et al. 2019, "Morpho-MNIST".
    """
    # An erosion is a dilation of the negative. Along one axis after the other, by maxima of whole
    # tensors: 0.5 µs an image, where max_pool2d takes 16 (2 cores, batches of 512).
    signs = torch.where(pixels < 0, -1.0, 1.0)
    signed = images * signs
    tall = signed.clone()
    torch.maximum(tall[..., 1:, :], signed[..., :-1, :], out=tall[..., 1:, :])
    torch.maximum(tall[..., :-1, :], signed[..., 1:, :], out=tall[..., :-1, :])
    wide = tall.clone()
    torch.maximum(wide[..., 1:], tall[..., :-1], out=wide[..., 1:])
    torch.maximum(wide[..., :-1], tall[..., 1:], out=wide[..., :-1])
    return torch.lerp(images, wide.mul_(signs), pixels.abs())
