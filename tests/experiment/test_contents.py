from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.errors import FileError
from mnistcli.experiment.contents import (
    DataContents,
    examine_data,
    list_duplicates,
    measure_pixels,
    suggest_normalization,
)
from mnistcli.experiment.machine import Options
from mnistcli.preset.schema import Normalization
from mnistcli.records.contents import SplitContents
from tests.conftest import MNIST_FILES, write_idx

TRAIN, TEST = MNIST_FILES.values()
MNIST_COUNTS = {
    "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}


def examine(path: Path | None, **options: object) -> DataContents:
    return examine_data(replace(Options(data=path), **options), lambda event: None, labels=False)


def write(folder: Path, names: tuple[str, str], images: np.ndarray, labels: list[int]) -> None:
    write_idx(folder / names[0], images)
    write_idx(folder / names[1], np.array(labels, dtype=np.uint8))


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A data set with copies, also under other labels, and with an image of a single point."""
    images = np.random.default_rng(0).integers(256, size=(8, 28, 28)).astype(np.uint8)
    images[4] = images[6] = images[1]
    images[7] = 0
    images[7, 14, 14] = 255
    write(tmp_path, TRAIN, images, [0, 1, 2, 3, 1, 5, 9, 7])
    others = 255 - images[:4]
    others[2] = others[0]
    others[1] = images[4]
    write(tmp_path, TEST, others, [0, 1, 0, 3])
    return tmp_path


def test_mnist_contains_what_is_known_of_it() -> None:
    document = examine(None).document
    assert (document.source, document.folder) == ("MNIST (embedded)", None)
    assert document.dataset == "mnist"
    for each in document.splits:
        assert each.class_counts == MNIST_COUNTS[each.split]
        assert each.images == sum(MNIST_COUNTS[each.split])
        assert each.duplicates.images == each.near_empty.images == 0
    train = document.splits[0]
    assert (round(train.pixel_mean, 4), round(train.pixel_sd, 4)) == (0.1307, 0.3081)
    assert document.normalization is None
    assert document.test_in_train
    assert document.test_in_train.images == 0


def test_copies_and_near_empty_images_are_found(odd: Path) -> None:
    document = examine(odd).document
    train, test = document.splits
    assert (train.duplicates.images, train.duplicates.other_label) == (2, 1)
    rows = [(d.index, d.label, d.same_as, d.same_as_label) for d in train.duplicates.examples]
    assert rows == [(6, 9, 1, 1), (4, 1, 1, 1)], "those with another label come first"
    assert (train.near_empty.images, train.near_empty.examples) == (1, (7,))
    assert [(d.index, d.same_as) for d in test.duplicates.examples] == [(2, 0)]
    assert test.near_empty.images == 0
    leaks = document.test_in_train
    assert leaks
    assert (leaks.images, leaks.other_label) == (1, 0)
    assert [(d.index, d.same_as, d.same_as_label) for d in leaks.examples] == [(1, 1, 1)]
    assert document.folder == str(odd)


def test_the_sheet_shows_images_of_every_digit_that_is_there(odd: Path) -> None:
    sheet = examine(odd).sheet
    assert [(row.split, row.digit, row.count) for row in sheet] == [
        *(("train", digit, 1 + (digit == 1)) for digit in (0, 1, 2, 3, 5, 7, 9)),
        ("test", 0, 2), ("test", 1, 1), ("test", 3, 1),
    ]  # fmt: skip
    assert all(len(row.images) == row.count for row in sheet)


def test_a_data_set_of_one_split_is_shown(odd: Path) -> None:
    for name in TRAIN:
        (odd / name).unlink()
    document = examine(odd).document
    assert [each.split for each in document.splits] == ["test"]
    assert document.test_in_train is None
    with pytest.raises(FileError, match="at least 100 training images: the data has 0"):
        examine_data(Options(data=odd), lambda event: None, labels=True)


def test_images_without_labels_are_refused(odd: Path) -> None:
    (odd / TEST[1]).unlink()
    with pytest.raises(FileError, match="has no test labels"):
        examine(odd)


@pytest.mark.slow
@given(st.lists(st.integers(0, 255), min_size=1, max_size=20), st.integers(1, 1_500))
def test_mean_and_deviation_are_those_of_numpy(values: list[int], count: int) -> None:
    images = np.resize(np.array(values, dtype=np.uint8), (count, 28, 28))
    wanted = (images / 255).mean(), (images / 255).std()
    assert measure_pixels(images) == pytest.approx(wanted, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=30), st.integers(0, 30))
def test_duplicates_are_those_of_a_plain_search(rows: list, start: int) -> None:
    contents, labels = [row[0] for row in rows], np.array([row[1] for row in rows], dtype=np.int64)
    start = min(start, len(rows))
    first = np.array([contents.index(each) for each in contents], dtype=np.int64)
    found = list_duplicates(first, labels, start)
    wanted = {i - start: int(first[i]) for i in range(start, len(rows)) if first[i] != i}
    assert found.images == len(wanted)
    assert {d.index: d.same_as for d in found.examples}.items() <= wanted.items()
    assert len(found.examples) == min(20, len(wanted))
    assert found.other_label == sum(
        labels[index + start] != labels[place] for index, place in wanted.items()
    )


@pytest.mark.parametrize(
    ("mean", "sd", "wanted"),
    [
        (0.1407, 0.3181, None),
        (0.2860405969, 0.3530242444, Normalization(mean=0.286, std=0.353)),
        (0.1307, 0.4, Normalization(mean=0.1307, std=0.4)),
        (0.0, 0.0, None),
        (1.0, 0.00001, None),
    ],
)
def test_other_pixels_need_another_normalization(
    mean: float, sd: float, wanted: Normalization | None
) -> None:
    contents = SplitContents.model_construct(pixel_mean=mean, pixel_sd=sd)
    assert suggest_normalization(contents) == wanted
