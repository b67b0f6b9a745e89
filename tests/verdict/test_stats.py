import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from mnistcli.verdict.stats import (
    Z95,
    holm_adjust,
    judge,
    paired_difference,
    proportion_difference,
    share_interval,
    student_interval,
    wilson_interval,
)

# Accuracies on 10,000 images.
SAMPLES = st.lists(st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=2, max_size=20)


def test_a_known_interval() -> None:
    low, high = wilson_interval(9_943, 10_000)
    assert (round(low, 4), round(high, 4)) == (0.9926, 0.9956)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_its_ends_are_where_the_score_test_turns(case: tuple[int, int]) -> None:
    correct, total = case
    share = correct / total
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        spread = Z95**2 * end * (1 - end) / total
        assert (share - end) ** 2 == pytest.approx(spread, rel=1e-6, abs=1e-12)


@given(SAMPLES)
def test_the_mean_lies_in_the_middle_of_its_interval(values: list[float]) -> None:
    low, high = student_interval(values)
    assert (low + high) / 2 == pytest.approx(sum(values) / len(values))
    if high - low > 1e-6:
        wanted = reference.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((wanted.low, wanted.high))


@given(SAMPLES)
def test_no_mean_of_shares_is_beyond_them(values: list[float]) -> None:
    low, high = share_interval(values)
    assert 0 <= low <= high <= 1
    whole = student_interval(values)
    assert (low, high) == (max(0, whole[0]), min(1, whole[1]))


@given(SAMPLES, st.randoms(use_true_random=False))
def test_paired_differences_are_those_of_a_paired_t_test(values: list[float], random) -> None:
    baseline = [random.randint(0, 10_000) / 10_000 for _ in values]
    if len({round(a - b, 6) for a, b in zip(values, baseline, strict=True)}) == 1:
        return  # scipy has no p-value where all differences are the same
    found = paired_difference(values, baseline)
    wanted = reference.ttest_rel(values, baseline)
    assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-6)
    assert found.mean == pytest.approx(sum(values) / len(values) - sum(baseline) / len(values))


def test_a_single_value_has_neither_interval_nor_test() -> None:
    assert student_interval([0.5]) is None
    assert paired_difference([0.5], [0.4]) is None


def test_two_shares_are_the_same_by_hypothesis() -> None:
    table = [[60, 40], [45, 55]]
    found = proportion_difference((0.60, 0.45), (100, 100))
    wanted = reference.chi2_contingency(table, correction=False).pvalue
    assert found.p_value == pytest.approx(wanted)
    assert proportion_difference((1.0, 1.0), (10, 10)).p_value == 1


def test_differences_that_are_all_the_same_have_no_spread_to_test_by() -> None:
    assert paired_difference([0.5, 0.5], [0.5, 0.5]).p_value == 1
    assert paired_difference([0.9941, 0.9951], [0.9940, 0.9950]).p_value == 1


def test_adjusting_is_holms() -> None:
    assert holm_adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjust([0.5, 0.9]) == [1, 1]
    assert holm_adjust([]) == []


def test_a_verdict_needs_a_small_p() -> None:
    assert judge(0.1, 0.01) == "better"
    assert judge(-0.1, 0.01) == "worse"
    assert judge(0.1, 0.05) == "no clear difference"
