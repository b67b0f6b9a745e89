"""Methods by distance: features, float32 (n, d), and a count in, positions out.

Each returns `count` distinct positions in 0 … n - 1, int64. The features are usually those of one
digit: see `groups`.
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

MAX_PAIRS = 12_000**2


def nearest_to_centres(features: Floats, count: int, clusters: int, rng: Generator) -> Indices:
    """Select the examples with the smallest distance to the centre of their k-means cluster.

    Source: document 000, "select samples closest to cluster centers", which does not give the
    number of clusters.
    """
    fitted = _cluster(features, clusters, rng)
    distances = np.linalg.norm(features - fitted.cluster_centers_[fitted.labels_], axis=1)
    return np.argsort(distances, kind="stable")[:count]


def medoids(features: Floats, count: int, rng: Generator) -> Indices:
    """Select the example nearest to its centre from each of `count` k-means clusters.

    Where examples coincide there are fewer clusters; the rest of the coreset is drawn at random.

    Source: k-medoids as in Park & Jun 2009, without exchanging medoids afterwards.
    """
    fitted = _cluster(features, count, rng)
    distances = np.linalg.norm(features - fitted.cluster_centers_[fitted.labels_], axis=1)
    order = np.lexsort((distances, fitted.labels_))
    _, first = np.unique(fitted.labels_[order], return_index=True)
    return _fill(order[first], len(features), count, rng)


def spread_over_clusters(features: Floats, count: int, clusters: int, rng: Generator) -> Indices:
    """Select random examples from every k-means cluster, in proportion to its size.

    Source: stratified sampling with proportional allocation (Neyman 1934).
    """
    labels = _cluster(features, clusters, rng).labels_
    # Every example's rank within its cluster, in (0, 1]: the lowest are selected.
    order = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for cluster in np.unique(labels):
        members = order[labels[order] == cluster]
        place[members] = np.arange(1, len(members) + 1) / len(members)
    return order[np.argsort(place[order], kind="stable")[:count]]


def farthest_first(features: Floats, count: int, rng: Generator) -> Indices:
    """Select the example farthest from all selected ones, again and again (greedy k-center).

    Source: Gonzalez 1985; for coresets Sener & Savarese 2018, algorithm 1.
    """
    norms = np.einsum("nd,nd->n", features, features)
    nearest = np.full(len(features), np.inf, dtype=np.float32)
    selected = np.empty(count, dtype=np.int64)
    latest = int(rng.integers(len(features)))
    for step in range(count):
        selected[step] = latest
        squared = norms - 2 * _multiply(features, features[latest]) + norms[latest]
        np.minimum(nearest, squared, out=nearest)
        nearest[latest] = -np.inf
        latest = int(nearest.argmax())
    return selected


def herding(features: Floats, count: int) -> Indices:
    """Select greedily, so that the mean of the selected stays closest to the mean of all.

    Source: Welling 2009, with the rule of Rebuffi et al. 2017 (iCaRL, algorithm 4).
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    norms = np.einsum("nd,nd->n", features, features)
    total = np.zeros_like(mean)
    taken = np.zeros(len(features), dtype=bool)
    selected = np.empty(count, dtype=np.int64)
    for step in range(count):
        # |(step + 1) · mean - total - x|², without what is the same for every x.
        cost = norms - 2 * _multiply(features, (step + 1) * mean - total)
        cost[taken] = np.inf
        selected[step] = cost.argmin()
        taken[selected[step]] = True
        total += features[selected[step]]
    return selected


def facility_location(features: Floats, count: int) -> Indices:
    """Maximize greedily the sum of every example's similarity to the most similar selected one.

    Similarity is the maximum distance less the distance, as in CRAIG (Mirzasoleiman et al. 2020).
    Gains only shrink, so one that is still the highest after an update is the highest of all.

    Source: Minoux 1978 (lazy greedy); Nemhauser et al. 1978: at least 1 - 1/e of the optimum.

    Raises:
        PresetError: there are too many examples to compare each with every other.
    """
    similarity = _similarity(features)
    gains = np.empty(len(features), dtype=np.float32)
    covered = np.zeros(len(features), dtype=np.float32)
    heap = [(-float(gain), place) for place, gain in enumerate(similarity.sum(axis=1))]
    heapq.heapify(heap)
    selected: list[int] = []
    while len(selected) < count:
        _, place = heap[0]
        np.subtract(similarity[place], covered, out=gains)
        gain = float(np.maximum(gains, 0, out=gains).sum())
        heapq.heapreplace(heap, (-gain, place))
        if heap[0] == (-gain, place):
            heapq.heappop(heap)
            np.maximum(covered, similarity[place], out=covered)
            selected.append(place)
    return np.array(selected, dtype=np.int64)


def nearest_to_median(features: Floats, count: int) -> Indices:
    """Select the examples whose distance to the mean is closest to the median distance.

    Source: Xia et al. 2023, "Moderate coreset".
    """
    distances = np.linalg.norm(features - features.mean(axis=0), axis=1)
    return np.argsort(np.abs(distances - np.median(distances)), kind="stable")[:count]


def _similarity(features: Floats) -> Floats:
    if len(features) ** 2 > MAX_PAIRS:
        raise PresetError(
            f"coreset: facility_location compares every pair of images, too many for "
            f"{len(features):,}. Use another method, or another coreset.balance than free."
        )
    norms = np.einsum("nd,nd->n", features, features)
    squared = _multiply(features, features.T)
    squared *= -2
    squared += norms
    squared += norms[:, None]
    np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    np.subtract(squared.max(), squared, out=squared)
    return squared


def _cluster(features: Floats, clusters: int, rng: Generator) -> "KMeans":
    # Takes a second, which a training without a coreset is spared.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    seed = int(rng.integers(2**31))
    if clusters > len(features):
        raise PresetError(
            f"coreset.selector.clusters: {clusters:,} clusters of {len(features):,} images. "
            "Lower it."
        )
    with warnings.catch_warnings():
        # Where images coincide there are fewer clusters, which `medoids` makes up for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, n_init=1, max_iter=100, random_state=seed).fit(features)


def _fill(selected: Indices, total: int, count: int, rng: Generator) -> Indices:
    """Fill up `selected` with random other positions."""
    rest = np.setdiff1d(np.arange(total), selected)
    return np.concatenate([selected, rng.choice(rest, count - len(selected), replace=False)])


def _multiply(left: Floats, right: Floats) -> Floats:
    """Multiply finite matrices; BLAS may read beyond their edges, and warn of what is there."""
    with np.errstate(all="ignore"):
        product: Floats = left @ right
    return product
