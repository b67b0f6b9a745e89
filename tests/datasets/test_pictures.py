from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnistcli.datasets.pictures import FORMATS, list_pictures, read_pictures
from mnistcli.errors import FileError
from tests.datasets.pages import choose_digits


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
    (found,) = read_pictures([path])
    image = found.image
    assert image.shape == (28, 28)
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
    for content, words in (
        (b"", "is empty, not a PNG, JPEG"),
        (b"not a picture", "is a text file, not a PNG, JPEG"),
        (b"<html>Sign in</html>", "is an HTML page, not a PNG, JPEG"),
        (whole[: len(whole) // 2], "is not a readable image: a PNG, JPEG"),
        (bytes(90), "is not a readable image: a PNG, JPEG"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileError, match=words):
            read_pictures([path])
    with pytest.raises(FileError, match='none.png": No such file'):
        read_pictures([tmp_path / "none.png"])
    Image.new("L", (50, 50), 255).save(path)
    with pytest.raises(FileError, match="is blank"):
        read_pictures([path])
    Image.new("1", (10_000, 5_001)).save(path)
    with pytest.raises(FileError, match="more than 50,000,000 pixels"):
        read_pictures([path])


@pytest.mark.slow
def test_any_small_picture_becomes_an_image_or_one_line(tmp_path: Path) -> None:
    rng, read = np.random.default_rng(0), 0
    for number in range(60):
        shape = tuple(rng.integers(1, 40, 2))
        values = rng.integers(0, 256, shape, dtype=np.uint8) * (rng.random(shape) > 0.7)
        Image.fromarray(values.astype(np.uint8)).save(path := tmp_path / f"{number}.png")
        try:
            found = read_pictures([path])
        except FileError:
            continue
        assert all(digit.image.shape == (28, 28) and digit.image.max() > 0 for digit in found)
        read += 1
    assert read > 30


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(tmp_path: Path, kind: str) -> None:
    bar("RGB", (240, 240, 240), (20, 20, 90)).save(path := tmp_path / f"x{FORMATS[kind][0]}", kind)
    (found,) = read_pictures(list_pictures([tmp_path]))
    assert found.file == str(path)
    assert found.image.max() > 200
    assert found.box == pytest.approx((40, 150, 71, 270), abs=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path, orientation: int) -> None:
    upright = bar("L", 230, 20)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = upright.transpose(turned[orientation]) if orientation in turned else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path := tmp_path / "x.png", exif=exif)
    (found,) = read_pictures([path])
    assert found.box == pytest.approx((40, 150, 71, 270), abs=3)


@pytest.mark.parametrize("whole", [65_535, 60_000])
def test_sixteen_bits_are_scaled(tmp_path: Path, whole: int) -> None:
    page = 1 - 0.9 * np.asarray(bar("L", 0, 255), dtype=float) / 255
    Image.fromarray((whole * page).astype(np.uint16)).save(path := tmp_path / "x.png")
    Image.fromarray((255 * page).astype(np.uint8)).save(other := tmp_path / "y.png")
    (one,), (two,) = read_pictures([path]), read_pictures([other])
    assert np.abs(one.image.astype(int) - two.image).max() <= 8


@pytest.mark.parametrize("colour", [0, 255, 200])
def test_transparency_is_ink_where_the_colour_shows_nothing(tmp_path: Path, colour: int) -> None:
    alpha = bar("L", 0, 255)
    picture = Image.merge("LA", (Image.new("L", alpha.size, colour), alpha))
    picture.save(path := tmp_path / "x.png")
    (found,) = read_pictures([path])
    assert found.box == pytest.approx((40, 150, 71, 270), abs=3)


def test_an_image_of_the_test_set_stays_as_it_is(tmp_path: Path) -> None:
    for number, image in choose_digits().items():
        Image.fromarray(image).save(path := tmp_path / f"{number}.png")
        (found,) = read_pictures([path])
        assert np.array_equal(found.image, image)


def test_folders_and_patterns_name_their_pictures(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "c.txt"):
        bar("L", 255, 0).save(tmp_path / name, "PNG")
    (tmp_path / "empty").mkdir()
    assert [path.name for path in list_pictures([tmp_path])] == ["a.PNG", "b.png"]
    assert [path.name for path in list_pictures([tmp_path / "*.png"])] == ["b.png"]
    assert list_pictures([tmp_path / "c.txt"]) == [tmp_path / "c.txt"]
    for nothing in (tmp_path / "empty", tmp_path / "*.jpg"):
        with pytest.raises(FileError, match="has no pictures. Name a PNG, JPEG"):
            list_pictures([nothing])


def test_a_large_photograph_is_reduced(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    page = np.kron(rng.normal(0.85, 0.02, (300, 400)), np.ones((10, 10)))
    page[800:2200, 1900:2100] = 0.1
    Image.fromarray((255 * page.clip(0, 1)).astype(np.uint8)).convert("RGB").save(
        path := tmp_path / "x.jpg"
    )
    (found,) = read_pictures([path])
    assert found.box == pytest.approx((1900, 800, 2100, 2200), abs=20)
