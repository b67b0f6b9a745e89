from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistcli.datasets.npz import read_npz
from mnistcli.errors import FileError

IMAGES = np.arange(2 * 784).reshape(2, 28, 28) % 256
LABELS = np.array([3, 7])


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 784), (2, 28, 28, 1), (2, 1, 28, 28)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_whole_numbers_of_any_type_are_read(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    path = tmp_path / "mnist.npz"
    labels = LABELS.astype(dtype)[:, None]
    np.savez_compressed(path, x_test=IMAGES.astype(dtype).reshape(shape), y_test=labels)
    images, labels = read_npz(path, "test")
    assert images.dtype == np.uint8
    assert (images == IMAGES).all()
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 7]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": IMAGES, "b": LABELS}, "has no array x_test, only a, b. Name its arrays as Keras"),
        ({"x_test": IMAGES}, "has no array y_test, only x_test"),
        ({"x_test": np.zeros((2, 32, 32)), "y_test": LABELS}, "images of 32 by 32 pixels in x_"),
        ({"x_test": np.zeros((2, 32, 32, 3)), "y_test": LABELS}, "32 by 32 pixels in 3 colours"),
        ({"x_test": np.zeros((2, 28, 28, 3)), "y_test": LABELS}, "28 by 28 pixels in 3 colours"),
        ({"x_test": np.zeros(2), "y_test": LABELS}, r"images of shape \(2,\)"),
        ({"x_test": np.zeros(()), "y_test": LABELS}, "has no array of numbers in x_test"),
        ({"x_test": IMAGES / 255, "y_test": LABELS}, "values from 0 to 1 in x_test, not whole"),
        ({"x_test": IMAGES - 5, "y_test": LABELS}, "values from -5 to 250 in x_test, not whole"),
        ({"x_test": IMAGES * np.nan, "y_test": LABELS}, "values from nan to nan in x_test"),
        ({"x_test": IMAGES, "y_test": np.eye(10)[LABELS]}, r"labels of shape \(2, 10\) in y_test"),
        ({"x_test": IMAGES, "y_test": np.array(["3", "7"])}, "no array of numbers in y_test"),
        (
            {"x_test": IMAGES, "y_test": np.array([None, {}])},
            "cannot read y_test in .*: Object",
        ),
    ],
)
def test_other_arrays_are_one_clear_line(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, **arrays)
    with pytest.raises(FileError, match=message) as raised:
        read_npz(path, "test")
    assert "\n" not in str(raised.value)


def test_an_array_that_is_far_too_large_is_not_unpacked(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        shape = b"{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000000, 28, 28)}"
        archive.writestr("x_test.npy", b"\x93NUMPY\x01\x00v\x00" + shape.ljust(117) + b"\n")
    with pytest.raises(FileError, match="cannot read"):
        read_npz(path, "test")
