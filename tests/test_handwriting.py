"""Pictures of digits, read by a network that was trained on the real MNIST."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.datasets.load import load_examples
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.predictions import rate_pictures
from tests.datasets.oddities import (
    FONTS,
    LETTERS,
    Picture,
    draw_each,
    halve_digits,
    make_noise,
    make_textures,
)
from tests.datasets.pages import CONDITIONS, choose_digits, draw_ink, draw_page, save_page

pytestmark = pytest.mark.slow

Read = Callable[[Path], list[tuple[str, int | None]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cli: Callable) -> Path:
    out = tmp_path_factory.mktemp("runs")
    return Path(json.loads(cli("train", "--out", out, "--json", "--no-fail").out)["path"])


@pytest.fixture(scope="module")
def read(run: Path, cli: Callable) -> Read:
    """The answers of `evaluate --images` to a folder's pictures, with their file's name."""

    def read(folder: Path) -> list[tuple[str, int | None]]:
        answer = cli("evaluate", run, "--images", folder, "--json")
        assert (answer.code, answer.err) == (0, "")
        found = json.loads(answer.out)["predictions"]
        return [(Path(one["file"]).stem, one["answer"]) for one in found]

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
    answers = [(seen, int(examples.labels[int(file)])) for file, seen in found]
    refused = sum(seen is None for seen, _ in answers)
    assert refused <= 15
    assert sum(seen == digit for seen, digit in answers) >= 990 - refused


def test_99_of_100_test_digits_are_answered(run: Path) -> None:
    loaded, examples = load_run(run, Options(threads=1)), load_examples("test")
    result = loaded.evaluate(examples)
    rating = rate_pictures(loaded, examples.images, result)
    confidences = result.probabilities.amax(dim=1).tolist()
    answered = np.array([*map(rating.limits.are_met, confidences, rating.similarities)])
    assert answered.sum() >= 9_900
    is_right = (result.predictions == examples.labels).numpy()
    assert is_right[answered].mean() > is_right.mean()


ODDITIES: dict[str, tuple[float, Callable[[], list[Picture]]]] = {
    "letters": (0.5, lambda: draw_each(LETTERS, FONTS[:2])),
    "noise": (0.98, lambda: make_noise(100)),
    # A network that is trained by other instructions has other limits: 48 of 100 on one machine.
    "textures": (0.4, lambda: make_textures(100)),
    "halves": (0.5, lambda: [one for half in halve_digits(50).values() for one in half]),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_much_that_is_no_digit_is_refused(read: Read, tmp_path: Path, name: str) -> None:
    fraction, make = ODDITIES[name]
    for number, picture in enumerate(make()):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    answers = [answer for _, answer in read(tmp_path)]
    assert answers.count(None) >= fraction * len(answers)


def test_printed_digits_are_answered(read: Read, tmp_path: Path) -> None:
    for number, picture in enumerate(draw_each("0123456789", FONTS[:2])):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    answers = [answer for _, answer in read(tmp_path)]
    assert answers.count(None) <= 0.1 * len(answers)
