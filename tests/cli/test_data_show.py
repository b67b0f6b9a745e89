"""`data show`: what a data set contains."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.records.contents import DataDocument
from tests.conftest import MNIST_FILES, Answer, write_idx


@pytest.fixture
def show(cli: Callable, tiny_data: Path) -> Callable[..., Answer]:
    return lambda *arguments: cli("data", "show", "--data", tiny_data, *arguments)


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistcli.experiment.label_check.MIN_STEPS", 2)


def test_the_document_has_the_fingerprints_of_a_run(
    cli: Callable, show: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    document = DataDocument.model_validate_json(show("--json").out)
    few = ("--set", "train.epochs=1", "--out", tmp_path, "--json", "--no-fail")
    run = json.loads(cli("train", tiny_preset, "--data", tiny_data, *few).out)
    shown = {f"{each.split}_sha256": each.sha256 for each in document.splits}
    assert shown.items() <= run["data"].items()
    assert [each.class_counts for each in document.splits] == [(60,) * 10, (20,) * 10]
    assert document.label_check is None


def test_the_suggested_settings_are_taken(cli: Callable, show: Callable, tiny_preset: Path) -> None:
    lines = show().out.splitlines()
    (line,) = [line for line in lines if "--set" in line]
    preset = json.loads(cli("train", tiny_preset, *line.split(), "--dry-run").out)["preset"]
    suggested = json.loads(show("--json").out)["normalization"]
    assert preset["normalization"] == suggested
    assert suggested["mean"] > 0.2


@pytest.mark.slow
def test_a_sheet_is_drawn_and_replaces_another(show: Callable, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    path.write_text("before")
    answer = show("--sheet", path)
    assert (answer.code, answer.err) == (0, "")
    with Image.open(path, formats=["PNG"]) as picture:
        assert min(picture.size) > 500
    assert list(tmp_path.iterdir()) == [path]
    other = tmp_path / "digits.npz"
    other.write_text("before")
    answer = show("--sheet", other)
    assert (answer.code, answer.out, other.read_text()) == (4, "", "before")
    assert answer.err.endswith("it exists and is no .png file. Choose another name.\n")
    answer = show("--png", tmp_path / "no" / "sheet.png")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith("mnistcli: cannot write")


@pytest.mark.usefixtures("short_trainings")
def test_labels_are_checked_with_progress_on_stderr(show: Callable) -> None:
    answer = show("--labels", "--json")
    document = DataDocument.model_validate_json(answer.out)
    assert document.label_check
    assert all(each.label_errors for each in document.splits)
    assert answer.err.count("\n") == document.label_check.folds
    assert answer.err.startswith("label check 1 of 3  ")
    assert show("--labels", "-q").err == ""


@pytest.mark.parametrize("option", [("--seed", "1"), ("--device", "cpu"), ("--threads", "1")])
def test_what_only_label_checks_read_is_refused_without_them(
    show: Callable, option: tuple[str, str]
) -> None:
    answer = show(*option)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"mnistcli: {option[0]} needs --labels\n"


def test_what_cannot_be_shown_is_one_line(cli: Callable, tmp_path: Path) -> None:
    write_idx(tmp_path / MNIST_FILES["test"][0], np.zeros((3, 28, 28), dtype=np.uint8))
    write_idx(tmp_path / MNIST_FILES["test"][1], np.array([0, 1, 12], dtype=np.uint8))
    for path, words in (
        (tmp_path, "has labels from 0 to 12"),
        (tmp_path / "nowhere", "does not exist"),
        (Path(__file__), "is a text file"),
    ):
        answer = cli("data", "show", "--data", path)
        assert (answer.code, answer.out) == (4, ""), path
        assert words in answer.err
        assert answer.err.count("\n") == 1


@pytest.mark.usefixtures("short_trainings")
def test_blank_and_equal_images_are_shown(cli: Callable, tmp_path: Path) -> None:
    """Nothing varies, and digits are missing."""
    for names in MNIST_FILES.values():
        write_idx(tmp_path / names[0], np.zeros((120, 28, 28), dtype=np.uint8))
        write_idx(tmp_path / names[1], np.full(120, 3, dtype=np.uint8))
    answer = cli("data", "show", "--data", tmp_path, "--labels", "-q")
    assert answer.code == 0, answer.err
    rows = [line.split()[-2:] for line in answer.out.splitlines() if line.startswith("identical")]
    assert rows == [["119", "119"], ["–", "120"]]


@pytest.mark.slow
def test_a_pipe_gets_80_columns_without_control_bytes(tiny_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mnistcli", "data", "show", "--data", tiny_data],
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    first, *lines = done.stdout.decode("ascii").splitlines()
    assert first.startswith(str(tiny_data)), "a path is not cut"
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= 80
    assert not done.stderr
