from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.display.pictures import draw_mistakes, draw_sheet
from mnistcli.errors import FileError
from mnistcli.records.reports import SheetRow
from tests.display.samples import make_images, make_metrics


def pixels(path: Path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as picture:
        return np.asarray(picture.convert("L"))


def make_rows(count: int) -> list[SheetRow]:
    return [SheetRow(digit, digit % 2 == 0, 10, make_images(count - digit)) for digit in range(3)]


def test_a_sheet_shows_the_images_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    draw_sheet(path, "kmeans: 10 of 20 images", make_rows(5))
    dark = (pixels(path) < 64).sum()
    draw_sheet(path, "kmeans: 10 of 20 images", make_rows(9))
    assert (pixels(path) < 64).sum() > dark


def test_a_gallery_grows_by_rows_of_eight(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.png"
    mistakes = make_metrics().mistakes * 6
    heights = []
    for count in (1, 8, 9):
        draw_mistakes(path, "run", mistakes[:count], make_images(count))
        heights.append(pixels(path).shape[0])
    assert heights[0] == heights[1] < heights[2]
    draw_mistakes(path, "run", (), make_images(0))
    assert pixels(path).shape[0] == heights[0]


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot write"):
        draw_sheet(tmp_path / "no" / "sheet.png", "x", make_rows(5))
