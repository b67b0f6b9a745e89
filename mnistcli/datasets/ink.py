"""Brightness of a page → the ink on it, and the digits that the ink forms.

Everything is relative to the size of the picture and to its own contrast, so that a scan, a
photograph in uneven light and a drawing come out alike.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Box = tuple[slice, slice]

COARSE = 400
"""Longest side, in pixels, of the copy that the paper's brightness is estimated on."""
TINY = 48
"""Longest side, in pixels, of the copy that tells dark ink from light ink."""
RULED = 96
"""Min side, in pixels, of a page that may have ruled lines."""
WINDOW = 0.35
"""Side of the window that is wider than any stroke, as a fraction of that copy."""
RARE = 2e-4
"""The strongest ink is that of this fraction of the pixels: one of them may be dirt."""
CONTRAST = 0.06
"""Min contrast of ink and paper; less is a blank page."""
NOISES = 6
"""The contrast must be as many standard deviations of the paper's noise."""
THRESHOLD = 0.35
"""Ink begins at this fraction of the strongest ink."""
ACROSS = 0.85
"""A ruled line reaches over this fraction of the page."""
LINE = 0.03
"""A ruled line is thinner than this fraction of the page."""
SPECK = 0.04
"""A part with less than this fraction of the largest part's ink is a speck."""
OVERLAP = 0.3
"""Parts that share this fraction of the narrower one's columns are one digit."""
NEAR = 0.1
"""Parts of one digit are nearer than this fraction of the higher one."""
LINED_UP = 0.4
"""Digits in a line share this fraction of the lower one's rows."""


@dataclass(frozen=True)
class Digit:
    """Ink of one digit, cut out of its page."""

    ink: Floats
    """(h, w) in [0, 1]: 0 is paper."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom, in pixels of the page."""


def find_ink(page: Floats) -> Floats:
    """Return the ink of a page, (h, w) in [0, 1], whether it is dark or light.

    The brightness of the paper is estimated around every pixel, by a morphological closing that no
    stroke survives, and divided out: a shadow dims ink and paper alike. Straight ruled lines are
    taken off as the median of their row or column.

    Args:
        page: brightness, (h, w) in [0, 1].
    """
    if _is_light_on_dark(page):
        page = 1 - page
    paper = np.maximum(_estimate_paper(page), 1e-3)
    ink: Floats = np.clip(1 - page / paper, 0, 1)
    if min(ink.shape) >= RULED:
        ink = ink - _find_lines(ink, 0) - _find_lines(ink, 1)
    return np.clip(ink, 0, 1)


def find_digits(ink: Floats) -> list[Digit]:
    """Return the digits on a page, line by line and from left to right; none on a blank page.

    Specks are left out, and so is what touches the border where anything else is there.

    Args:
        ink: as `find_ink` returns it.
    """
    smooth = ndimage.gaussian_filter(ink, max(ink.shape) / 400)
    ink, smooth = (values - np.median(smooth) for values in (ink, smooth))
    strongest = float(np.quantile(smooth, 1 - RARE))
    noise = 1.4826 * float(np.median(np.abs(smooth)))
    if strongest < max(CONTRAST, NOISES * noise):
        return []
    parts, count = ndimage.label(smooth > THRESHOLD * strongest, np.ones((3, 3)))
    boxes = ndimage.find_objects(parts)
    weights = ndimage.sum_labels(smooth, parts, np.arange(1, count + 1))
    kept = _drop_specks(boxes, np.asarray(weights), ink.shape)
    groups = _put_in_order(_join_parts(kept, boxes), boxes)
    return [_cut_out(ink / strongest, parts, group, boxes) for group in groups]


