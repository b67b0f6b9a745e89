"""Ensembles: several networks, trained one after the other, that answer as one."""

from typing import Annotated

from pydantic import Field

from mnistcli.preset.values import StrictModel

MEMBERS_LIMIT = 100
"""So many logits times their multipliers still sum to less than 2^53."""


class Ensemble(StrictModel):
    """Networks that differ by their seed alone; their answer is the mean of their logits.

    Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation
    using deep ensembles".
    """

    seeds: Annotated[int, Field(ge=2, le=MEMBERS_LIMIT)]
    """Number of networks: the first has the run's seed, the others seeds that follow from it."""
