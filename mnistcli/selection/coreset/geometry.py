"""Methods that go by distance: features, float32 (n, d), and a count in, positions out.

Each returns `count` distinct positions in 0 … n - 1, int64. Features of one digit, as a rule: see
`groups`.
"""

import heapq
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from mnistcli.errors import PresetError
from mnistcli.selection.coreset.groups import Floats, Indices

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

MOST_PAIRS = 12_000**2


def nearest_to_centres(features: Floats, count: int, clusters: int, rng: Generator) -> Indices:
    """The examples with the smallest distance to the centre of their own k-means cluster.

    Source: document 000, "select samples closest to cluster centers"; how many clusters it has is
    not said there.
    """
    fitted = _cluster(features, clusters, rng)
    distances = np.linalg.norm(features - fitted.cluster_centers_[fitted.labels_], axis=1)
    return np.argsort(distances, kind="stable")[:count]


def medoids(features: Floats, count: int, rng: Generator) -> Indices:
    """From each of `count` k-means clusters the example nearest to its centre.

    Source: k-medoids in the manner of Park & Jun 2009, without exchanging medoids afterwards.
    Where examples coincide there are fewer clusters; what is missing is drawn from the rest.
    """
    fitted = _cluster(features, count, rng)
    distances = np.linalg.norm(features - fitted.cluster_centers_[fitted.labels_], axis=1)
    order = np.lexsort((distances, fitted.labels_))
    _, first = np.unique(fitted.labels_[order], return_index=True)
    return _fill(order[first], len(features), count, rng)


def spread_over_clusters(features: Floats, count: int, clusters: int, rng: Generator) -> Indices:
    """From every k-means cluster examples by chance, in proportion to its size.

    Source: stratified sampling with proportional allocation (Neyman 1934).
    """
    labels = _cluster(features, clusters, rng).labels_
    # Every example's place within its cluster, in (0, 1]: the smallest make up the choice.
    order = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for cluster in np.unique(labels):
        members = order[labels[order] == cluster]
        place[members] = np.arange(1, len(members) + 1) / len(members)
    return order[np.argsort(place[order], kind="stable")[:count]]


def farthest_first(features: Floats, count: int, rng: Generator) -> Indices:
    """Greedy k-center: from a first one by chance, always the farthest from all chosen.

    Source: Gonzalez 1985; for coresets Sener & Savarese 2018, algorithm 1.
    """
    norms = np.einsum("nd,nd->n", features, features)
    nearest = np.full(len(features), np.inf, dtype=np.float32)
    chosen = np.empty(count, dtype=np.int64)
    latest = int(rng.integers(len(features)))
    for step in range(count):
        chosen[step] = latest
        squared = norms - 2 * (features @ features[latest]) + norms[latest]
        np.minimum(nearest, squared, out=nearest)
        nearest[latest] = -np.inf
        latest = int(nearest.argmax())
    return chosen


def herding(features: Floats, count: int) -> Indices:
    """Greedily keeps the mean of the chosen as near as can be to the mean of all.

    Source: Welling 2009, with the rule of Rebuffi et al. 2017 (iCaRL, algorithm 4).
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    norms = np.einsum("nd,nd->n", features, features)
    total = np.zeros_like(mean)
    taken = np.zeros(len(features), dtype=bool)
    chosen = np.empty(count, dtype=np.int64)
    for step in range(count):
        # |(step + 1) · mean - total - x|², without what is the same for every x.
        cost = norms - 2 * (features @ ((step + 1) * mean - total))
        cost[taken] = np.inf
        chosen[step] = cost.argmin()
        taken[chosen[step]] = True
        total += features[chosen[step]]
    return chosen


def facility_location(features: Floats, count: int) -> Indices:
    """Greedily maximizes the sum of every example's similarity to the most similar chosen one.

    Similarity is the greatest distance less the distance, as for CRAIG (Mirzasoleiman et al. 2020).
    A gain can only shrink, so one that is still the greatest after it was computed again is the
    greatest of all.

    Source: Minoux 1978 (lazy greedy); Nemhauser et al. 1978: no worse than 1 - 1/e of the best.

    Raises:
        PresetError: there are too many examples to compare each with each.
    """
    similarity = _similarity(features)
    gains = np.empty(len(features), dtype=np.float32)
    covered = np.zeros(len(features), dtype=np.float32)
    heap = [(-float(gain), place) for place, gain in enumerate(similarity.sum(axis=1))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < count:
        _, place = heap[0]
        np.subtract(similarity[place], covered, out=gains)
        gain = float(np.maximum(gains, 0, out=gains).sum())
        heapq.heapreplace(heap, (-gain, place))
        if heap[0] == (-gain, place):
            heapq.heappop(heap)
            np.maximum(covered, similarity[place], out=covered)
            chosen.append(place)
    return np.array(chosen, dtype=np.int64)


def nearest_to_median(features: Floats, count: int) -> Indices:
    """The examples whose distance to the mean is nearest to the median of these distances.

    Source: Xia et al. 2023, "Moderate coreset".
    """
    distances = np.linalg.norm(features - features.mean(axis=0), axis=1)
    return np.argsort(np.abs(distances - np.median(distances)), kind="stable")[:count]


def _similarity(features: Floats) -> Floats:
    if len(features) ** 2 > MOST_PAIRS:
        raise PresetError(
            f"coreset: facility_location compares each image with each, too much for "
            f"{len(features):,}; set coreset.balance=equal"
        )
    norms = np.einsum("nd,nd->n", features, features)
    squared = features @ features.T
    squared *= -2
    squared += norms
    squared += norms[:, None]
    np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    np.subtract(squared.max(), squared, out=squared)
    return squared


def _cluster(features: Floats, clusters: int, rng: Generator) -> "KMeans":
    # A second, which a training without a coreset is spared.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    seed = int(rng.integers(2**31))
    if clusters > len(features):
        raise PresetError(
            f"coreset.selector.clusters: {clusters:,} clusters of {len(features):,} images"
        )
    with warnings.catch_warnings():
        # Where images coincide there are fewer clusters: no harm, see `medoids`.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, n_init=1, max_iter=100, random_state=seed).fit(features)


def _fill(chosen: Indices, total: int, count: int, rng: Generator) -> Indices:
    """`chosen` and, by chance, as many of the others as are missing."""
    rest = np.setdiff1d(np.arange(total), chosen)
    return np.concatenate([chosen, rng.choice(rest, count - len(chosen), replace=False)])