def _is_light_on_dark(page: Floats) -> bool:
    """Return whether the strongest deviation from the paper around it is towards the light."""
    small = _shrink(page, TINY)
    window = [max(3, extent // 2) | 1 for extent in small.shape]
    paper = _enlarge(ndimage.median_filter(small, window, mode="reflect"), page.shape)
    darkest, lightest = np.quantile(page - paper, [RARE, 1 - RARE])
    return bool(lightest > -darkest)


def _estimate_paper(page: Floats) -> Floats:
    """Return the brightness of the paper at every pixel of a page with dark ink."""
    small = _shrink(page, COARSE)
    window = [max(3, round(WINDOW * max(small.shape))) | 1] * 2
    closed = ndimage.grey_closing(small, window, mode="reflect")
    return _enlarge(ndimage.gaussian_filter(closed, 1, mode="nearest"), page.shape)


def _shrink(page: Floats, longest: int) -> Floats:
    """Return the page with sides of about `longest` pixels or less, each the mean of a block."""
    block = [max(1, -(-extent // longest)) for extent in page.shape]
    smooth: Floats = ndimage.uniform_filter(page, block, mode="nearest")
    return smooth[block[0] // 2 :: block[0], block[1] // 2 :: block[1]]


def _enlarge(page: Floats, shape: tuple[int, ...]) -> Floats:
    zoom = [extent / small for extent, small in zip(shape, page.shape, strict=True)]
    large: Floats = ndimage.zoom(page, zoom, order=1, mode="nearest", grid_mode=True)
    return large[: shape[0], : shape[1]]


def _find_lines(ink: Floats, axis: int) -> Floats:
    """Return the ink of thin straight lines across the page, to be broadcast along `axis`."""
    profile = np.quantile(ink, 1 - ACROSS, axis=axis)
    wide = ndimage.grey_opening(profile, max(3, round(LINE * len(profile))))
    return np.expand_dims(profile - wide, axis)


def _drop_specks(boxes: list[Box], weights: Floats, shape: tuple[int, ...]) -> list[int]:
    """Return the numbers, from 0, of the parts that belong to digits."""
    inside = [place for place, box in enumerate(boxes) if not _touches_border(box, shape)]
    pool = inside if inside and weights[inside].max() >= SPECK * weights.max() else None
    known = pool if pool is not None else list(range(len(boxes)))
    largest = float(weights[known].max()) if known else 0.0
    return [place for place in known if weights[place] >= SPECK * largest]


def _touches_border(box: Box, shape: tuple[int, ...]) -> bool:
    return any(
        each.start == 0 or each.stop == extent for each, extent in zip(box, shape, strict=True)
    )


def _join_parts(parts: list[int], boxes: list[Box]) -> list[list[int]]:
    """Return the parts in groups of one digit each."""
    groups = {number: [place] for number, place in enumerate(parts)}
    hulls = {number: boxes[place] for number, place in enumerate(parts)}
    pairs = [
        pair for pair in combinations(groups, 2) if _are_one_digit(*(hulls[each] for each in pair))
    ]
    while pairs:  # of the first groups first, and of joined ones last
        one, other = heappop(pairs)
        if not {one, other} <= groups.keys():
            continue
        joined, number = groups.pop(one) + groups.pop(other), len(hulls)
        hulls[number] = _hull(joined, boxes)
        for each in groups:
            if _are_one_digit(hulls[each], hulls[number]):
                heappush(pairs, (each, number))
        groups[number] = joined
    return [*groups.values()]


def _are_one_digit(one: Box, other: Box) -> bool:
    """Return whether two parts lie above each other, as the bar of a 5 above the rest of it."""
    (rows, columns), (other_rows, other_columns) = one, other
    height = max(_length(rows), _length(other_rows))
    narrower = min(_length(columns), _length(other_columns))
    is_above = -_gap(columns, other_columns) >= OVERLAP * narrower
    return is_above and _gap(rows, other_rows) < NEAR * height


def _put_in_order(groups: list[list[int]], boxes: list[Box]) -> list[list[int]]:
    """Return the digits line by line from the top, and each line from left to right."""
    hulls = {group[0]: _hull(group, boxes) for group in groups}
    lines: list[list[list[int]]] = []
    for group in sorted(groups, key=lambda group: hulls[group[0]][0].start):
        rows = hulls[group[0]][0]
        if lines:
            last = hulls[lines[-1][0][0]][0]
            if -_gap(rows, last) >= LINED_UP * min(_length(rows), _length(last)):
                lines[-1].append(group)
                continue
        lines.append([group])
    return [group for line in lines for group in sorted(line, key=lambda g: hulls[g[0]][1].start)]


def _hull(parts: list[int], boxes: list[Box]) -> Box:
    """Return the smallest box around some parts."""
    rows, columns = ([boxes[place][axis] for place in parts] for axis in (0, 1))
    return (
        slice(min(each.start for each in rows), max(each.stop for each in rows)),
        slice(min(each.start for each in columns), max(each.stop for each in columns)),
    )


def _gap(one: slice, other: slice) -> int:
    """Return how far two ranges are apart; negative if they overlap."""
    return int(max(one.start, other.start) - min(one.stop, other.stop))


def _length(extent: slice) -> int:
    return int(extent.stop - extent.start)


def _cut_out(ink: Floats, parts: NDArray[np.int32], group: list[int], boxes: list[Box]) -> Digit:
    rows, columns = _hull(group, boxes)
    top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
    own = np.isin(parts[top:bottom, left:right], [place + 1 for place in group])
    # The soft rim of the strokes is below the threshold.
    near = ndimage.binary_dilation(own, iterations=max(1, (bottom - top) // 60))
    cut = np.clip(ink[top:bottom, left:right], 0, 1) * near
    return Digit(cut, (left, top, right, bottom))
