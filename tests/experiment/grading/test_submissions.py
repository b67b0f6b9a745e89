import os
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.experiment.grading.submissions import Submission, find_submissions
from tests.conftest import TINY_PRESET, posix_only

NET = "from torch import nn\nclass Net(nn.Module): pass\n"
OUT = Path("grades")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all").mkdir()
    return Path("all")


def write(path: Path, content: str | bytes = NET) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def find(*paths: Path | str) -> dict[str, Submission]:
    return {each.name: each for each in find_submissions([*map(str, paths)], OUT)}


def test_what_is_directly_in_a_folder_is_a_submission(folder: Path) -> None:
    for place in ("ben.py", "ada/net.py", ".hidden.py", "__pycache__/x.py", ".git/x.py"):
        write(folder / place)
    write(folder / "eve.toml", TINY_PRESET)
    found = find(folder)
    assert list(found) == ["ada", "ben", "eve"]
    assert [each.reference for each in found.values()] == ["net.py:Net", "ben.py:Net", "eve.toml"]
    assert found["ada"].files == {"net.py": NET.encode()}
    assert [each.is_code for each in found.values()] == [True, True, False]
    assert not any(each.fault for each in found.values())


def test_the_folder_of_the_results_is_no_submission(folder: Path) -> None:
    write(folder / "ada.py")
    write(folder / "results" / "x.py")
    assert [each.name for each in find_submissions(["all"], Path("all/../all/results"))] == ["ada"]


def test_of_several_arguments_each_is_a_submission(folder: Path) -> None:
    write(folder / "ada" / "model.py")
    write(folder / "ben.py", NET + "class Other(nn.Module): pass\n")
    found = find(folder / "ada", f"{folder}/ben.py:Other", folder / "ada")
    assert [each.reference for each in found.values()] == ["model.py:Net", "ben.py:Other"]


def test_names_are_short_but_unique(folder: Path) -> None:
    for place in ("ada.py", "ada/x.py", "ben.py"):
        write(folder / place)
    assert list(find(folder)) == ["ada", "ada.py", "ben"]
    for place in ("a/net.py", "b/net.py"):
        write(Path(place))
    assert list(find("a/net.py", "b/net.py", "all/ben.py")) == ["a/net.py", "b/net.py", "ben"]
    assert list(find("a/net.py:Net", "a/net.py")) == ["net.py:Net", "net.py"]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"x.py": NET, "train.py": "import torch"}, "x.py:Net"),
        ({"x.py": NET, "model.py": NET, "net.py": NET}, "model.py:Net"),
        ({"x.py": NET, "main.py": NET, "net.py": NET}, "net.py:Net"),
        ({"x.py": NET, "model.py": "import x"}, "x.py:Net"),
        ({"x.py": NET, "broken.py": "def ("}, "x.py:Net"),
        ({"x.py": NET, ".y.py": NET, "z.txt": NET}, "x.py:Net"),
    ],
)
def test_the_network_of_a_folder_is_found(folder: Path, files: dict, chosen: str) -> None:
    for name, content in files.items():
        write(folder / "ada" / name, content)
    assert find(folder)["ada"].reference == chosen


def test_what_it_imports_belongs_to_it(folder: Path) -> None:
    write(folder / "ada" / "net.py", "import blocks\n" + NET)
    write(folder / "ada" / "blocks.py", "x = 1")
    write(folder / "ada" / "other.py", "y = 1")
    assert list(find(folder)["ada"].files) == ["net.py", "blocks.py"]


def test_a_preset_may_name_code_below_it(folder: Path) -> None:
    text = TINY_PRESET.partition("[published]")[0] + '[model]\npython = "nets/n.py:Net"\n'
    write(folder / "ada.toml", text + TINY_PRESET[TINY_PRESET.index("[[augment]]") :])
    write(folder / "nets" / "n.py")
    found = find(folder)["ada"]
    assert (found.fault, list(found.files)) == ("", ["ada.toml", "nets/n.py"])


FAULTS = {
    "empty.py": ("", "defines no class"),
    "none.py": ("x = 1", "defines no class"),
    "syntax.py": ("def (", "syntax.py:1: "),
    "binary.py": (bytes(range(256)), "null bytes"),
    "deep.py": ("-" * 100_000 + "1", "is not Python code"),
    "two.py": (NET + "class B(nn.Module): pass", "Name one: "),
    "broken.toml": ("[model", "is not TOML"),
    "wrong.toml": ("title = 'x'", "invalid preset"),
    "notes.txt": ("x", "is not a .py file, a folder with one, or a preset"),
    "bare/notes.txt": ("x", "has no .py file"),
    "several/a.py": (NET, "a.py, b.py. Name one of them model.py"),
}


def test_a_fault_is_told_for_its_submission_only(folder: Path) -> None:
    for place, (content, _) in FAULTS.items():
        write(folder / place, content)
    write(folder / "several" / "b.py")
    write(folder / "good.py")
    found = find(folder)
    for place, (_, words) in FAULTS.items():
        name = Path(place).parts[0] if "/" in place else Path(place).stem
        (fault,) = [each.fault for key, each in found.items() if Path(key).stem == name][:1]
        assert words in fault, (place, fault)
        assert fault.isprintable()
    assert found["good"].fault == ""


@posix_only
def test_what_is_no_file_and_what_is_no_text_has_a_fault(folder: Path) -> None:
    os.mkfifo(folder / "fifo.py")
    (folder / "gone.py").symlink_to("nowhere.py")
    (folder / "out.py").symlink_to("/etc/hostname")
    (folder / "loop.py").symlink_to("loop.py")
    try:
        write(folder / os.fsdecode(b"l\xe4ufe.py"))
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    found = find(folder)
    assert "it is not a file" in found["fifo"].fault
    assert "cannot read" in found["gone"].fault
    assert "cannot read" in found["loop"].fault
    assert "a link out of its folder" in found["out"].fault
    assert "not UTF-8 text" in found["l\\udce4ufe"].fault


def test_the_fingerprint_is_of_the_files_and_of_nothing_else(folder: Path) -> None:
    write(folder / "ada.py")
    before = find(folder)["ada"].sha256
    write(folder / "ben.py")
    assert find(folder)["ada"].sha256 == before
    assert find(folder)["ben"].sha256 != before, "its file has another name"
    write(folder / "ada.py", NET + "# changed")
    assert find(folder)["ada"].sha256 != before


@pytest.mark.parametrize("path", ["nowhere", "nowhere.py:Net", "x\0y", "x" * 5_000])
def test_what_does_not_exist_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(FileError, match="does not exist"):
        find(path)


def test_an_empty_folder_is_refused(folder: Path) -> None:
    with pytest.raises(FileError, match='"all" has no submissions'):
        find(folder)
