"""Every format → the same images."""

from pathlib import Path

import numpy as np
import pytest

from mnistcli.datasets.embedded import MNIST_SHA256
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError
from mnistcli.preset.choices import Split
from tests.datasets.formats import FAST, FORMATS, write_classes

ZEROS = np.zeros((3, 28, 28), np.uint8)
DIGITS = np.array([3, 0, 9], np.uint8)


def read_mnist(split: Split) -> tuple[np.ndarray, np.ndarray]:
    examples = load_examples(split)
    return examples.images[:, 0].numpy(), examples.labels.numpy().astype(np.uint8)


@pytest.mark.parametrize("name", FAST)
def test_the_test_images_are_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    FAST[name](tmp_path, "test", *read_mnist("test"))
    assert fingerprint(load_examples("test", tmp_path)) == MNIST_SHA256["test"]


def test_pictures_by_class_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    images, labels = read_mnist("test")
    write_classes(tmp_path, "test", images[:300], labels[:300])
    found = load_examples("test", tmp_path)
    assert found.images[:, 0].numpy().tobytes() == images[:300].tobytes()
    assert found.labels.tolist() == labels[:300].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["QMNIST", "npz", "CSV"])
def test_the_training_images_are_the_same_too(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path, "train", *read_mnist("train"))
    assert fingerprint(load_examples("train", tmp_path)) == MNIST_SHA256["train"]


@pytest.mark.slow
def test_ten_thousand_pictures_are_the_same(tmp_path: Path) -> None:
    write_classes(tmp_path, "test", *read_mnist("test"))
    assert fingerprint(load_examples("test", tmp_path)) == MNIST_SHA256["test"]


@pytest.mark.parametrize("name", FORMATS)
def test_letters_are_refused(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path, "test", ZEROS, np.array([1, 26, 2], np.uint8))
    wanted = "labels from 1 to 26. mnistcli reads ten classes" if name != "classes" else "classes"
    with pytest.raises(FileError, match=wanted):
        load_examples("test", tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_one_split_is_enough_to_read_it_and_the_other_is_missed(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path, "test", ZEROS, DIGITS)
    assert load_examples("test", tmp_path).labels.tolist() == [3, 0, 9]
    with pytest.raises(FileError, match=r"has no (training|array).*, only .*test"):
        load_examples("train", tmp_path)


@pytest.mark.parametrize("name", ["dots", "CSV"])
def test_no_images_are_one_clear_line(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path, "test", ZEROS[:0], DIGITS[:0])
    with pytest.raises(FileError, match="has no (test )?images"):
        load_examples("test", tmp_path)
