"""Images → which of them are identical."""

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import SIDE

BYTES = SIDE * SIDE
WORD = 8
MULTIPLIERS = np.random.default_rng(0).integers(2**64, size=BYTES // WORD, dtype=np.uint64)


def find_first(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return for every image, uint8 (n, 28, 28), the index of the first one with the same pixels.

    Hashes tell nearly all images apart; those with the same hash are compared byte by byte.
    """
    rows = np.ascontiguousarray(images.reshape(len(images), BYTES))
    # Integers wrap around, and a product with a matrix needs no memory for its terms.
    hashes = rows.view(np.uint64) @ MULTIPLIERS
    _, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    first = np.arange(len(rows))
    if len(alike := np.flatnonzero(counts[places] > 1)):
        contents = rows[alike].view(np.dtype((np.void, BYTES)))[:, 0]
        _, beginnings, groups = np.unique(contents, return_index=True, return_inverse=True)
        first[alike] = alike[beginnings[groups]]
    return first
