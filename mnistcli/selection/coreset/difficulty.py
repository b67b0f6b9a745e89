"""Methods by difficulty: scores, float (n,), and a count in, positions out."""

import numpy as np
from numpy.random import Generator

from mnistcli.selection.coreset.groups import Floats, Indices


def hardest(scores: Floats, count: int, rng: Generator) -> Indices:
    """Select the `count` highest scores; ties are broken at random."""
    return np.lexsort((rng.random(len(scores)), -scores))[:count]


def cover_difficulty(
    scores: Floats, count: int, cut: float, strata: int, rng: Generator
) -> Indices:
    """Select equally many from strata of equal width of the score, without the hardest.

    A stratum with too few examples gives all of them, and the others make up for it. If the cut
    would leave fewer than `count` examples, less is cut.

    Source: Zheng et al. 2023, algorithm 1 (coverage-centric coreset selection).
    """
    kept = max(count, len(scores) - int(cut * len(scores)))
    order = hardest(scores, len(scores), rng)[len(scores) - kept :]
    remaining = scores[order]
    edges = np.linspace(remaining.min(), remaining.max(), strata + 1)[1:-1]
    stratum = np.searchsorted(edges, remaining, side="right")
    members = [rng.permutation(order[stratum == number]) for number in range(strata)]
    selected: list[Indices] = []
    missing, left = count, strata
    for group in sorted(members, key=len):
        taken = min(len(group), missing // left)
        selected.append(group[:taken])
        missing, left = missing - taken, left - 1
    return np.concatenate(selected)
