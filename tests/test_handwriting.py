"""Pictures of digits, read by a network that was trained on the real MNIST."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.datasets.load import load_examples
from tests.datasets.pages import CONDITIONS, choose_digits, draw_ink, draw_page, save_page

pytestmark = pytest.mark.slow

Read = Callable[[Path], list[tuple[str, int]]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, cli: Callable) -> Read:
    """The digits that `evaluate --images` sees in a folder's pictures, with their file's name."""
    out = tmp_path_factory.mktemp("runs")
    run = json.loads(cli("train", "--out", out, "--json", "--no-fail").out)["path"]

    def read(folder: Path) -> list[tuple[str, int]]:
        answer = cli("evaluate", run, "--images", folder, "--json")
        assert answer.code == 0, answer.err
        found = json.loads(answer.out)["predictions"]
        return [(Path(one["file"]).stem, one["predicted"]) for one in found]

    return read


@pytest.mark.parametrize("name", CONDITIONS)
def test_nine_of_ten_digits_are_read(read: Read, tmp_path: Path, name: str) -> None:
    for digit, image in choose_digits().items():
        save_page(draw_page(name, image), tmp_path / f"{digit}.png")
    found = read(tmp_path)
    right = [
        digit
        for digit in range(10)
        if [seen for file, seen in found if file == str(digit)] == [digit]
    ]
    assert len(right) >= 9, found


def test_rows_of_three_are_read_from_left_to_right(read: Read, tmp_path: Path) -> None:
    examples, rng = load_examples("test"), np.random.default_rng(0)
    wanted = {}
    for number in range(10):
        page = np.zeros((300, 800))
        chosen = rng.integers(0, 1_000, 3).tolist()
        for place, index in enumerate(chosen):
            left = 40 + 250 * place
            page[50:250, left : left + 200] = draw_ink(examples.images[index, 0].numpy(), 200, 0)
        wanted[f"{number}"] = examples.labels[chosen].tolist()
        save_page(0.9 - 0.8 * page, tmp_path / f"{number}.png")
    found = read(tmp_path)
    right = [
        number
        for number, digits in wanted.items()
        if [seen for file, seen in found if file == number] == digits
    ]
    assert len(right) >= 8


def test_pictures_of_the_test_set_are_read_as_well_as_the_test_set(
    read: Read, tmp_path: Path
) -> None:
    examples = load_examples("test")
    for index in range(1_000):
        Image.fromarray(examples.images[index, 0].numpy()).save(tmp_path / f"{index}.png")
    found = read(tmp_path)
    assert len(found) == 1_000
    right = sum(seen == int(examples.labels[int(file)]) for file, seen in found)
    assert right >= 980
