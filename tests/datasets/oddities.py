"""Pictures that show no digit: uint8 (h, w), dark on white or, of 28 × 28 pixels, as MNIST's."""

import string
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mnistcli.datasets.load import load_examples
from tests.datasets.pages import draw_ink

Picture = NDArray[np.uint8]
SIDE = 28
FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "STIXGeneral", "cmr10")
LIKE_DIGITS = "IilOoSsZzBbqgJjtDQ"
"""Letters with the shape of a digit; nobody can tell an O from a 0."""
LETTERS = "".join(sorted(set(string.ascii_letters) - set(LIKE_DIGITS)))
SYMBOLS = "#$%&@?*+=<>^~€§"


def draw_text(text: str, font: str) -> Picture:
    """Return text in a font, 200 pixels high."""
    picture = Image.new("L", (400, 400), 235)
    type_ = ImageFont.truetype(str(FOLDER / f"{font}.ttf"), 200)
    ImageDraw.Draw(picture).text((200, 200), text, font=type_, fill=30, anchor="mm")
    return np.asarray(picture)


def draw_each(characters: str, fonts: tuple[str, ...] = FONTS) -> list[Picture]:
    """Return every character in every font."""
    return [draw_text(one, font) for font in fonts for one in characters]


def make_noise(count: int) -> list[Picture]:
    """Return independent pixels: grey ones, and black and white ones of different density."""
    rng = np.random.default_rng(0)
    density = rng.uniform(0.05, 0.5, (count, 1, 1))
    grey = rng.integers(0, 256, (count, SIDE, SIDE))
    sparse = 255 * (rng.random((count, SIDE, SIDE)) < density)
    return [_frame(one, 1) for one in np.where(np.arange(count)[:, None, None] % 2, grey, sparse)]


def make_textures(count: int) -> list[Picture]:
    """Return stripes, soft and hard, checks and grids, turned at random."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    pictures = []
    for number in range(count):
        angle, period, phase = rng.uniform((0, 3, 0), (np.pi, 12, 2 * np.pi))
        along = np.cos(angle) * down + np.sin(angle) * right
        across = np.cos(angle) * right - np.sin(angle) * down
        stripes, others = (np.sin(2 * np.pi * each / period + phase) for each in (along, across))
        kinds = (stripes, stripes * others, np.sign(stripes), np.maximum(stripes, others) - 0.3)
        pictures.append(_frame(127.5 * (1 + kinds[number % 4]), 4))
    return pictures


def halve_digits(count: int) -> dict[str, list[Picture]]:
    """Return the upper, lower, left and right halves of test digits, where they were."""
    halves: dict[str, list[Picture]] = {"upper": [], "lower": [], "left": [], "right": []}
    for image in load_examples("test").images[:count, 0].numpy():
        rows, columns = np.nonzero(image > 60)
        middle, centre = (int(place.min() + place.max() + 1) // 2 for place in (rows, columns))
        cuts = (np.s_[middle:], np.s_[:middle], np.s_[:, centre:], np.s_[:, :centre])
        for half, cut in zip(halves.values(), cuts, strict=True):
            half.append(image.copy())
            half[-1][cut] = 0
    return halves


def print_pages(images: list[Picture]) -> list[Picture]:
    """Return images of 28 × 28 pixels as ink on larger pages."""
    pages = [0.92 - 0.8 * draw_ink(image) for image in images]
    return [(255 * page).round().astype(np.uint8) for page in pages]


def _frame(values: NDArray[np.generic], width: int) -> Picture:
    """Return an image with a black border, which is read as it is."""
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    inside = np.s_[width:-width, width:-width]
    image[inside] = np.clip(values, 0, 255).astype(np.uint8)[inside]
    return image
