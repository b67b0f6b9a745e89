import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.records.store import read_record


@pytest.fixture
def place(tmp_path: Path, tiny_data: Path) -> Path:
    """A folder with data in it that is named relative to it."""
    shutil.copytree(tiny_data, tmp_path / "here" / "digits")
    return tmp_path


def test_a_run_is_repeated_from_another_folder(
    cli: Callable, place: Path, tiny_preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "here")
    common = ("--threads", 1, "--json", "-q")
    first = json.loads(cli("train", tiny_preset, "--data", "digits", "--out", "runs", *common).out)
    run = place / "here" / first["path"]
    data = read_record(run).data
    assert data.source == "digits"
    assert data.folder == str(place / "here" / "digits")
    (place / "there").mkdir()
    monkeypatch.chdir(place / "there")
    answer = cli("train", "--from", run, "--out", "runs", *common)
    assert answer.code == 0, answer.err
    again = json.loads(answer.out)
    assert again["repeats"]["matches"] is True
    assert again["data"]["folder"] == first["data"]["folder"]
    answer = cli("train", "--from", again["path"], "--out", "runs", *common)
    assert json.loads(answer.out)["weights_sha256"] == first["weights_sha256"]


def test_the_embedded_images_have_no_folder(
    cli: Callable, tiny_preset: Path, tmp_path: Path
) -> None:
    few = ("--set", "coreset={size=100, selector={kind='random'}}", "--set", "train.epochs=1")
    answer = cli("train", tiny_preset, *few, "--out", tmp_path, "--threads", 1, "--json", "-q")
    run = json.loads(answer.out)
    assert run["data"]["folder"] is None
    assert run["data"]["source"] == "MNIST (embedded)"


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_one_line(
    cli: Callable, place: Path, tiny_preset: Path, seed: int
) -> None:
    common = ("--data", place / "here" / "digits", "--out", place / "runs", "-q")
    run = Path(json.loads(cli("train", tiny_preset, *common, "--json").out)["path"])
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps(record | {"seed": seed}))
    answer = cli("train", "--from", run, *common)
    assert (answer.code, answer.out) == (4, "")
    assert f"its seed is out of range: {seed}. " in answer.err
    (run / "record.json").write_text(json.dumps(record | {"threads": 10**9}))
    assert cli("train", "--from", run, *common, "--threads", 1).code == 0
