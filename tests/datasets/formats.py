"""Writes one split of a data set as people have them."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import MNIST_FILES, write_idx

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
CELLS = np.array([f"{value:>3}," for value in range(256)]).astype("S4")
"""As wide as the widest, so that millions are written at once."""


def write_kaggle_dots(folder: Path, split: str, images: Images, labels: Labels) -> None:
    for name, values in zip(MNIST_FILES[split], (images, labels), strict=True):
        write_idx(folder / name.replace("-idx", ".idx"), values)


def write_kaggle_nested(folder: Path, split: str, images: Images, labels: Labels) -> None:
    for name, values in zip(MNIST_FILES[split], (images, labels), strict=True):
        (folder / name).mkdir()
        write_idx(folder / name / name, values)


def write_misnamed_gzip(folder: Path, split: str, images: Images, labels: Labels) -> None:
    for name, values in zip(MNIST_FILES[split], (images, labels), strict=True):
        write_idx(folder / name, values)
        plain = (folder / name).read_bytes()
        (folder / name).write_bytes(gzip.compress(plain, compresslevel=1))


def write_qmnist(folder: Path, split: str, images: Images, labels: Labels) -> None:
    """Labels have seven more columns, on the writer and the place in NIST's collections."""
    write_idx(folder / f"qmnist-{split}-images-idx3-ubyte", images)
    columns = np.zeros((len(labels), 8), ">i4")
    columns[:, 0], columns[:, 1:] = labels, np.arange(7) - 1
    header = b"\0\0\x0c\x02" + len(labels).to_bytes(4) + (8).to_bytes(4)
    path = folder / f"qmnist-{split}-labels-idx2-int.gz"
    path.write_bytes(gzip.compress(header + columns.tobytes()))
    (folder / f"qmnist-{split}-labels.tsv.gz").write_bytes(gzip.compress(b"0\t1\n"))


def write_emnist(folder: Path, split: str, images: Images, labels: Labels) -> None:
    write_idx(folder / f"emnist-digits-{split}-images-idx3-ubyte", images.transpose(0, 2, 1))
    write_idx(folder / f"emnist-digits-{split}-labels-idx1-ubyte", labels)
    (folder / "emnist-digits-mapping.txt").write_text("0 48\n")


def write_npz(folder: Path, split: str, images: Images, labels: Labels) -> None:
    path = folder / "mnist.npz"
    known = dict(np.load(path)) if path.exists() else {}
    np.savez(path, **known, **{f"x_{split}": images, f"y_{split}": labels})


def make_csv(images: Images, labels: Labels, header: bytes = b"") -> bytes:
    values = np.hstack([labels[:, None], images.reshape(len(images), 784)])
    cells = CELLS[values].view("S1").reshape(len(images), 4 * 785)
    cells[:, -1] = b"\n"
    return header + cells.tobytes()


HEADER = b"label," + b",".join(b"pixel%d" % place for place in range(784))


def write_csv(folder: Path, split: str, images: Images, labels: Labels) -> None:
    (folder / f"mnist_{split}.csv").write_bytes(make_csv(images, labels, HEADER + b"\n"))


def write_plain_csv(folder: Path, split: str, images: Images, labels: Labels) -> None:
    (folder / f"{split}.csv").write_bytes(make_csv(images, labels))


def write_packed_csv(folder: Path, split: str, images: Images, labels: Labels) -> None:
    header = b"\xef\xbb\xbf" + HEADER.replace(b"label", b'"label"') + b"\r\n"
    content = make_csv(images, labels, header)
    (folder / f"MNIST-{split}.csv.gz").write_bytes(gzip.compress(content, compresslevel=1))


def write_emnist_csv(folder: Path, split: str, images: Images, labels: Labels) -> None:
    content = make_csv(images.transpose(0, 2, 1), labels)
    (folder / f"emnist-digits-{split}.csv").write_bytes(content)


def write_classes(folder: Path, split: str, images: Images, labels: Labels) -> None:
    """Name images by their places in the data set, as most exports do."""
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / f"{split}ing" / str(label) / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_level=0)


Write = Callable[[Path, str, Images, Labels], None]
FAST: dict[str, Write] = {
    "dots": write_kaggle_dots,
    "nested": write_kaggle_nested,
    "misnamed gzip": write_misnamed_gzip,
    "QMNIST": write_qmnist,
    "EMNIST": write_emnist,
    "npz": write_npz,
    "CSV": write_csv,
    "CSV without header": write_plain_csv,
    "CSV in gzip": write_packed_csv,
    "CSV of EMNIST": write_emnist_csv,
}
FORMATS: dict[str, Write] = {**FAST, "classes": write_classes}
