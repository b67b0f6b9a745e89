"""Intervals of what was measured, and tests of differences."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, mean, stdev
from typing import Literal, NamedTuple

Z95 = 1.959963984540054
LEVEL = 0.05
SAME = 1e-12
"""A spread below this is that of rounding."""

Interval = tuple[float, float]


class Sample(NamedTuple):
    """What is known of several values."""

    mean: float
    sd: float
    size: int


class Difference(NamedTuple):
    """A mean difference with its 95 % interval, and the p-value of there being none."""

    mean: float
    interval: Interval
    p_value: float


def wilson_interval(correct: int, total: int, z: float = Z95) -> Interval:
    """The score interval of a share, in [0, 1], by default with 95 % confidence.

    Source: Wilson 1927. Unlike the normal approximation it holds near 100 %.
    """
    share = correct / total
    weight = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / weight
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / weight
    # At 0 and 1 rounding would leave the share itself outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; 0 of a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def student_quantile(degrees_of_freedom: float) -> float:
    """Half the width of a 95 % interval in standard errors, with that many degrees of freedom."""
    from scipy.stats import t  # half a second, which a single run is spared

    return float(t.ppf(1 - LEVEL / 2, degrees_of_freedom))


def student_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean (Student 1908); none of fewer than two values."""
    if len(values) < 2:
        return None
    half = student_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return mean(values) - half, mean(values) + half


def share_interval(shares: Sequence[float]) -> Interval | None:
    """The same of shares, in [0, 1]: beyond that no mean can be."""
    interval = student_interval(shares)
    return interval and clip_interval(interval)


def clip_interval(interval: Interval) -> Interval:
    """As much of it as lies in [0, 1]."""
    low, high = interval
    return max(0.0, low), min(1.0, high)


def paired_difference(values: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """By how much `values` exceed those of `baseline` at the same place: a paired t test.

    Nothing where fewer than two pairs are there. Where all differ by the same there is no spread to
    test by: nothing is clear, and the p-value is 1.
    """
    differences = [one - other for one, other in zip(values, baseline, strict=True)]
    interval = student_interval(differences)
    if interval is None:
        return None
    average, spread = mean(differences), stdev(differences)
    if spread < SAME:
        return Difference(average, (average, average), 1.0)
    statistic = average / (spread / sqrt(len(differences)))
    return Difference(average, interval, _two_sided(statistic, len(differences) - 1))


def one_sample_p(values: Sequence[float], claimed: float) -> float | None:
    """How likely a mean so far on its side of `claimed` is, if the true mean is `claimed`.

    One-sided, by Student's t test of one sample; nothing where the values have no spread.
    """
    error = deviation(values) / sqrt(len(values))
    if not error:
        return None
    return _two_sided((mean(values) - claimed) / error, len(values) - 1) / 2


def welch_difference(sample: Sample, baseline: Sample) -> Difference:
    """By how much the mean of one sample exceeds that of another (Welch 1947).

    Both need two values at least, and one of them a spread.
    """
    errors = [each.sd**2 / each.size for each in (sample, baseline)]
    average, error = sample.mean - baseline.mean, sqrt(sum(errors))
    degrees_of_freedom = sum(errors) ** 2 / sum(
        part**2 / (each.size - 1) for part, each in zip(errors, (sample, baseline), strict=True)
    )
    half = student_quantile(degrees_of_freedom) * error
    return Difference(
        average, (average - half, average + half), _two_sided(average / error, degrees_of_freedom)
    )


def proportion_difference(shares: tuple[float, float], totals: tuple[int, int]) -> Difference:
    """By how much one share exceeds another, of independent trials, by the normal approximation.

    The p-value takes both for the same share, as its hypothesis does; the interval does not.
    """
    pairs = list(zip(shares, totals, strict=True))
    error = sqrt(sum(share * (1 - share) / total for share, total in pairs))
    average = shares[0] - shares[1]
    common = sum(share * total for share, total in pairs) / sum(totals)
    pooled = sqrt(common * (1 - common) * sum(1 / total for total in totals))
    p_value = 2 * NormalDist().cdf(-abs(average) / pooled) if average else 1.0
    return Difference(average, (average - Z95 * error, average + Z95 * error), p_value)


def _two_sided(statistic: float, degrees_of_freedom: float) -> float:
    from scipy.stats import t

    return float(2 * t.sf(abs(statistic), degrees_of_freedom))


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """The p-values made comparable with the level although there are several (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def judge(difference: float, p_value: float) -> Literal["better", "worse", "no clear difference"]:
    """What a difference and its p-value say at the 5 % level."""
    if p_value >= LEVEL:
        return "no clear difference"
    return "better" if difference > 0 else "worse"
