import re
from html import unescape
from pathlib import Path

import pytest
from rich.terminal_theme import TerminalTheme

from tests.picture.draw import DRAWN_BY, PICTURES, draw


@pytest.mark.parametrize(
    ("path", "colours"), PICTURES.items(), ids=lambda part: Path(str(part)).stem
)
def test_the_picture_is_up_to_date(path: Path, colours: TerminalTheme) -> None:
    """If not, run python -m tests.picture. Another rich may draw other bytes, but the same text."""
    kept, drawn = path.read_text(encoding="utf-8"), draw(colours)
    assert texts_of(kept) == texts_of(drawn)
    if DRAWN_BY in kept:
        assert kept == drawn


@pytest.mark.parametrize("path", PICTURES)
def test_the_picture_loads_nothing(path: Path) -> None:
    picture = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "@font-face" not in picture
    assert "://" not in picture
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", picture))


def test_the_picture_shows_epochs_result_and_verdict() -> None:
    text = "".join(texts_of(draw(next(iter(PICTURES.values())))))
    for words in ("mnistcli train", "epoch", "test 99.41 %", "≥ 99.30 %", "PASS"):
        assert words in text


def texts_of(picture: str) -> list[str]:
    """Return what is written in the picture, in order."""
    found = re.findall(r"<text [^>]*>(.*?)</text>", picture)
    return [unescape(text).replace("\xa0", " ") for text in found]
