"""Confidence intervals, hypothesis tests of differences, and Holm's adjustment.

scipy is imported inside functions: it takes half a second, which a single training is spared.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, mean, stdev
from typing import NamedTuple

Z95 = 1.959963984540054
LEVEL = 0.05
ROUNDING_ERROR = 1e-12
"""A standard deviation below this comes from rounding."""

Interval = tuple[float, float]


class Sample(NamedTuple):
    """Mean, standard deviation and size of several values."""

    mean: float
    standard_deviation: float
    size: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Sample":
        """Summarize the values."""
        return cls(mean(values), standard_deviation(values), len(values))


class Difference(NamedTuple):
    """A mean difference, its 95 % confidence interval, and the p-value of no difference."""

    mean: float
    interval: Interval
    p_value: float


def wilson_interval(correct: int, total: int, z: float = Z95) -> Interval:
    """Return the score interval of a proportion, in [0, 1], by default with 95 % confidence.

    Unlike the normal approximation it holds near 100 %.

    Source: Wilson 1927.
    """
    proportion = correct / total
    weight = 1 + z * z / total
    centre = (proportion + z * z / (2 * total)) / weight
    half = z * sqrt(proportion * (1 - proportion) / total + z * z / (4 * total * total)) / weight
    # At 0 and 1 rounding would leave the proportion itself outside.
    return max(0.0, min(proportion, centre - half)), min(1.0, max(proportion, centre + half))


def standard_deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample; 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def student_interval(sample: Sample) -> Interval | None:
    """Return Student's 95 % confidence interval of the mean; None for fewer than two values."""
    from scipy.stats import t

    if sample.size < 2:
        return None
    if not sample.standard_deviation:
        return sample.mean, sample.mean
    error = sample.standard_deviation / sqrt(sample.size)
    low, high = t.interval(1 - LEVEL, sample.size - 1, loc=sample.mean, scale=error)
    return float(low), float(high)


def accuracy_interval(sample: Sample) -> Interval | None:
    """Return Student's 95 % confidence interval of a mean accuracy, clipped to [0, 1]."""
    interval = student_interval(sample)
    return interval and (max(0.0, interval[0]), min(1.0, interval[1]))


def paired_difference(values: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """Compare values with a baseline, pair by pair, by a paired t-test.

    Returns:
        The mean of `values` less `baseline`; None where there is nothing to test by: fewer than two
        pairs, or differences that are all the same and not 0.
    """
    from scipy.stats import ttest_rel

    differences = [one - other for one, other in zip(values, baseline, strict=True)]
    if len(differences) < 2:
        return None
    average = mean(differences)
    if stdev(differences) < ROUNDING_ERROR:
        return Difference(0.0, (0.0, 0.0), 1.0) if abs(average) < ROUNDING_ERROR else None
    tested = ttest_rel(values, baseline)
    low, high = tested.confidence_interval(1 - LEVEL)
    return Difference(average, (float(low), float(high)), float(tested.pvalue))


def one_sample_p(values: Sequence[float], claimed: float) -> float | None:
    """Return the one-sided p-value of the mean against the claimed value (one-sample t-test).

    The alternative is the side on which the mean lies. None for values without a spread.
    """
    from scipy.stats import ttest_1samp

    if standard_deviation(values) < ROUNDING_ERROR:
        return None
    side = "greater" if mean(values) > claimed else "less"
    return float(ttest_1samp(values, claimed, alternative=side).pvalue)


def welch_difference(sample: Sample, baseline: Sample) -> Difference:
    """Compare the means of two independent samples by Welch's t-test.

    Both need at least two values, and one of them a spread.
    """
    from scipy.stats import t, ttest_ind_from_stats

    variances = [each.standard_deviation**2 / each.size for each in (sample, baseline)]
    # scipy gives no interval to a test from means and deviations (Welch–Satterthwaite).
    degrees_of_freedom = sum(variances) ** 2 / sum(
        part**2 / (each.size - 1) for part, each in zip(variances, (sample, baseline), strict=True)
    )
    average = sample.mean - baseline.mean
    low, high = t.interval(1 - LEVEL, degrees_of_freedom, loc=average, scale=sqrt(sum(variances)))
    p_value = ttest_ind_from_stats(*sample, *baseline, equal_var=False).pvalue
    return Difference(average, (float(low), float(high)), float(p_value))


def proportion_difference(proportions: tuple[float, float], totals: tuple[int, int]) -> Difference:
    """Compare two proportions of independent trials by the normal approximation.

    The p-value pools both proportions, as its hypothesis does; the interval does not.
    """
    pairs = list(zip(proportions, totals, strict=True))
    error = sqrt(sum(proportion * (1 - proportion) / total for proportion, total in pairs))
    average = proportions[0] - proportions[1]
    common = sum(proportion * total for proportion, total in pairs) / sum(totals)
    pooled = sqrt(common * (1 - common) * sum(1 / total for total in totals))
    p_value = 2 * NormalDist().cdf(-abs(average) / pooled) if average else 1.0
    return Difference(average, (average - Z95 * error, average + Z95 * error), p_value)


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple comparisons.

    Source: Holm 1979.
    """
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted


def rank_correlation(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation of pairs; None for fewer than three, or equal values."""
    from scipy.stats import spearmanr

    if len(values) < 3 or len(set(values)) == 1 or len(set(others)) == 1:
        return None
    return float(spearmanr(values, others).statistic)
