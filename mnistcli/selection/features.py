"""Images → points, and how well some of them cover all."""

from typing import NamedTuple

import numpy as np
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.engine.evaluation import to_inputs
from mnistcli.selection.coreset.groups import Floats, Indices

COMPONENTS = 50
BLOCK = 2_000


class Coverage(NamedTuple):
    """Distances from every image to the nearest selected one."""

    mean: float
    max: float


def take_pixels(examples: Examples) -> Floats:
    """Return the pixels, float32 (n, 784) in [0, 1]."""
    pixels: Floats = to_inputs(examples.images).flatten(1).cpu().numpy()
    return pixels


def project(pixels: Floats) -> Floats:
    """Return the first 50 principal components, float32 (n, 50), or fewer for fewer images."""
    from sklearn.decomposition import PCA  # takes a second, which a training without it is spared

    if np.ptp(pixels, axis=0).max() == 0:  # a single image, or copies of one: nothing varies
        return np.zeros((len(pixels), 1), dtype=np.float32)
    components = min(COMPONENTS, *pixels.shape)
    pca = PCA(components, svd_solver="covariance_eigh")
    return np.ascontiguousarray(pca.fit_transform(pixels), dtype=np.float32)


def measure_coverage(points: Floats, selected: Indices) -> Coverage:
    """Measure how far points, float32 (n, d), are from the nearest of `selected`, int64 (k,)."""
    kept = torch.from_numpy(points[selected])
    norms = kept.square().sum(dim=1)
    nearest = []
    for block in torch.split(torch.from_numpy(points), BLOCK):
        closest = torch.addmm(norms, block, kept.T, alpha=-2).amin(dim=1)
        nearest.append(closest.add_(block.square().sum(dim=1)).clamp_(min=0).sqrt_())
    distances = torch.cat(nearest)
    distances[torch.from_numpy(selected)] = 0  # exactly, where rounding would leave a little
    return Coverage(float(distances.mean()), float(distances.max()))
