"""How much like a digit an image is, by what fits into a web page.

`evaluate` compares an image with 3,000 training images; these do not fit. The page compares it with
what they have in common: it takes the mean of

- how much of the image (14 × 14 pixels, less their mean) lies in the space of the first 8 principal
  components of the training images, as the length of its projection, and
- the highest correlation of its logits with the mean logits of a digit.

With 8 components, 96 % of noise and 60 % of letters are refused, and 0.6 % of the test images (mean
of three runs of `sprint` in bfloat16). With all 3,000 images, 100, 61 and 0.7 % are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.export.integer import IntegerModel

COMPONENTS = 8
LEVELS = 127
"""Numbers of vectors are integers, in units of 1 / 127."""

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SimilarityCheck:
    """What images are compared with, and the limit that they must reach."""

    shapes: NDArray[np.int8]
    """Principal components, (8, 196)."""
    answers: NDArray[np.int8]
    """Mean logits of every digit, (10, 10)."""
    min_similarity: float


def fit_check(
    model: IntegerModel, references: Images, measured: Images, refused: float
) -> SimilarityCheck:
    """Return the check that refuses a fraction of the measured images.

    Args:
        model: whose logits are compared.
        references: training images, uint8 (n, 28, 28).
        measured: other images, to measure the limit on.
        refused: fraction of them below the limit.
    """
    logits = model.compute_logits(references)
    shapes = _find_components(_describe(references))
    answers = _average(_normalize(logits), logits.argmax(axis=1))
    check = SimilarityCheck(_to_levels(shapes), _to_levels(answers), 0.0)
    similarity = measure_similarity(check, measured, model.compute_logits(measured))
    return SimilarityCheck(check.shapes, check.answers, float(np.quantile(similarity, refused)))


def measure_similarity(check: SimilarityCheck, images: Images, logits: NDArray[np.int32]) -> Floats:
    """Return how similar images, uint8 (n, 28, 28), with their logits are to digits, (n,)."""
    shapes = _describe(images) @ (check.shapes.T.astype(np.float64) / LEVELS)
    answers = _normalize(logits) @ (check.answers.T.astype(np.float64) / LEVELS)
    similarity: Floats = (np.linalg.norm(shapes, axis=1) + answers.max(axis=1)) / 2
    return similarity


def _describe(images: Images) -> Floats:
    """Return images in 14 × 14 pixels, as vectors (n, 196) of length 1."""
    squares = images.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).astype(np.float64)
    return _normalize(squares.sum(axis=(2, 4)).reshape(len(images), -1))


def _normalize(vectors: NDArray[np.generic]) -> Floats:
    """Return vectors (n, d) less their mean, with length 1; 0 where all numbers are equal."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    normalized: Floats = centred / np.where(lengths == 0, 1, lengths)
    return normalized


def _find_components(vectors: Floats) -> Floats:
    """Return the directions (8, d) in which vectors from the origin reach furthest."""
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    found: Floats = directions.T[::-1][:COMPONENTS]
    return found


def _average(vectors: Floats, digits: NDArray[np.int64]) -> Floats:
    """Return the mean vector of every digit with length 1; 0 for a digit that there is not."""
    sums = np.stack([vectors[digits == digit].sum(axis=0) for digit in range(CLASSES)])
    return _normalize(sums)


def _to_levels(vectors: Floats) -> NDArray[np.int8]:
    return np.rint(vectors * LEVELS).astype(np.int8)
