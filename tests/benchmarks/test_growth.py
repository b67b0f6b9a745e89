from dataclasses import replace

import pytest

from tests.benchmarks.growth import (
    ALONE,
    PROCESSES,
    Measurement,
    find_break_even,
    make_rows,
    render,
    render_jobs,
)

ONE = Measurement("seeds", ALONE, 1, 6.0, (2.0,), 0.5, 3_000_000_000)


def several(how: str, seconds: float, *train_seconds: float) -> Measurement:
    return replace(
        ONE, how=how, amount=len(train_seconds), seconds=seconds, train_seconds=train_seconds
    )


def test_what_comes_once_is_told_apart_from_the_trainings() -> None:
    four = several(ALONE, 12.0, 2.0, 2.0, 2.0, 2.0)
    first, row = make_rows([ONE, four], import_seconds=1.5)
    assert (first.ratio, first.training_ratio, first.why) == (1, 1, "")
    assert row.ratio == 12 / 24
    assert row.training_ratio == 1
    assert row.why == "start and end take 4.0 s, of which importing PyTorch 1.5 s"


def test_two_at_once_need_half_the_time() -> None:
    four = several(PROCESSES, 11.0, 2.0, 2.2, 2.0, 2.2)
    one = several(PROCESSES, 9.0, 2.1)
    _, of_four, of_one = make_rows([ONE, four, one], import_seconds=1.5)
    assert of_four.training_ratio == pytest.approx(1.05)
    assert of_four.ratio == pytest.approx(11 / 12)
    assert of_four.why == ""
    assert of_one.training_ratio == pytest.approx(1.05)  # nothing to share: one at a time
    assert "6.9 s" in of_one.why
    assert "1.5 s here, then 1.5 s where it trains" in of_one.why


def test_trainings_that_slow_each_other_down_are_told() -> None:
    _, row = make_rows([ONE, several(PROCESSES, 9.0, 3.0, 3.2)], import_seconds=1.5)
    assert row.training_ratio == pytest.approx(1.55)
    assert row.why.startswith("a training takes 3.1 s instead of 2.0; start and end take 5.9 s")


def test_parameters_are_explained_by_their_rate() -> None:
    small = replace(ONE, what="parameters", amount=2_000)
    large = replace(
        small, amount=200_000, seconds=24.0, train_seconds=(20.5,), macs=300_000_000_000
    )
    _, _, row = make_rows([ONE, small, large], import_seconds=1.5)
    assert row.training_ratio == pytest.approx(20.5 / 200)
    assert "100 times the MACs, 15.0 instead of 2.0 billion a second" in row.why
    assert "batches take 0.5 s for any network" in row.why


def test_the_break_even_is_where_the_whole_command_is_as_fast_as_wanted() -> None:
    alone, together = several(ALONE, 24.0, 10.0, 10.0), several(PROCESSES, 17.0, 10.4, 10.4)
    seconds = find_break_even(alone, together, 1.5)
    assert seconds is not None
    whole = (2 * seconds + 4) / (1.04 * seconds + 6.6)
    assert whole == pytest.approx(1.5)
    assert find_break_even(alone, together, 2.0) is None
    assert find_break_even(alone, several(PROCESSES, 11.4, 10.4, 10.4), 1.1) == 0
    assert "1.41 times as fast; without start and end 1.92 times" in render_jobs(alone, together)


def test_the_table_has_a_line_for_each_measurement() -> None:
    rows = make_rows([ONE, several(ALONE, 12.0, *[2.0] * 4)], import_seconds=1.5)
    lines = render(rows).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| seeds | one process | 1 | 6.0 | 2.0 | 1.00 | 1.00 | linear |"
    assert lines[3].startswith("| seeds | one process | 4 | 12.0 | 8.0 | 0.50 | 1.00 | start and")
