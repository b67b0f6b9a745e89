"""Plans of a given number of optimizer steps, so that arms of a study are comparable."""

import torch
from torch import Tensor

from mnistcli.engine.state import Recipe
from mnistcli.selection.course import PlannedCourse


def fill_steps(
    indices: Tensor, steps: int, recipe: Recipe, generator: torch.Generator
) -> PlannedCourse:
    """Plan as many epochs over `indices` as make `steps` batches; the last takes a part of them.

    Args:
        indices: int64 (k,).
        steps: number of optimizer steps in all.
        recipe: cuts an epoch into batches.
        generator: draws the part of the last epoch.
    """
    whole, rest = divmod(steps, recipe.count_steps(len(indices)))
    epochs = [indices] * whole
    if rest:
        order = torch.randperm(len(indices), generator=generator)
        epochs.append(indices[order[: rest * recipe.batch_size]])
    return PlannedCourse.of(epochs)


def match_steps(
    plan: PlannedCourse, indices: Tensor, steps: int, recipe: Recipe, generator: torch.Generator
) -> PlannedCourse:
    """Return the plan with exactly `steps` steps: truncated, or followed by all of `indices`."""
    known = [recipe.count_steps(size) for size in plan.sizes]
    if sum(known) == steps:
        return plan
    epochs = [plan.choose(epoch, None) for epoch in range(1, len(plan.sizes) + 1)]
    while sum(map(recipe.count_steps, map(len, epochs))) > steps:
        last = epochs.pop()
        missing = steps - sum(map(recipe.count_steps, map(len, epochs)))
        if missing > 0:
            epochs.append(last[: missing * recipe.batch_size])
    missing = steps - sum(map(recipe.count_steps, map(len, epochs)))
    if missing:
        rest = fill_steps(indices, missing, recipe, generator)
        epochs += [rest.choose(epoch, None) for epoch in range(1, len(rest.sizes) + 1)]
    return PlannedCourse.of(epochs)
