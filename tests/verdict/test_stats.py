from math import sqrt
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from scipy.special import betainc, betaincinv

from mnistcli.verdict.stats import (
    Z95,
    Sample,
    accuracy_interval,
    holm_adjust,
    one_sample_p,
    paired_difference,
    proportion_difference,
    rank_correlation,
    student_interval,
    welch_difference,
    wilson_interval,
)

# Accuracies on 10,000 images.
SAMPLES = st.lists(st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=2, max_size=20)

# Student's own data (1908): additional hours of sleep by two drugs, ten patients.
# R's t.test gives the figures below for them.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def two_sided_p(statistic: float, degrees_of_freedom: float) -> float:
    """Student's t by the incomplete beta function, as in a textbook."""
    x = degrees_of_freedom / (degrees_of_freedom + statistic**2)
    return float(betainc(degrees_of_freedom / 2, 0.5, x))


def quantile(degrees_of_freedom: float) -> float:
    """The t that leaves 2.5 % on each side."""
    x = betaincinv(degrees_of_freedom / 2, 0.5, 0.05)
    return float(sqrt(degrees_of_freedom * (1 - x) / x))


def test_a_paired_t_test_on_students_sleep_data() -> None:
    found = paired_difference(FIRST, SECOND)
    assert found.mean == pytest.approx(-1.58)
    assert found.p_value == pytest.approx(0.00283289, abs=1e-8)
    assert found.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)


def test_welchs_t_test_on_students_sleep_data() -> None:
    found = welch_difference(Sample.of(FIRST), Sample.of(SECOND))
    assert found.mean == pytest.approx(-1.58)
    assert found.p_value == pytest.approx(0.07939414, abs=1e-8)
    assert found.interval == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)


def test_the_table_of_students_quantiles() -> None:
    for degrees_of_freedom, wanted in {1: 12.706, 4: 2.776, 9: 2.262, 30: 2.042}.items():
        size = degrees_of_freedom + 1
        low, high = student_interval(Sample(0.0, sqrt(size), size))
        assert (-low, high) == pytest.approx((wanted, wanted), abs=5e-4)


def test_a_known_interval() -> None:
    low, high = wilson_interval(9_943, 10_000)
    assert (round(low, 4), round(high, 4)) == (0.9926, 0.9956)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_its_ends_are_where_the_score_test_turns(case: tuple[int, int]) -> None:
    correct, total = case
    proportion = correct / total
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= proportion <= high <= 1
    for end in (low, high):
        spread = Z95**2 * end * (1 - end) / total
        assert (proportion - end) ** 2 == pytest.approx(spread, rel=1e-6, abs=1e-12)


@given(SAMPLES)
def test_the_mean_lies_in_the_middle_of_its_interval(values: list[float]) -> None:
    low, high = student_interval(Sample.of(values))
    half = quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    assert (low, high) == pytest.approx((mean(values) - half, mean(values) + half), abs=1e-12)


@given(SAMPLES)
def test_no_mean_accuracy_is_beyond_zero_and_one(values: list[float]) -> None:
    low, high = accuracy_interval(Sample.of(values))
    assert 0 <= low <= high <= 1
    whole = student_interval(Sample.of(values))
    assert (low, high) == (max(0, whole[0]), min(1, whole[1]))


@given(SAMPLES, st.randoms(use_true_random=False))
def test_paired_differences_are_those_of_the_textbook(values: list[float], random) -> None:
    baseline = [random.randint(0, 10_000) / 10_000 for _ in values]
    differences = [one - other for one, other in zip(values, baseline, strict=True)]
    found = paired_difference(values, baseline)
    assert found.mean == pytest.approx(mean(differences), abs=1e-12)
    if stdev(differences) < 1e-12:
        assert (found.p_value, found.interval) == (1, (found.mean, found.mean))
        return
    error = stdev(differences) / sqrt(len(differences))
    half = quantile(len(differences) - 1) * error
    assert found.interval == pytest.approx((found.mean - half, found.mean + half), abs=1e-12)
    p_value = two_sided_p(found.mean / error, len(differences) - 1)
    assert found.p_value == pytest.approx(p_value, abs=1e-12)


@given(SAMPLES, st.integers(0, 10_000).map(lambda n: n / 10_000))
def test_one_sample_is_tested_on_the_side_of_its_mean(values: list[float], claimed: float) -> None:
    found = one_sample_p(values, claimed)
    if len(set(values)) == 1:
        assert found is None
        return
    statistic = (mean(values) - claimed) / (stdev(values) / sqrt(len(values)))
    assert found == pytest.approx(two_sided_p(statistic, len(values) - 1) / 2, abs=1e-12)
    assert found <= 0.5


@given(SAMPLES, SAMPLES)
def test_welchs_difference_is_that_of_the_textbook(one: list[float], other: list[float]) -> None:
    if len(set(one)) == len(set(other)) == 1:
        return  # neither has a spread to test by
    found = welch_difference(Sample.of(one), Sample.of(other))
    parts = [stdev(values) ** 2 / len(values) for values in (one, other)]
    error = sqrt(sum(parts))
    degrees_of_freedom = sum(parts) ** 2 / (
        parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(other) - 1)
    )
    half = quantile(degrees_of_freedom) * error
    assert found.mean == pytest.approx(mean(one) - mean(other), abs=1e-12)
    assert found.interval == pytest.approx((found.mean - half, found.mean + half), abs=1e-12)
    wanted = two_sided_p(found.mean / error, degrees_of_freedom)
    assert found.p_value == pytest.approx(wanted, abs=1e-12)


def test_a_single_value_has_neither_interval_nor_test() -> None:
    assert student_interval(Sample.of([0.5])) is None
    assert accuracy_interval(Sample.of([0.5])) is None
    assert paired_difference([0.5], [0.4]) is None
    assert one_sample_p([0.5], 0.4) is None


def test_two_proportions_are_the_same_by_hypothesis() -> None:
    table = [[60, 40], [45, 55]]
    found = proportion_difference((0.60, 0.45), (100, 100))
    wanted = reference.chi2_contingency(table, correction=False).pvalue
    assert found.p_value == pytest.approx(wanted)
    assert proportion_difference((1.0, 1.0), (10, 10)).p_value == 1


def test_differences_that_are_all_the_same_have_no_spread_to_test_by() -> None:
    assert paired_difference([0.5, 0.5], [0.5, 0.5]).p_value == 1
    assert paired_difference([0.9941, 0.9951], [0.9940, 0.9950]) is None
    assert one_sample_p([0.9952, 0.9952 + 2e-16], 0.99) is None


def test_adjusting_is_holms() -> None:
    assert holm_adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjust([0.5, 0.9]) == [1, 1]
    assert holm_adjust([]) == []


def test_rank_correlation_is_that_of_ranks() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 100, 1_000, 10_000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # Of the differences d of the ranks: 1 - 6 Σ d² / (n (n² - 1)), here with Σ d² = 4.
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(1 - 6 * 4 / 120)


@pytest.mark.parametrize(
    ("values", "others"),
    [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([], [])],
)
def test_without_ranks_there_is_no_correlation(values: list[float], others: list[float]) -> None:
    assert rank_correlation(values, others) is None
