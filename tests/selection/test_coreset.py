"""What every method must keep to, and what each is for."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.errors import PresetError
from mnistcli.preset import coreset as spec
from mnistcli.preset.coreset import METHODS, default_selector
from mnistcli.selection.coreset import difficulty, geometry
from mnistcli.selection.coreset.groups import Group, divide
from mnistcli.selection.coreset.select import select

BY_SCORE = {"margin", "entropy", "el2n", "grand", "forgetting", "ccs"}


def inputs(method: str, count: int, seed: int = 0) -> np.ndarray:
    shape = (count,) if method in BY_SCORE else (count, 5)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(data=st.data())
def test_every_method_gives_the_exact_size_without_repetition(method: str, data) -> None:
    total = data.draw(st.integers(10, 80))
    count = data.draw(st.integers(1, total))
    seed = data.draw(st.integers(0, 1_000))
    values = inputs(method, total, seed)
    if data.draw(st.booleans()):
        values[total // 2 :] = values[0]  # many alike, as scanned digits are
    selector = default_selector(method)
    if isinstance(selector, spec.KMeans):
        selector = spec.KMeans(kind="kmeans", clusters=min(3, total))
    groups = [Group(np.arange(total) * 3, count)]
    values = np.repeat(values, 3, axis=0)
    chosen = select(selector, groups, values, np.random.default_rng(seed))
    assert len(chosen) == len(np.unique(chosen)) == count
    assert set(chosen) <= set(range(0, 3 * total, 3))
    assert np.array_equal(chosen, select(selector, groups, values, np.random.default_rng(seed)))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_labels_give_the_exact_size_or_one_line(method: spec.Method, data) -> None:
    """Few images, unbalanced, of one digit only, or copies of each other."""
    digits = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True))
    labels = np.array(data.draw(st.lists(st.sampled_from(digits), min_size=1, max_size=40)))
    size = data.draw(st.integers(1, len(labels)))
    balance = data.draw(st.sampled_from(["equal", "proportional", "free"]))
    seed = data.draw(st.integers(0, 1_000))
    rng = np.random.default_rng(seed)
    distinct = data.draw(st.integers(1, len(labels)))
    values = inputs(method, distinct, seed)[rng.integers(0, distinct, len(labels))]
    selector = default_selector(method)
    try:
        chosen = select(selector, divide(labels, size, balance), values, rng)
    except PresetError as error:
        assert balance == "equal" or isinstance(selector, spec.KMeans), error
        assert "\n" not in str(error)
        return
    assert len(chosen) == size
    assert chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all()
    assert 0 <= chosen[0] <= chosen[-1] < len(labels)
    if balance == "proportional":
        counts = np.bincount(labels[chosen], minlength=10)
        assert (np.abs(counts - size * np.bincount(labels, minlength=10) / len(labels)) < 1).all()


@pytest.mark.parametrize(
    "selector",
    [default_selector("random"), spec.KMeansSpread(kind="kmeans_spread", clusters=4)],
    ids=["random", "spread"],
)
def test_what_is_random_depends_on_the_seed(selector: spec.Selector) -> None:
    groups = [Group(np.arange(200), 20)]
    values = inputs("kmeans", 200)
    one, other = (select(selector, groups, values, np.random.default_rng(s)) for s in (1, 2))
    assert not np.array_equal(one, other)


@given(st.lists(st.integers(0, 9), min_size=10, max_size=300), st.integers(1, 300))
def test_proportional_sizes_add_up_and_are_close(labels: list[int], size: int) -> None:
    digits = np.array(labels)
    if size > len(digits):
        with pytest.raises(PresetError, match="training images"):
            divide(digits, size, "proportional")
        return
    groups = divide(digits, size, "proportional")
    assert sum(group.count for group in groups) == size
    for group in groups:
        assert len(set(digits[group.members])) == 1
        assert abs(group.count - size * len(group.members) / len(digits)) < 1
        assert group.count <= len(group.members)


def test_equal_sizes_are_equal_or_refused() -> None:
    labels = np.repeat(np.arange(10), [5] * 9 + [3])
    assert [group.count for group in divide(labels, 30, "equal")] == [3] * 10
    with pytest.raises(PresetError, match="cannot be divided equally among 10 digits"):
        divide(labels, 31, "equal")
    with pytest.raises(PresetError, match="of 9 there are only 3"):
        divide(labels, 40, "equal")
    with pytest.raises(PresetError, match="0 of 48 training images"):
        divide(labels, 0, "free")
    assert divide(labels, 7, "free")[0].count == 7


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 9), st.integers(1, 3))
def test_facility_location_is_the_greedy_choice_and_near_the_best(
    seed: int, total: int, count: int
) -> None:
    features = np.random.default_rng(seed).normal(size=(total, 3)).astype(np.float32)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    similarity = distances.max() - distances

    def worth(chosen: tuple[int, ...]) -> float:
        return similarity[list(chosen)].max(axis=0).sum()

    found = geometry.facility_location(features, count)
    greedy: list[int] = []
    for _ in range(count):
        rest = [i for i in range(total) if i not in greedy]
        greedy.append(max(rest, key=lambda i: worth((*greedy, i))))
    assert worth(tuple(found)) == pytest.approx(worth(tuple(greedy)), rel=1e-4)
    best = max(worth(chosen) for chosen in combinations(range(total), count))
    assert worth(tuple(found)) >= (1 - 1 / np.e) * best * (1 - 1e-5)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(5, 10), st.integers(2, 4))
def test_farthest_first_covers_at_most_twice_as_badly_as_the_best(
    seed: int, total: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(total, 2)).astype(np.float32)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)

    def radius(chosen: tuple[int, ...]) -> float:
        return distances[list(chosen)].min(axis=0).max()

    found = radius(tuple(geometry.farthest_first(features, count, rng)))
    best = min(radius(chosen) for chosen in combinations(range(total), count))
    assert found <= 2 * best * (1 + 1e-4)


def test_herding_keeps_the_mean_where_random_does_not() -> None:
    features = inputs("herding", 500)
    rng = np.random.default_rng(0)
    herded = features[geometry.herding(features, 20)].mean(axis=0) - features.mean(axis=0)
    drawn = features[rng.choice(500, 20, replace=False)].mean(axis=0) - features.mean(axis=0)
    assert np.linalg.norm(herded) < 0.1 * np.linalg.norm(drawn)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of 60, 30 and 10 points, far apart."""
    rng = np.random.default_rng(0)
    owner = np.repeat([0, 1, 2], [60, 30, 10])
    centres = np.array([[0, 0], [50, 0], [0, 50]])
    return (centres[owner] + rng.normal(size=(100, 2))).astype(np.float32), owner


