from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnistcli.datasets.pictures import read_pictures
from mnistcli.errors import FileError


def bar(mode: str, paper: object, ink: object) -> Image.Image:
    """A thick upright stroke, off-centre, on 400 × 300."""
    picture = Image.new(mode, (400, 300), paper)
    ImageDraw.Draw(picture).rectangle((40, 150, 70, 269), fill=ink)
    return picture


@pytest.mark.parametrize(
    ("mode", "paper", "ink"),
    [
        ("L", 255, 0),
        ("L", 0, 255),
        ("RGB", (250, 240, 230), (20, 20, 90)),
        ("LA", (0, 0), (0, 255)),
    ],
)
def test_a_digit_is_inverted_cut_out_scaled_and_centred(
    tmp_path: Path, mode: str, paper: object, ink: object
) -> None:
    bar(mode, paper, ink).save(path := tmp_path / "x.png")
    images = read_pictures([path])
    assert images.shape == (1, 1, 28, 28)
    image = images[0, 0].numpy()
    assert image.max() > 200
    assert image[0].max() == 0
    rows, columns = np.nonzero(image > 64)
    assert rows.min() == 4
    assert rows.max() == 23  # 20 high, in the middle
    assert 4 <= np.ptp(columns) + 1 <= 6
    assert abs(columns.mean() + 0.5 - 14) <= 0.6


def test_what_is_no_picture_of_a_digit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    bar("L", 255, 0).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    bar("L", 255, 0).save(tmp_path / "whole.bmp")
    for content, words in (
        (b"", "is empty, not a PNG or JPEG image"),
        (b"not a picture", "is a text file, not a PNG or JPEG image"),
        (b"<html>Sign in</html>", "is an HTML page, not a PNG or JPEG image"),
        ((tmp_path / "whole.bmp").read_bytes(), "is a BMP image, not a PNG or JPEG image"),
        (whole[: len(whole) // 2], "not a readable PNG or JPEG image"),
        (bytes(90), "not a readable PNG or JPEG image"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileError, match=words):
            read_pictures([path])
    with pytest.raises(FileError, match="is a folder. Name PNG or JPEG files."):
        read_pictures([tmp_path])
    with pytest.raises(FileError, match='none.png": No such file'):
        read_pictures([tmp_path / "none.png"])
    Image.new("L", (50, 50), 255).save(path)
    with pytest.raises(FileError, match="is blank"):
        read_pictures([path])
    Image.new("1", (10_000, 5_001)).save(path)
    with pytest.raises(FileError, match="more than 50,000,000 pixels"):
        read_pictures([path])


def test_any_small_picture_becomes_an_image_or_one_line(tmp_path: Path) -> None:
    rng, read = np.random.default_rng(0), 0
    for number in range(60):
        shape = tuple(rng.integers(1, 40, 2))
        values = rng.integers(0, 256, shape, dtype=np.uint8) * (rng.random(shape) > 0.7)
        Image.fromarray(values.astype(np.uint8)).save(path := tmp_path / f"{number}.png")
        try:
            image = read_pictures([path])
        except FileError:
            continue
        assert image.shape == (1, 1, 28, 28)
        assert image.max() > 0
        read += 1
    assert read > 40
