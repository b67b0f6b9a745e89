"""A preset's selector + features or scores → indices."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.random import Generator

from mnistcli.preset import coreset as spec
from mnistcli.selection.coreset import difficulty, geometry
from mnistcli.selection.coreset.groups import Floats, Group, Indices


def select(
    selector: spec.Selector, groups: Sequence[Group], values: Floats, rng: Generator
) -> Indices:
    """Select images by the method within every group.

    Args:
        selector: the method.
        groups: images to select from, and how many of them.
        values: points, float32 (n, d), for a method by distance; scores, float32 (n,), greater for
            harder images, for a method by difficulty; for random only the length counts.
        rng: random generator of the method.

    Returns:
        int64 (size,), ascending, without repetition.

    Raises:
        PresetError: there are too many or too few images for the method.
    """
    selected = [
        group.members[_select_one(selector, values[group.members], group.count, rng)]
        for group in groups
    ]
    return np.sort(np.concatenate(selected))


def score_of(selector: spec.Hardest | spec.CoverageCentric) -> spec.Score:
    """Return the score that a method by difficulty selects by."""
    return selector.kind if isinstance(selector, spec.Hardest) else selector.score


def _select_one(selector: spec.Selector, values: Floats, count: int, rng: Generator) -> Indices:
    match selector:
        case spec.Random():
            return rng.choice(len(values), count, replace=False)
        case spec.KMeans():
            return geometry.nearest_to_centres(values, count, selector.clusters, rng)
        case spec.KMeansSpread():
            if selector.clusters is None:
                return geometry.medoids(values, count, rng)
            return geometry.spread_over_clusters(values, count, selector.clusters, rng)
        case spec.KCenter():
            return geometry.farthest_first(values, count, rng)
        case spec.Herding():
            return geometry.herding(values, count)
        case spec.FacilityLocation():
            return geometry.facility_location(values, count)
        case spec.Moderate():
            return geometry.nearest_to_median(values, count)
        case spec.Hardest():
            return difficulty.hardest(values, count, rng)
        case spec.CoverageCentric():
            return difficulty.cover_difficulty(values, count, selector.cut, selector.strata, rng)
        case _:
            assert_never(selector)
