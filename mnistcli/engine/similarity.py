"""How similar images are to the training images, in shape and in a network's answers.

Source: Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors", equation 3.
There, features are those of the last layer but one; here, they are a blurred image of 14 × 14
pixels and the logits: any network has them, and one with few features cannot tell noise by these.
"""

import torch
from torch import Tensor
from torch.nn import functional

from mnistcli.engine.evaluation import to_inputs

BLUR = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
"""Weights of four pixels in one that is twice as wide."""
CHUNK = 500
TINY = 1e-38
"""Smallest probability that has a logarithm in float32."""


def describe_answers(images: Tensor, probabilities: Tensor) -> Tensor:
    """Return a vector of length 1 for every image, float32 (n, 206), on the CPU.

    Args:
        images: uint8 (n, 1, 28, 28).
        probabilities: of the digits, as a network answers, float32 (n, 10).
    """
    kernel = torch.outer(BLUR, BLUR).view(1, 1, 4, 4)
    shape = functional.conv2d(to_inputs(images.cpu()), kernel, stride=2, padding=1).flatten(1)
    # Less their mean, logarithms of probabilities are the logits.
    logits = probabilities.cpu().clamp_min(TINY).log()
    return functional.normalize(torch.cat([_centre(shape), _centre(logits)], dim=1))


def measure_similarity(vectors: Tensor, references: Tensor) -> Tensor:
    """Return the cosine of every vector (n, d) with its nearest reference (m, d), float32 (n,)."""
    return torch.cat([(some @ references.T).amax(dim=1) for some in torch.split(vectors, CHUNK)])


def _centre(values: Tensor) -> Tensor:
    return functional.normalize(values - values.mean(dim=1, keepdim=True))
