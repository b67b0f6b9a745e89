"""Plans of a given number of optimizer steps, so that what is compared is comparable."""

import torch
from torch import Tensor

from mnistcli.engine.state import Recipe
from mnistcli.selection.course import PlannedCourse


def fill_steps(
    indices: Tensor, steps: int, recipe: Recipe, generator: torch.Generator
) -> PlannedCourse:
    """As many epochs over `indices` as make `steps` batches; the last takes a part of them.

    Args:
        indices: int64 (k,).
        steps: of the optimizer, in all.
        recipe: how an epoch is cut into batches.
        generator: decides which part.
    """
    whole, rest = divmod(steps, recipe.count_steps(len(indices)))
    epochs = [indices] * whole
    if rest:
        order = torch.randperm(len(indices), generator=generator)
        epochs.append(indices[order[: rest * recipe.batch_size]])
    return PlannedCourse.of(epochs)
