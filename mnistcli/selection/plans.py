"""Plans: for every epoch the indices that it learns from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def fill_steps(
    indices: Tensor,
    steps: int,
    batches: Callable[[Tensor], Sequence[Tensor]],
    generator: torch.Generator,
) -> list[Tensor]:
    """As many epochs over `indices` as make `steps` batches; the last takes a part of them.

    Args:
        indices: int64 (k,).
        steps: of the optimizer, in all.
        batches: cuts an epoch's indices into batches.
        generator: decides which part.
    """
    cut = batches(indices)
    whole, rest = divmod(steps, len(cut))
    plan = [indices] * whole
    if rest:
        order = torch.randperm(len(indices), generator=generator)
        plan.append(indices[order[: rest * len(cut[0])]])
    return plan
