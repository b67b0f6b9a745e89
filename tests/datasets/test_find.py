import shutil
from pathlib import Path

import numpy as np
import pytest

from mnistcli.datasets.find import find_data
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError
from tests.conftest import posix_only
from tests.datasets.formats import make_csv, write_classes, write_csv, write_npz

IMAGES = np.zeros((2, 28, 28), np.uint8)
LABELS = np.array([1, 2], np.uint8)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        ("idx", "", "train-images-idx3-ubyte"),
        ("idx", "", "train-images.idx3-ubyte"),
        ("idx", "", "Train-Images.IDX3-ubyte.gz"),
        ("idx", "", "train_images.idx"),
        ("idx", "mnist", "mnist-train-images-idx3-ubyte.gz"),
        ("idx", "", "MNIST/raw/train-images-idx3-ubyte"),
        ("idx", "emnist-digits", "EMNIST/raw/emnist-digits-train-images-idx3-ubyte"),
        ("idx", "", "archive/train-images-idx3-ubyte/train-images-idx3-ubyte"),
        ("csv", "", "train.csv"),
        ("csv", "mnist", "archive/mnist_train.csv"),
        ("csv", "mnist", "mnist_train_small.csv.gz"),
        ("csv", "fashion-mnist", "fashion-mnist_train.csv"),
        ("classes", "", "train/0/1.png"),
        ("classes", "", "mnist_png/training/0/1.png"),
        ("classes", "", "trainingSet/trainingSet/0/img_1.jpg"),
    ],
)
def test_a_data_set_is_known_by_its_names(tmp_path: Path, kind: str, name: str, files: str) -> None:
    touch(
        tmp_path,
        files,
        "README.md",
        "scores/indices.npz",
        ".cache/test.csv",
        "latest_report.csv",
        "test/parts/a.py",
    )
    found = find_data(tmp_path)
    assert (found.kind, found.name) == (kind, name)
    path = found.get("train", "images" if kind == "idx" else "examples")
    assert (tmp_path / files).is_relative_to(path)


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-images-idx3-ubyte/train-images-idx3-ubyte"),
        ("train-images-idx3-ubyte", "raw/train-images-idx3-ubyte"),
    ],
)
def test_copies_are_one_file_and_the_unpacked_and_outer_comes_first(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    touch(tmp_path, *names)
    assert find_data(tmp_path).get("train", "images") == tmp_path / names[0]


def test_the_data_set_of_a_file_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for split in ("train", "test"):
            path = tmp_path / f"{name}_{split}.csv"
            path.write_bytes(make_csv(IMAGES, LABELS + (name == "b")))
    (tmp_path / "b_train_small.csv").write_bytes(make_csv(IMAGES[:1], LABELS[:1]))
    with pytest.raises(FileError, match=r"several data sets: .*\. Name the folder"):
        load_examples("train", tmp_path)
    for path, train, test in (
        ("a_test.csv", [1, 2], [1, 2]),
        ("b_train.csv", [2, 3], [2, 3]),
        ("b_train_small.csv", [1], [2, 3]),
    ):
        assert load_examples("train", tmp_path / path).labels.tolist() == train
        assert load_examples("test", tmp_path / path).labels.tolist() == test
    with pytest.raises(FileError, match="in several files: b_train.csv, b_train_small.csv. Keep"):
        load_examples("train", tmp_path / "b_test.csv")


def test_a_file_of_idx_and_an_npz_file_may_be_named(tiny_data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_data, tmp_path / "idx")
    for path in list(folder.iterdir()):
        assert len(load_examples("train", path)) == 600
        inner = folder / path.name
        inner.rename(folder / "moved")
        inner.mkdir()
        (folder / "moved").rename(inner / path.name)
    assert len(load_examples("test", inner / path.name)) == 200
    write_npz(tmp_path, "train", IMAGES, LABELS)
    (tmp_path / "mnist.npz").rename(tmp_path / "digits.bin")
    assert load_examples("train", tmp_path / "digits.bin").labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"has no data set\. It is empty\. Name a folder of IDX files"),
        (("a.csv", "b.txt"), r"has no data set\. It has a\.csv, b\.txt\. Name a folder"),
        (("x/train.csv", "y/train.csv"), r"several data sets: x/train\.csv, y/train\.csv\. Name"),
        (("train.csv", "train/0/1.png"), r"several data sets: train\.csv, train\. Name"),
        (("train-labels-idx1-ubyte",), r"no training images, only train-labels-idx1-ubyte\. Name"),
        (
            ("train-images.idx", "train-images.data"),
            "training images in several files: .* Keep one",
        ),
    ],
)
@posix_only
def test_what_is_missing_or_ambiguous_is_one_clear_line(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    touch(tmp_path, *names)
    with pytest.raises(FileError, match=message) as raised:
        load_examples("train", tmp_path)
    assert "\n" not in str(raised.value)


def test_other_files_are_named_by_their_content(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='nowhere" does not exist. Name a folder'):
        load_examples("train", tmp_path / "nowhere")
    for name, content, message in (
        ("digits.csv", make_csv(IMAGES, LABELS), "is a CSV table, and its name does not"),
        ("mnist.pkl", b"\x80\x04\x95", "is a Python pickle. Name a folder"),
        ("archive.zip", b"PK\x03\x04", "has no array x_train, or is damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match=message):
            load_examples("train", tmp_path / name)


def test_folders_are_searched_no_deeper_than_needed(tmp_path: Path) -> None:
    write_csv(tmp_path, "train", IMAGES, LABELS)
    write_classes(tmp_path / "other", "train", IMAGES, LABELS)
    assert find_data(tmp_path).kind == "csv"
    deep = tmp_path / "empty" / "1" / "2" / "3"
    write_classes(deep, "train", IMAGES, LABELS)
    assert find_data(tmp_path / "empty").kind == "classes"
    (deep / "4").mkdir()
    (deep / "training").rename(deep / "4" / "training")
    with pytest.raises(FileError, match="has no data set"):
        find_data(tmp_path / "empty")
