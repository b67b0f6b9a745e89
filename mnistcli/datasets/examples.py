"""Labelled images, as tensors."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 28
CLASSES = 10
COUNT_LIMIT = 1_000_000
"""Images in a file."""
ImagesAndLabels = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(n, 28, 28) and (n,), as they are read."""


@dataclass(frozen=True)
class Examples:
    """Images uint8 (n, 1, 28, 28) and their labels int64 (n,), on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Examples":
        """Return the examples at `indices`, int64 (k,)."""
        # index_select copies whole images: 0.07 µs each, where indexing takes 0.47.
        return Examples(self.images.index_select(0, indices), self.labels.index_select(0, indices))

    def to(self, device: torch.device) -> "Examples":
        """Return the examples on `device`."""
        return Examples(self.images.to(device), self.labels.to(device))


def fingerprint(examples: Examples) -> str:
    """Return the SHA-256 of the bytes of all images and labels."""
    digest = hashlib.sha256(examples.images.cpu().contiguous().numpy().data)
    digest.update(examples.labels.cpu().numpy().data)
    return digest.hexdigest()


def corrupt_labels(examples: Examples, fraction: float, generator: torch.Generator) -> Examples:
    """Return the examples with a random fraction of the labels replaced by other random digits."""
    wrong = torch.randperm(len(examples), generator=generator)[: round(fraction * len(examples))]
    labels = examples.labels.cpu().clone()
    labels[wrong] += torch.randint(1, CLASSES, wrong.shape, generator=generator)
    return Examples(examples.images, (labels % CLASSES).to(examples.labels.device))


def split_validation(
    examples: Examples, count: int, generator: torch.Generator
) -> tuple[Examples, Examples]:
    """Hold out `count` examples, in proportion to the digits.

    Returns:
        The remaining and the held-out examples, both in their original order.
    """
    order = torch.randperm(len(examples), generator=generator)
    labels = examples.labels.cpu()[order]
    # Position of every example within its own digit, in (0, 1]: the smallest are held out, so
    # that every digit is represented in proportion and the total is exact.
    rank = torch.empty(len(labels), dtype=torch.float64)
    for digit in range(CLASSES):
        (members,) = torch.nonzero(labels == digit, as_tuple=True)
        rank[members] = torch.arange(1, len(members) + 1, dtype=torch.float64) / len(members)
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[order[torch.argsort(rank, stable=True)[:count]]] = True
    held = held.to(examples.labels.device)
    return examples.take(torch.nonzero(~held)[:, 0]), examples.take(torch.nonzero(held)[:, 0])
