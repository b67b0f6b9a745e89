import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.datasets import load
from mnistcli.datasets.examples import Examples, fingerprint, split_validation
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError
from tests.conftest import MNIST_FILES, write_idx


def pack(content: bytes) -> bytes:
    """Compress without the time, which would give every process other names of tests."""
    return gzip.compress(content, mtime=0)


def test_the_embedded_mnist_is_the_canonical_one() -> None:
    train, test = load_examples("train"), load_examples("test")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert train.images.dtype == torch.uint8
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert torch.bincount(test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    pixels = train.images.float().div(255)
    assert pixels.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert pixels.std().item() == pytest.approx(0.3081, abs=1e-4)


def test_embedded_files_that_were_changed_are_refused(
    tiny_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in MNIST_FILES["train"]:
        found = next(tiny_data.glob(f"{name}*"))
        raw = gzip.decompress(found.read_bytes()) if found.suffix else found.read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(pack(raw))
    monkeypatch.setattr(load, "EMBEDDED", tmp_path)
    with pytest.raises(FileError, match="damaged"):
        load_examples("train")


@pytest.mark.parametrize("layout", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_folder_of_idx_files_is_read_whatever_its_layout(
    tmp_path: Path, layout: str, ending: str
) -> None:
    images = np.arange(3 * 784, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    write_idx(tmp_path / layout / f"t10k-images-idx3-ubyte{ending}", images)
    labels = np.array([3, 0, 9], dtype=np.uint8)
    write_idx(tmp_path / layout / f"t10k-labels-idx1-ubyte{ending}", labels)
    examples = load_examples("test", tmp_path)
    assert examples.images.numpy().tobytes() == images.tobytes()
    assert examples.labels.tolist() == [3, 0, 9]
    assert examples.labels.dtype == torch.int64


def header(magic: int, *shape: int) -> bytes:
    return magic.to_bytes(4) + b"".join(n.to_bytes(4) for n in shape)


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, pack(header(2049, 1, 28, 28) + bytes(784)), "has labels, not images"),
        (IMAGES, pack(header(0x0D03, 1, 28, 28)), "magic number 3331"),
        (IMAGES, pack(pack(b"x")), "is gzip-compressed data, not an IDX file"),
        (IMAGES, b"<html>403 Forbidden</html>", "is an HTML page, not an IDX file"),
        (IMAGES, pack(b"<?xml version='1.0'?><Error/>"), "is an XML document, not"),
        (IMAGES, pack(header(2051, 2, 28, 28) + bytes(784)), "truncated"),
        (IMAGES, pack(header(2051, 1, 28, 28) + bytes(785)), "is too long"),
        (IMAGES, pack(header(2051, 1, 32, 32) + bytes(1024)), "28 by 28"),
        (IMAGES, pack(header(2051, 1, 28)), "its header is incomplete"),
        (IMAGES, pack(header(2051, 2**31, 28, 28)), "limit"),
        (IMAGES, pack(header(2051, 1, 28, 28) + bytes(784))[:-9], "cannot read"),
        (IMAGES, b"not gzip at all", "is a text file, not an IDX file"),
        (IMAGES, pack(header(2051, 1, 28, 28) + bytes(784)) + b"garbage", "cannot read"),
        (IMAGES, pack(header(2051, 0, 28, 28)), "has 0 training images, but 600 labels"),
        (IMAGES, b"", "is empty"),
        (
            LABELS,
            header(2049, 600) + bytes([10]) * 600,
            "labels from 10 to 10. mnistcli reads ten classes, 0 to 9",
        ),
        (LABELS, header(2049, 599) + bytes(599), "600 training images, but 599 labels"),
        (LABELS, header(2049, 600) + bytes(599), "truncated"),
        (LABELS, b"", "is empty"),
        (LABELS, b'{"error": 1}', "is a JSON document, not an IDX file"),
        (LABELS, header(2051, 1, 28, 28) + bytes(784), "has images, not labels"),
    ],
)
def test_a_damaged_file_is_one_clear_line(
    tiny_data: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = shutil.copytree(tiny_data, tmp_path / "damaged")
    (folder / name).write_bytes(content)
    with pytest.raises(FileError, match=message) as raised:
        load_examples("train", folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("packed", [True, False])
def test_gzip_is_recognized_by_content(tiny_data: Path, tmp_path: Path, packed: bool) -> None:
    for path in tiny_data.iterdir():
        content = path.read_bytes()
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        name = path.stem if packed else f"{path.stem}.gz"
        (tmp_path / name).write_bytes(pack(plain) if packed else plain)
    for split in ("train", "test"):
        found = load_examples(split, tmp_path)
        assert fingerprint(found) == fingerprint(load_examples(split, tiny_data))


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_says(
    tiny_data: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_data, tmp_path / "bomb")
    bomb = gzip.compress(header(2051, 1, 28, 28) + bytes(200_000_000), compresslevel=1)
    (folder / IMAGES).write_bytes(bomb)
    with pytest.raises(FileError, match="is too long"):
        load_examples("train", folder)


@settings(max_examples=60)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 300))
def test_a_mutated_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    write_idx(folder / "t10k-images-idx3-ubyte.gz", np.zeros((4, 28, 28), dtype=np.uint8))
    write_idx(folder / "t10k-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    path = folder / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content[: len(content) - cut % 7])
    try:
        assert len(load_examples("test", folder)) == 4
    except FileError as error:
        assert "\n" not in str(error)


@given(count=st.integers(0, 599), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_validation_is_exact_disjoint_and_stratified(
    tiny_data: Path, count: int, seed: int
) -> None:
    everything = load_examples("train", tiny_data)
    numbered = Examples(torch.arange(600).view(-1, 1, 1, 1), everything.labels)
    rest, held = split_validation(numbered, count, torch.Generator().manual_seed(seed))
    assert len(held) == count
    assert sorted((*rest.images.flatten().tolist(), *held.images.flatten().tolist())) == list(
        range(600)
    )
    digits = torch.bincount(held.labels, minlength=10)
    assert digits.max() - digits.min() <= 1


def test_fingerprints_tell_data_apart(tiny_data: Path) -> None:
    examples = load_examples("test", tiny_data)
    other = Examples(examples.images.clone(), examples.labels)
    assert fingerprint(other) == fingerprint(examples)
    other.images[0, 0, 0, 0] += 1
    assert fingerprint(other) != fingerprint(examples)
