from pathlib import Path

import numpy as np
import pytest

from mnistcli.errors import FileError
from mnistcli.records.arrays import Cache, read_arrays, read_indices, write_arrays, write_indices

SHA = "ab" * 32


def test_indices_come_back_and_the_same_give_the_same_bytes(tmp_path: Path) -> None:
    indices = np.array([1, 5, 9])
    path = write_indices(tmp_path, indices, SHA)
    first = path.read_bytes()
    assert read_indices(path, SHA, 10).tolist() == [1, 5, 9]
    assert write_indices(tmp_path, indices, SHA).read_bytes() == first


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"indices": np.array([1, 1])}, "the same index twice"),
        ({"indices": np.array([-1, 1])}, "outside 0 … 9"),
        ({"indices": np.array([1, 10])}, "outside 0 … 9"),
        ({"indices": np.array([0.5])}, "no integer array"),
        ({"indices": np.array([[1], [2]])}, "no integer array"),
        ({"indices": np.array([], dtype=np.int64)}, "no integer array"),
        ({"other": np.array([1])}, "no integer array"),
        ({"indices": np.array([1]), "data_sha256": np.array("cd" * 32)}, "other images"),
    ],
)
def test_indices_that_cannot_be_are_refused(tmp_path: Path, arrays: dict, reason: str) -> None:
    write_arrays(path := tmp_path / "x.npz", {"data_sha256": np.array(SHA)} | arrays)
    with pytest.raises(FileError, match=reason):
        read_indices(path, SHA, 10)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(FileError, match="No such file"):
        read_arrays(path)
    whole = write_indices(tmp_path, np.arange(50), SHA).read_bytes()
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, indices=np.array([{"a": 1}], dtype=object))
    for content in (b"", b"no zip", whole[:-30], whole[:60], pickled.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(FileError, match="not an .npz file of plain arrays"):
            read_arrays(path)


@pytest.mark.slow
def test_what_would_unpack_to_too_much_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(
        path := tmp_path / "bomb.npz", indices=np.zeros((1 << 28) + 1, dtype=np.uint8)
    )
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FileError, match="larger than"):
        read_arrays(path)


def test_the_cache_forgets_rather_than_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "deep" / "cache"))
    cache = Cache()
    assert cache.read("a") is None
    cache.write("a", {"x": np.arange(3)})
    assert cache.read("a")["x"].tolist() == [0, 1, 2]
    assert cache.read("b") is None
    (file,) = cache.folder.iterdir()
    file.write_bytes(b"torn")
    assert cache.read("a") is None
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MNISTCLI_CACHE", str(blocked / "cache"))
    Cache().write("a", {"x": np.arange(3)})
    assert Cache().read("a") is None


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(path := tmp_path / "x.npz", indices=np.arange(5_000) ** 2 % 977)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read_arrays(path)  # some bytes say nothing
        except FileError as error:
            refused += "not an .npz file of plain arrays" in str(error)
    assert refused > 10
