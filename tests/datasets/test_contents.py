from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.datasets.contents import HEAD, check_path, describe_content, list_some
from mnistcli.errors import FileError

PAGE = "<!DOCTYPE html>\n<html lang=en><title>404 Not Found</title></html>"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PAGE.encode(), "an HTML page"),
        (b"\xef\xbb\xbf\r\n  " + PAGE.upper().encode(), "an HTML page"),
        (PAGE.encode("utf-16"), "an HTML page"),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC><html xmlns="x">', "an HTML page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'{"message": "rate limit exceeded"}', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git LFS pointer"),
        (b"label,1x1,1x2\n5,0,0\n", "a CSV table"),
        (b"7" + b",0" * 784, "a CSV table"),
        (b"Dear Sir, hello\n\nhere they are.", "a text file"),
        (b"Well, well, well", "a text file"),
        ("Zugriff verweigert: Größe\n".encode(), "a text file"),
        (b"PK\x03\x04\x14\0\0\0", "a ZIP or .npz archive"),
        (b"\x1f\x8b\x08\0", "gzip-compressed data"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"BM6\0\0\0", "a BMP image"),
        (b"\x80\x04\x95\x01\0", "a Python pickle"),
        (b"", "empty"),
        (b"\0\0\x08\x03", None),
    ],
)
def test_kinds_are_told_by_their_content(head: bytes, kind: str | None) -> None:
    assert describe_content(head) == kind


@given(st.binary())
def test_any_bytes_are_a_known_kind_or_none(head: bytes) -> None:
    assert describe_content(head) is None or describe_content(head)


@pytest.mark.slow
@given(st.text(alphabet=st.characters(categories=["L"]), min_size=HEAD))
def test_a_character_cut_in_two_is_still_text(text: str) -> None:
    assert describe_content(text.encode()[:HEAD]) == "a text file"


def test_a_path_must_be_of_a_folder_or_file(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("label,pixel0\n1,0\n")
    check_path(tmp_path, "Name one.")
    check_path(file, "Name one.")
    for path, words in (
        (tmp_path / "none", "does not exist. Name one."),
        (file / "below", "does not exist. Name one."),
    ):
        with pytest.raises(FileError) as raised:
            check_path(path, "Name one.")
        assert str(raised.value) == f'"{path}" {words}'
    with pytest.raises(FileError, match="cannot read"):
        check_path(tmp_path / "a\0b", "Name one.")


def test_some_names_of_a_folder(tmp_path: Path) -> None:
    assert list_some(tmp_path) == "It is empty."
    for name in "edcba":
        (tmp_path / name).touch()
    assert list_some(tmp_path) == "It has a, b, c and 2 more."
