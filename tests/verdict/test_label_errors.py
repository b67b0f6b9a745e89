import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.verdict.label_errors import (
    count_confident_joint,
    estimate_errors,
    find_suspects,
    measure_self_confidence,
)

CLASSES = 3


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities in eighths, so that ties happen, and labels that leave out classes."""
    count = draw(st.integers(1, 12))
    cuts = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
    pairs = draw(st.lists(cuts, min_size=count, max_size=count))
    rows = [(low / 8, (high - low) / 8, (8 - high) / 8) for low, high in pairs]
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=count, max_size=count))
    return np.array(rows), np.array(labels)


def thresholds_slowly(rows: np.ndarray, labels: np.ndarray) -> list[float]:
    found = []
    for digit in range(CLASSES):
        own = [row[digit] for row, label in zip(rows, labels, strict=True) if label == digit]
        found.append(sum(own) / len(own) if own else np.inf)
    return found


def joint_slowly(rows: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """Count as the paper's equation 1 says, with the maximum where several classes qualify."""
    limits = measure_self_confidence(rows, labels)
    joint = [[0] * CLASSES for _ in range(CLASSES)]
    for row, label in zip(rows, labels, strict=True):
        reached = [digit for digit in range(CLASSES) if row[digit] >= limits[digit]]
        if reached:
            joint[label][max(reached, key=lambda digit: row[digit])] += 1
    return joint


@given(predictions())
def test_the_confident_joint_is_the_papers(case: tuple) -> None:
    assert measure_self_confidence(*case) == pytest.approx(thresholds_slowly(*case))
    assert count_confident_joint(*case).tolist() == joint_slowly(*case)


@given(predictions())
def test_no_more_labels_are_suspicious_than_are_estimated_to_be_wrong(case: tuple) -> None:
    rows, labels = case
    found = find_suspects(rows, labels)
    assert 0 <= found.estimated <= len(labels)
    assert len(found.indices) <= round(found.estimated)
    assert len(set(found.indices.tolist())) == len(found.indices)
    assert (found.margins > 0).all()
    assert (np.diff(found.margins) <= 0).all()
    for index, predicted, margin in zip(*found[:3], strict=True):
        assert predicted != labels[index]
        assert rows[index, predicted] == rows[index].max()
        assert margin == rows[index].max() - rows[index, labels[index]]


def test_the_joint_is_scaled_to_all_labels() -> None:
    """Of the images of label 0 that count, a quarter shows 1; of those of label 1, none shows 0."""
    joint = np.array([[6, 2], [0, 5]])
    labels = np.array([0] * 16 + [1] * 7)
    assert estimate_errors(joint, labels) == pytest.approx(4)
    assert estimate_errors(np.zeros((2, 2), dtype=np.int64), labels) == 0


def test_wrong_labels_are_found() -> None:
    """Networks are right in 19 of 20 cases, and sure; every tenth label is wrong."""
    rng = np.random.default_rng(0)
    true = rng.integers(10, size=5_000)
    seen = np.where(rng.random(5_000) < 0.95, true, rng.integers(10, size=5_000))
    rows = np.full((5_000, 10), 0.02)
    rows[np.arange(5_000), seen] = 0.82
    labels = np.where(np.arange(5_000) % 10 == 0, (true + 1) % 10, true)
    found = find_suspects(rows, labels)
    assert found.estimated == pytest.approx(500 + 0.045 * 5_000, rel=0.1)
    assert np.isin(np.flatnonzero(labels != true), found.indices).mean() > 0.9
