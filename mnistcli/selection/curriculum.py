"""Curricula: which images a phase or a round learns from, by digit or by difficulty.

Positions count within the images to learn from: a coreset, or all training images.
"""

from math import ceil

import torch
from torch import Tensor

from mnistcli.errors import PresetError
from mnistcli.preset.curriculum import Groups


def divide_by_digits(settings: Groups, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return the positions of every phase, int64, ascending, kept images as often as they repeat.

    Args:
        settings: the digits of every phase, and whether earlier ones come again.
        labels: int64 (n,).
        generator: draws the images of earlier digits that are kept for replay.

    Raises:
        PresetError: a phase has no images.
    """
    phases: list[Tensor] = []
    kept = torch.empty(0, dtype=torch.int64)
    for number, digits in enumerate(settings.groups, start=1):
        own = torch.nonzero(torch.isin(labels, torch.tensor(digits)))[:, 0]
        if not len(own):
            raise PresetError(f"curriculum.groups: phase {number} has no images")
        phases.append(torch.cat([kept.repeat(settings.kept_repeats), own]).sort().values)
        if settings.mode == "cumulative":
            kept = torch.cat([kept, own])
        elif settings.mode == "replay":
            kept = torch.cat([kept, _keep(settings, labels, digits, generator)])
    return phases


def _keep(
    settings: Groups, labels: Tensor, digits: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    kept = []
    for digit in digits:
        members = torch.nonzero(labels == digit)[:, 0]
        order = torch.randperm(len(members), generator=generator)
        kept.append(members[order[: settings.kept_per_digit]])
    return torch.cat(kept)


def order_evenly(scores: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return all positions, int64 (n,), by rising score, with all digits from the beginning.

    An image is sorted by its rank within its digit. Otherwise the first images would be ones and
    zeros (Hacohen & Weinshall 2019 balance their classes for the same reason).

    Args:
        scores: float (n,).
        labels: int64 (n,).
        generator: breaks ties.
    """
    shuffled = torch.randperm(len(scores), generator=generator)
    rising = shuffled[torch.argsort(scores[shuffled], stable=True)]
    rank = torch.empty(len(scores), dtype=torch.float64)
    for digit in torch.unique(labels):
        members = rising[labels[rising] == digit]
        rank[members] = torch.arange(1, len(members) + 1, dtype=torch.float64) / len(members)
    return rising[torch.argsort(rank[rising], stable=True)]


def count_share(fraction: float, images: int) -> int:
    """Return how many of the images a round draws from."""
    return max(1, ceil(fraction * images))


def draw(order: Tensor, fraction: float, images: int, generator: torch.Generator) -> Tensor:
    """Draw `images` positions from the first `fraction` of `order`, equally often but for one pass.

    Args:
        order: int64 (n,).
        fraction: in (0, 1].
        images: number of positions; if there are fewer, they repeat.
        generator: draws them.
    """
    available = order[: count_share(fraction, len(order))]
    passes = ceil(images / len(available))
    drawn = [available[torch.randperm(len(available), generator=generator)] for _ in range(passes)]
    return torch.cat(drawn)[:images]


def split_steps(steps: int, rounds: int) -> list[int]:
    """Return the number of steps of every round; they differ by at most one.

    Raises:
        PresetError: there are more rounds than steps.
    """
    if rounds > steps:
        raise PresetError(f"curriculum.rounds: {rounds} rounds of only {steps} steps in all")
    return [steps * (number + 1) // rounds - steps * number // rounds for number in range(rounds)]


def draw_hardest(
    losses: Tensor, size: int, random_share: float, generator: torch.Generator
) -> Tensor:
    """Draw the images of an epoch: the hardest ones, and some at random from the others.

    Args:
        losses: float (k,), of equal ones any may come first.
        size: number of images to draw.
        random_share: share of them that is drawn at random.
        generator: decides between equal losses, and what is random.

    Returns:
        Different positions in `losses`, int64 (size,).
    """
    mixed = torch.randperm(len(losses), generator=generator)
    order = mixed[torch.argsort(losses[mixed], descending=True, stable=True)]
    hardest = size - round(random_share * size)
    rest = order[hardest:]
    drawn = rest[torch.randperm(len(rest), generator=generator)[: size - hardest]]
    return torch.cat([order[:hardest], drawn])
