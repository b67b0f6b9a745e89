from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.datasets.classes import read_classes
from mnistcli.errors import FileError

GREY = np.arange(784, dtype=np.uint8).reshape(28, 28)


def save(path: Path, picture: Image.Image | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or Image.fromarray(GREY)).save(path)


def test_names_are_in_order_across_the_classes_and_count_as_numbers(tmp_path: Path) -> None:
    for place in ("7/img_9.png", "0/img_10.png", "3/img_100.bmp", "9/img_2.png", "1/b.png"):
        save(tmp_path / place)
    for place in ("0/.hidden.png", "0/notes.txt", ".git/a", "__MACOSX/0"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    images, labels = read_classes(tmp_path)
    assert labels.tolist() == [1, 9, 7, 0, 3]
    assert labels.dtype == np.int64
    assert (images == GREY).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
def test_grey_is_read_from_every_kind_of_pixels(tmp_path: Path, mode: str) -> None:
    save(tmp_path / "4" / "a.png", Image.fromarray(GREY).convert(mode))
    images, labels = read_classes(tmp_path)
    assert labels.tolist() == [4]
    assert (images[0] == GREY).all()


def test_black_and_white_is_read(tmp_path: Path) -> None:
    save(tmp_path / "4" / "a.png", Image.fromarray(GREY).convert("1", dither=None))
    assert set(np.unique(read_classes(tmp_path)[0])) == {0, 255}


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("L", (32, 20)), "has 20 by 32 pixels, not 28 by 28"),
        (Image.new("RGB", (28, 28), "red"), "is in colour. Save it in grey"),
        (Image.new("LA", (28, 28)), "has a transparent background"),
        (Image.new("I;16", (28, 28)), "has more than 8 bits a pixel"),
        (b"", "is empty, not a PNG"),
        (b"<html>", "is an HTML page, not a PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is not a readable image"),
    ],
)
def test_other_pictures_are_one_clear_line(
    tmp_path: Path, picture: Image.Image | bytes, message: str
) -> None:
    path = tmp_path / "0" / "a.png"
    save(path, None if isinstance(picture, bytes) else picture)
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    with pytest.raises(FileError, match=message):
        read_classes(tmp_path)


def test_other_classes_and_no_pictures_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    with pytest.raises(FileError, match="has no pictures in folders 0 to 9"):
        read_classes(tmp_path)
    for name in "EDCBA":
        (tmp_path / name).mkdir()
    with pytest.raises(FileError, match="other classes than 0 to 9: A, B, C and 2 more"):
        read_classes(tmp_path)
