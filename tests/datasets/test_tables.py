import warnings
from pathlib import Path

import numpy as np
import pytest

from mnistcli.datasets.tables import read_table
from mnistcli.errors import FileError

ROW = b"7" + b",0" * 783 + b",255\n"
NAMES = b",".join(b"pixel%d" % place for place in range(784))


@pytest.mark.parametrize(
    "content",
    [
        ROW,
        ROW.rstrip(),
        ROW + b"\n",
        ROW.replace(b"\n", b"\r\n"),
        ROW.replace(b",", b", "),
        ROW.replace(b"7", b'"7"'),
        b"label," + NAMES + b"\n" + ROW,
        b'"label","' + NAMES.replace(b",", b'","') + b'"\r\n' + ROW,
        b"\xef\xbb\xbf" + ROW,
        b",".join(b"%d" % place for place in range(785)) + b"\n" + ROW,
    ],
)
def test_a_table_is_read_with_a_header_or_without(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    images, labels = read_table(path)
    assert labels.tolist() == [7]
    assert labels.dtype == np.int64
    assert images.shape == (1, 28, 28)
    assert images[0, 27, 27] == 255
    assert images.sum() == 255


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, not a CSV table"),
        (b"<html>404</html>", "is an HTML page, not a CSV table"),
        (ROW.replace(b",", b";"), "is a text file, not a CSV table"),
        (ROW[2:], "has no labels, but 784 columns. Give every line a label"),
        (b"1" + b",0" * 1_024, "has images of 32 by 32 pixels, not of 28 by 28"),
        (b"1" + b",0" * 3_072, "has images of 32 by 32 pixels in 3 colours, not of 28 by 28"),
        (b"0," + ROW, "has 786 columns, not 785"),
        (NAMES + b",class\n", "has its labels in the last column"),
        (b"0," * 784 + b"7\n", "seems to have its labels in the last column"),
        (b"label," + NAMES, "has no images"),
        (b"label," + NAMES + b"\n1,2\n", "has 2 columns, not 785"),
        (ROW + b"1,2\n", "has another number of columns in row 2"),
        (ROW + ROW.replace(b"255", b"256"), "has '256' in row 2. Give every line"),
        (ROW.replace(b"255", b"0.5"), "has '0.5' in row 1"),
        (ROW + ROW.replace(b"255", b"x" * 90_000), "in row"),
        (b"label," + NAMES + b"\n\0\xff\n", "in row 1"),
    ],
)
def test_another_table_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with warnings.catch_warnings(action="error"), pytest.raises(FileError, match=message) as raised:
        read_table(path)
    assert len(str(raised.value)) < 200 + len(str(path))


@pytest.mark.parametrize("cell", [b"", b"nan", b"x"])
def test_a_fault_in_the_first_image_is_no_header(tmp_path: Path, cell: bytes) -> None:
    path = tmp_path / "train.csv"
    for row in (ROW.replace(b"255", cell), cell * (cell != b"x") + ROW[1:]):
        path.write_bytes(row + ROW)
        with pytest.raises(FileError, match="in row 1"):
            read_table(path)
