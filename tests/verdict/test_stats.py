import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.verdict.stats import Z95, wilson_interval


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
