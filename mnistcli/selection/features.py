"""Images → points, and how well some of them stand for all."""

from typing import NamedTuple

import numpy as np
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.engine.evaluation import to_inputs
from mnistcli.selection.coreset.groups import Floats, Indices

COMPONENTS = 50
BLOCK = 2_000


class Coverage(NamedTuple):
    """Distances from every image to the nearest chosen one."""

    mean: float
    max: float


def take_pixels(examples: Examples) -> Floats:
    """Float32 (n, 784) in [0, 1]."""
    pixels: Floats = to_inputs(examples.images).flatten(1).cpu().numpy()
    return pixels


def project(pixels: Floats) -> Floats:
    """The first 50 principal components, float32 (n, 50), or fewer of fewer images."""
    from sklearn.decomposition import PCA  # a second, which a training without it is spared

    components = min(COMPONENTS, *pixels.shape)
    pca = PCA(components, svd_solver="covariance_eigh")
    return np.ascontiguousarray(pca.fit_transform(pixels), dtype=np.float32)


def measure_coverage(points: Floats, chosen: Indices) -> Coverage:
    """How far the images, float32 (n, d), are from those `chosen`, int64 (k,)."""
    kept = torch.from_numpy(points[chosen])
    norms = kept.square().sum(dim=1)
    nearest = []
    for block in torch.split(torch.from_numpy(points), BLOCK):
        least = torch.addmm(norms, block, kept.T, alpha=-2).amin(dim=1)
        nearest.append(least.add_(block.square().sum(dim=1)).clamp_(min=0).sqrt_())
    distances = torch.cat(nearest)
    distances[torch.from_numpy(chosen)] = 0  # exactly, where rounding would leave a little
    return Coverage(float(distances.mean()), float(distances.max()))