def test_spreading_takes_from_every_cluster_in_proportion() -> None:
    features, owner = blobs()
    chosen = geometry.spread_over_clusters(features, 20, 3, np.random.default_rng(0))
    assert np.bincount(owner[chosen]).tolist() == [12, 6, 2]


def test_medoids_stand_for_one_cluster_each() -> None:
    features, owner = blobs()
    chosen = geometry.medoids(features, 3, np.random.default_rng(0))
    assert sorted(owner[chosen]) == [0, 1, 2]


def test_the_published_way_takes_what_is_nearest_to_centres() -> None:
    features, owner = blobs()
    chosen = geometry.nearest_to_centres(features, 50, 3, np.random.default_rng(0))
    centres = np.array([features[owner == each].mean(axis=0) for each in range(3)])
    distances = np.linalg.norm(features - centres[owner], axis=1)
    assert distances[chosen].max() <= np.delete(distances, chosen).min()


def test_moderate_leaves_the_nearest_and_the_farthest_out() -> None:
    features = np.linspace(0, 1, 101, dtype=np.float32)[:, None]
    chosen = geometry.nearest_to_median(features, 50)
    distances = np.abs(features[:, 0] - 0.5)
    assert 0.1 < distances[chosen].min() < distances[chosen].max() < 0.4


def test_more_clusters_than_images_are_refused() -> None:
    with pytest.raises(PresetError, match="30 clusters of 20 images"):
        geometry.nearest_to_centres(
            inputs("kmeans", 20), 5, clusters=30, rng=np.random.default_rng(0)
        )


def test_too_many_images_to_compare_each_with_each_are_refused() -> None:
    with pytest.raises(PresetError, match="facility_location compares every pair of images"):
        geometry.facility_location(np.zeros((12_001, 1), dtype=np.float32), 5)


def test_hardest_takes_the_highest_scores() -> None:
    scores = np.array([0, 5, 1, 5, 9], dtype=np.float32)
    assert set(difficulty.hardest(scores, 3, np.random.default_rng(0))) == {1, 3, 4}
    firsts = {
        int(difficulty.hardest(scores, 2, np.random.default_rng(seed))[1]) for seed in range(20)
    }
    assert firsts == {1, 3}  # equal scores are drawn at random


def test_coverage_centric_cuts_the_hardest_and_levels_the_rest() -> None:
    # 900 easy images and 100 spread over the difficulty, of which the hardest 50 are cut.
    scores = np.concatenate([np.zeros(900), np.linspace(0.1, 1, 100)]).astype(np.float32)
    rng = np.random.default_rng(0)
    chosen = difficulty.cover_difficulty(scores, 50, cut=0.05, strata=10, rng=rng)
    assert scores[chosen].max() < np.sort(scores)[-50]
    easy = (scores[chosen] == 0).sum()
    assert easy == pytest.approx(5, abs=5)
    assert len(difficulty.cover_difficulty(scores, 999, cut=0.5, strata=10, rng=rng)) == 999
