"""Out-of-sample predictions and given labels → labels that are probably wrong.

Source: Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset
labels", section 3, as in cleanlab. Probabilities must come from networks that did not learn from
the images in question.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating[Any]]
"""(n, classes)."""
Indices = NDArray[np.int64]


class LabelSuspects(NamedTuple):
    """The labels that are most probably wrong, the worst first."""

    indices: Indices
    predicted: Indices
    """Most probable class of each."""
    margins: NDArray[np.float64]
    """Probability of the predicted class less that of the label, in (0, 1]."""
    estimated: float
    """Estimated number of wrong labels among all."""


def find_suspects(probabilities: Probabilities, labels: Indices) -> LabelSuspects:
    """Return as many labels as are estimated to be wrong, those with the largest margins.

    It is the paper's pruning by noise rate with one number for all classes: with one for each pair
    of classes, as there, pairs that are estimated at less than half a label would have none.

    Args:
        probabilities: out-of-sample predictions.
        labels: given labels, int64 (n,).
    """
    exact = probabilities.astype(np.float64)
    estimated = estimate_errors(count_confident_joint(exact, labels), labels)
    own = exact[np.arange(len(labels)), labels]
    margins = exact.max(axis=1) - own
    order = np.argsort(-margins, kind="stable")[: round(estimated)]
    worst = order[margins[order] > 0]
    return LabelSuspects(worst, exact[worst].argmax(axis=1), margins[worst], estimated)


def measure_self_confidence(probabilities: Probabilities, labels: Indices) -> NDArray[np.float64]:
    """Return each class's mean probability on the images with its label, (classes,).

    It is the threshold from which an image counts as one of the class: infinite if there is none.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def count_confident_joint(probabilities: Probabilities, labels: Indices) -> Indices:
    """Count images by label (rows) and by the class that they confidently show (columns).

    An image confidently shows the most probable of the classes whose threshold it reaches; one
    that reaches none is not counted.
    """
    classes = probabilities.shape[1]
    reaches = probabilities >= measure_self_confidence(probabilities, labels)
    shown = np.where(reaches, probabilities, -1.0).argmax(axis=1)
    counted = reaches.any(axis=1)
    pairs = labels[counted] * classes + shown[counted]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def estimate_errors(joint: Indices, labels: Indices) -> float:
    """Estimate how many labels are wrong: the joint off its diagonal, scaled to all labels."""
    totals = joint.sum(axis=1)
    wrong = (totals - joint.diagonal()) / np.maximum(totals, 1)
    return float(wrong @ np.bincount(labels, minlength=len(joint)))
