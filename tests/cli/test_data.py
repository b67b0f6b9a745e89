"""`--data` in every format."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.datasets.load import load_examples
from tests.conftest import MNIST_FILES
from tests.datasets.formats import FORMATS

pytestmark = pytest.mark.usefixtures("quick_speed")


def write(name: str, source: Path, folder: Path) -> Path:
    folder.mkdir()
    for split in MNIST_FILES:
        examples = load_examples(split, source)
        labels = examples.labels.byte().numpy()
        FORMATS[name](folder, split, examples.images[:, 0].numpy(), labels)
    return folder


def test_a_training_is_the_same_and_its_data_is_found_again(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = write("classes", tiny_data, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    few = ("--set", "train.epochs=1", "--out", "runs", "--json")
    run, other = (
        json.loads(cli("train", tiny_preset, "--data", data, *few).out)
        for data in ("digits", tiny_data)
    )
    assert run["weights_sha256"] == other["weights_sha256"]
    assert run["data"] == {**other["data"], "source": "digits", "folder": str(folder)}
    monkeypatch.chdir(tiny_data)
    path = tmp_path / run["path"]
    assert json.loads(cli("evaluate", path, "--json").out)["matches_record"] is True
    shutil.rmtree(folder)
    answer = cli("evaluate", path)
    assert answer.code == 4
    assert answer.err.endswith('digits" does not exist. Name their folder with --data.\n')


@pytest.mark.slow
def test_every_command_takes_a_file_of_data(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    path = write("npz", tiny_data, tmp_path / "digits") / "mnist.npz"
    common = ("--data", path, "--set", "train.epochs=1", "--out", tmp_path, "--json", "--no-fail")
    for command in (
        ("curriculum", tiny_preset, "--set", "curriculum={kind='paced', rounds=2}"),
        ("coreset", tiny_preset, "--method", "random", "--size", 50),
        ("train", tiny_preset),
    ):
        answer = cli(*command, *common)
        assert answer.code == 0, answer.err
    run = json.loads(answer.out)["path"]
    for command in (("evaluate", run), ("report", run), ("runs", "check", run)):
        assert cli(*command, "--data", path).code == 0, command


def test_what_is_no_data_is_one_line(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    answer = cli("train", "--data", tmp_path)
    assert answer.code == 4
    assert answer.out == ""
    assert answer.err.startswith(f'mnistcli: "{tmp_path}" has no data set. It has notes.txt. Name')
    assert answer.err.count("\n") == 1
