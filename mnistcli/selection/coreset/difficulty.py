"""Methods that go by scores of difficulty: scores, float (n,), and a count in, positions out."""

import numpy as np
from numpy.random import Generator

from mnistcli.selection.coreset.groups import Floats, Indices


def hardest(scores: Floats, count: int, rng: Generator) -> Indices:
    """The `count` greatest scores; among equal ones chance decides."""
    return np.lexsort((rng.random(len(scores)), -scores))[:count]


def cover_difficulty(
    scores: Floats, count: int, cut: float, strata: int, rng: Generator
) -> Indices:
    """Without the hardest, equally many from every stratum of equal width of the score.

    A stratum with too few gives all it has, and the others share what is missing. If the cut
    would leave fewer than `count`, less is cut.

    Source: Zheng et al. 2023, algorithm 1 (coverage-centric coreset selection).
    """
    kept = max(count, len(scores) - int(cut * len(scores)))
    order = hardest(scores, len(scores), rng)[len(scores) - kept :]
    remaining = scores[order]
    edges = np.linspace(remaining.min(), remaining.max(), strata + 1)[1:-1]
    stratum = np.searchsorted(edges, remaining, side="right")
    members = [rng.permutation(order[stratum == number]) for number in range(strata)]
    chosen: list[Indices] = []
    missing, left = count, strata
    for group in sorted(members, key=len):
        share = min(len(group), missing // left)
        chosen.append(group[:share])
        missing, left = missing - share, left - 1
    return np.concatenate(chosen)
