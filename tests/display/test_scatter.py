from hypothesis import given
from hypothesis import strategies as st

from mnistcli.display.scatter import HEIGHT, MARKED, POINT, draw_scatter

POINTS = st.lists(st.tuples(st.floats(1, 1e9), st.floats(0, 100)), min_size=1, max_size=20)


@given(POINTS)
def test_points_are_drawn_in_few_columns(points: list[tuple[float, float]]) -> None:
    lines = draw_scatter(points, points[0], ("parameters", "accuracy, %"))
    assert len(lines) == HEIGHT + 3
    assert max(map(len, lines)) <= 79
    drawn = "".join(lines)
    assert drawn.count(MARKED) == 1
    assert drawn.count(POINT) <= len(points)


def test_larger_is_right_and_more_accurate_is_up() -> None:
    lines = draw_scatter([(100, 90.0), (1_000, 95.0)], (10_000, 99.0), ("parameters", "accuracy"))
    rows = [
        (row, line.index(sign))
        for row, line in enumerate(lines)
        for sign in (POINT, MARKED)
        if sign in line
    ]
    assert [row for row, _ in rows] == sorted(row for row, _ in rows)
    assert [column for _, column in rows] == sorted((c for _, c in rows), reverse=True)
    assert MARKED in lines[rows[0][0]]
