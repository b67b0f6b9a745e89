"""Intervals of what was measured."""

from math import sqrt

Z95 = 1.959963984540054


def wilson_interval(correct: int, total: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a share, in [0, 1], by default with 95 % confidence.

    Source: Wilson 1927. Unlike the normal approximation it holds near 100 %.
    """
    share = correct / total
    weight = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / weight
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / weight
    # At 0 and 1 rounding would leave the share itself outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
