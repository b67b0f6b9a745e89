import numpy as np
import pytest

from mnistcli.verdict.several import count_additional_seeds
from mnistcli.verdict.stats import Sample, student_interval


def test_so_many_more_seeds_do_decide() -> None:
    values = [0.993, 0.995, 0.994, 0.996, 0.992]
    limit = 0.9935
    missing = count_additional_seeds(values, limit)
    assert missing is not None
    assert missing > 0
    # Values with the same mean and spread, so many of them: the limit is outside the interval.
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=len(values) + missing)
    alike = np.mean(values) + (drawn - drawn.mean()) / drawn.std(ddof=1) * np.std(values, ddof=1)
    low, high = student_interval(Sample.of(list(alike)))
    assert not low <= limit <= high


def test_a_mean_on_the_limit_is_never_decided() -> None:
    assert count_additional_seeds([0.1, 0.3], 0.2) is None


def test_where_it_is_decided_none_is_missing() -> None:
    assert count_additional_seeds([0.5, 0.501, 0.499], 0.1) == pytest.approx(0)
