import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.display.sparkline import BLOCKS, draw_sparkline


def test_values_go_from_the_lowest_block_to_the_highest() -> None:
    assert draw_sparkline(range(8), 40) == BLOCKS
    assert draw_sparkline([5, 5], 40) == BLOCKS[0] * 2
    assert draw_sparkline([], 40) == ""


def test_a_logarithm_shows_what_is_small() -> None:
    losses = [1.0, 0.1, 0.01]
    assert draw_sparkline(losses, 40) == "█▂▁"
    assert draw_sparkline(losses, 40, is_logarithmic=True) in ("█▅▁", "█▄▁")
    assert draw_sparkline([0.0, 1.0], 40, is_logarithmic=True) == "▁█"


@given(st.lists(st.floats(-1e9, 1e9), max_size=300), st.integers(2, 60))
def test_it_is_never_wider_and_keeps_both_ends(values: list[float], width: int) -> None:
    drawn = draw_sparkline(values, width)
    assert len(drawn) == min(len(values), width)
    assert set(drawn) <= set(BLOCKS)


@pytest.mark.parametrize("values", [[0.0, *[0.5] * 98, 1.0]])
def test_the_ends_of_a_thinned_series_are_its_own(values: list[float]) -> None:
    drawn = draw_sparkline(values, 40)
    assert (drawn[0], drawn[-1]) == (BLOCKS[0], BLOCKS[-1])
