from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from mnistcli.datasets.centering import center_digit
from mnistcli.datasets.ink import _are_one_digit, _hull, _join_parts, find_digits, find_ink
from tests.datasets.pages import CONDITIONS, choose_digits, draw_ink, draw_page

DIGITS = choose_digits()


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Compare two images, each blurred by a pixel: a thin stroke may lie between two."""
    soft = [ndimage.gaussian_filter(each.astype(float), 1).ravel() for each in (one, other)]
    return float(np.corrcoef(*soft)[0, 1])


def name_likeliest(image: np.ndarray) -> int:
    return max(DIGITS, key=lambda digit: correlate(image, DIGITS[digit]))


@pytest.mark.parametrize("name", [name for name in CONDITIONS if not name.startswith("pen")])
def test_a_digit_looks_the_same_in_every_light(name: str) -> None:
    for digit, image in DIGITS.items():
        found = find_digits(find_ink(draw_page(name, image)))
        assert len(found) == 1, (name, digit)
        centred = center_digit(found[0].ink)
        assert name_likeliest(centred) == digit
        likeness = correlate(centred, image)
        assert likeness > 0.75, (name, digit)


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name.startswith("pen")])
def test_strokes_are_brought_to_the_width_of_the_training_images(name: str) -> None:
    for digit in (1, 2, 7):  # without holes, which a thick pen fills
        found = find_digits(find_ink(draw_page(name, DIGITS[digit])))
        assert len(found) == 1
        assert correlate(center_digit(found[0].ink), DIGITS[digit]) > 0.7, digit


def test_digits_are_found_line_by_line_from_left_to_right() -> None:
    order = [4, 2, 7, 0, 5, 9]
    page = np.zeros((400, 640))
    for place, digit in enumerate(order):
        top, left = 200 * (place // 3), 20 + 210 * (place % 3)
        page[top : top + 200, left : left + 200] = draw_ink(DIGITS[digit], 200, 0.1)
    found = find_digits(find_ink(0.9 - 0.8 * page))
    assert len(found) == len(order)
    for digit, wanted in zip(found, order, strict=True):
        assert name_likeliest(center_digit(digit.ink)) == wanted
    assert [digit.box[0] for digit in found[:3]] == sorted(digit.box[0] for digit in found[:3])


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.04, 0.1])
def test_blank_paper_has_no_digits(spread: float) -> None:
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, spread, (300, 400))
        assert find_digits(find_ink(np.clip(0.85 + noise, 0, 1))) == []


def test_the_centre_of_mass_is_in_the_middle() -> None:
    for image in DIGITS.values():
        centred = center_digit(draw_ink(image)[60:340, 50:320]).astype(float)
        for axis in (0, 1):
            profile = centred.sum(axis=1 - axis)
            middle = (profile * (np.arange(28) + 0.5)).sum() / profile.sum()
            assert abs(middle - 14) <= 0.6
        rows, columns = np.nonzero(centred > 64)
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21


BOXES = st.lists(st.tuples(*[st.integers(0, 60), st.integers(1, 15)] * 2), max_size=12)


@given(BOXES)
def test_parts_are_joined_pair_by_pair_from_the_first_on(places: list[tuple[int, ...]]) -> None:
    boxes = [
        (slice(top, top + height), slice(left, left + width)) for top, height, left, width in places
    ]
    groups = [[place] for place in range(len(boxes))]
    while pair := next(
        (
            (one, other)
            for one, other in combinations(groups, 2)
            if _are_one_digit(_hull(one, boxes), _hull(other, boxes))
        ),
        None,
    ):
        groups = [group for group in groups if group not in pair] + [pair[0] + pair[1]]
    assert _join_parts([*range(len(boxes))], boxes) == groups
