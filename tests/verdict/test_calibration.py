import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.verdict.calibration import calibrate, expected_calibration_error


def test_a_calibrated_network_has_no_calibration_error() -> None:
    confidences = [0.75] * 4 + [1.0] * 3
    bins = calibrate(confidences, [True, True, True, False] + [True] * 3)
    assert expected_calibration_error(bins) == pytest.approx(0)


def test_overconfidence_is_the_calibration_error() -> None:
    bins = calibrate([0.9] * 10, [True] * 6 + [False] * 4)
    assert expected_calibration_error(bins) == pytest.approx(0.3)


@given(st.lists(st.tuples(st.floats(0.1, 1), st.booleans()), min_size=1, max_size=50))
def test_every_image_is_in_one_bin_and_the_error_a_fraction(cases: list) -> None:
    bins = calibrate([c for c, _ in cases], [right for _, right in cases])
    assert sum(one.total for one in bins) == len(cases)
    assert 0 <= expected_calibration_error(bins) <= 1
    for one in bins:
        if one.confidence is not None:
            assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9
