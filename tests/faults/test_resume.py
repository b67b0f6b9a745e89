"""An interrupted and resumed run ends as an uninterrupted one."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistcli.datasets.examples import fingerprint
from mnistcli.engine import snapshot
from mnistcli.engine.device import make_generator
from mnistcli.engine.events import EpochFinished
from mnistcli.errors import FileError
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import choose_machine
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.process import Stopped
from mnistcli.records.arrays import write_indices
from tests.conftest import Counts
from tests.faults.runs import (
    CHOICES,
    interrupted_run,
    make_preset,
    mix,
    options_of,
    train_in_pieces,
    what_is_left,
)

pytestmark = pytest.mark.faults
COMBINATIONS = 60
STEPS = 20


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_interrupted_anywhere_it_ends_with_the_same_bits(
    number: int, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    chosen, rng = mix(number), random.Random(number)
    preset = make_preset(chosen)
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    pauses = [rng.randint(1, STEPS) for _ in range(rng.randint(1, 3))]
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), pauses)
    assert broken == unbroken, (chosen, pauses)
    counts["resumes bit-identical"] += len(pauses)


def test_every_kind_of_everything_was_tried() -> None:
    seen = [mix(number) for number in range(COMBINATIONS)]
    for name, values in CHOICES.items():
        for value in values:
            assert any(one[name] == value for one in seen), (name, value)


def test_without_the_random_generators_it_would_not(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A negative control: everything is restored except the random generators."""
    chosen = mix(1) | {"dropout": [{"kind": "dropout", "probability": 0.2}], "curriculum": None}
    preset = make_preset(chosen)
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    restore = snapshot._restore_epoch

    def forget(*arguments: object) -> object:
        epoch = restore(*arguments)
        for name in ("augmentation", "dropout"):
            setattr(epoch, name, make_generator(0, "weights"))
        return epoch

    monkeypatch.setattr(snapshot, "_restore_epoch", forget)
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [3])
    assert broken["record"]["weights_sha256"] != unbroken["record"]["weights_sha256"]


@pytest.fixture
def begun(tiny_data: Path, tmp_path: Path) -> Path:
    """A run that was interrupted in its second epoch."""
    return interrupted_run(tiny_data, tmp_path / "runs", 14)


def test_the_command_resumes(cli: Callable, begun: Path, tiny_data: Path) -> None:
    answer = cli("train", "--resume", begun, "--json")
    assert answer.code == 0, answer.err
    assert "resuming after" in answer.err
    assert json.loads(answer.out)["run_id"] == begun.name
    files = {path.name for path in begun.iterdir()}
    assert files >= {"record.json", "events.jsonl", "weights.safetensors"}
    assert not files & {"start.json", "state.safetensors", ".lock"}
    again = cli("train", "--resume", begun / "record.json", "--json")
    assert json.loads(again.out) == json.loads(answer.out)


def test_what_would_do_nothing_is_refused(cli: Callable, begun: Path) -> None:
    for words in (["sprint"], ["--seed", "3"], ["--set", "train.epochs=3"], ["--jobs", "2"]):
        answer = cli("train", "--resume", begun, *words)
        assert answer.code == 2
        assert answer.err.count("\n") == 1
    assert cli("train", "--resume", begun.parent).code == 4
    assert cli("curriculum", "--resume", begun, "--quiet").code == 0


@pytest.mark.parametrize("file", ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"])
def test_other_images_are_refused(
    cli: Callable, begun: Path, tiny_data: Path, tmp_path: Path, file: str
) -> None:
    changed = shutil.copytree(tiny_data, tmp_path / "changed")
    (changed / file).write_bytes((changed / file).read_bytes()[:-1] + b"\0")
    start = begun / "start.json"
    for advice in ("Name their folder with --data.", "Leave out --data."):
        answer = cli("train", "--resume", begun, "--data", changed)
        assert answer.code == 4
        assert f'"{changed}" has other images. {advice}' in answer.err
        content = json.loads(start.read_text())
        content["data"]["folder"] = None  # as if it had been started with the embedded MNIST
        start.write_text(json.dumps(content))


def test_a_second_process_is_refused(cli: Callable, begun: Path) -> None:
    from mnistcli.records.folders import lock_run

    with lock_run(begun):
        answer = cli("train", "--resume", begun)
    assert answer.code == 4
    assert "by another process" in answer.err
    assert cli("train", "--resume", begun).code == 0


def test_a_state_of_another_network_is_refused(begun: Path, tiny_data: Path) -> None:
    start = begun / "start.json"
    content = json.loads(start.read_text())
    content["preset"]["model"]["layers"][0]["out_channels"] = 7
    start.write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"state.safetensors.*belongs to another network"):
        run(reopen(begun), lambda event: None)


def test_a_log_that_lost_lines_is_refused(begun: Path) -> None:
    log = begun / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-10])
    with pytest.raises(FileError, match="is truncated"):
        run(reopen(begun), lambda event: None)


def test_a_batch_trains_only_what_is_missing(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--data", tiny_data, "--threads", 1, "--json", "--jobs", 2)
    whole = cli("train", tiny_preset, *common, "--seeds", "0-3", "--out", tmp_path / "a")
    wanted = [run["weights_sha256"] for run in json.loads(whole.out)["runs"]]
    cli("train", tiny_preset, *common, "--seeds", "0-3", "--out", tmp_path / "b")
    (batch,) = (tmp_path / "b").glob("*.batch.json")
    folders = sorted(path for path in (tmp_path / "b").iterdir() if path.is_dir())
    times = {folder.name: (folder / "record.json").stat().st_mtime_ns for folder in folders[:2]}
    for folder in folders[2:]:
        for path in folder.iterdir():
            path.unlink()
    answer = cli("train", "--resume", batch, "--json", "--jobs", 2)
    assert answer.code == 0, answer.err
    assert "run 2/2" in answer.err
    assert [run["weights_sha256"] for run in json.loads(answer.out)["runs"]] == wanted
    for name, before in times.items():
        assert (batch.parent / name / "record.json").stat().st_mtime_ns == before


def test_a_run_is_repeated_to_the_last_bit(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--out", tmp_path / "runs", "--json", "-q")
    first = json.loads(
        cli("train", tiny_preset, "--data", tiny_data, "--seed", 5, "--threads", 1, *common).out
    )
    again = json.loads(cli("train", "--from", first["path"], *common).out)
    assert again["repeats"] == {
        "run_id": first["run_id"], "weights_sha256": first["weights_sha256"],
        "differences": [], "matches": True,
    }  # fmt: skip
    assert again["run_id"] != first["run_id"]
    assert what_is_left(Path(again["path"])) == what_is_left(Path(first["path"]))
    text = cli("train", "--from", first["path"], "-q", "--out", tmp_path / "runs").out
    assert "weights equal to" in text


def test_a_repetition_says_what_is_not_the_same(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--out", tmp_path / "runs", "--json", "-q")
    train = ("train", tiny_preset, "--data", tiny_data, "--precision", "float32")
    first = json.loads(cli(*train, *common).out)
    path = Path(first["path"]) / "record.json"
    path.write_text(json.dumps(first | {"versions": first["versions"] | {"torch": "1.0"}}))
    answer = cli("train", "--from", path, "--precision", "bfloat16", *common)
    repeats = json.loads(answer.out)["repeats"]
    assert repeats["matches"] is False
    assert repeats["differences"] == [
        f"torch 1.0 → {torch.__version__}",
        "precision float32 → bfloat16",
    ]
    text = cli("train", "--from", path, "--precision", "bfloat16", "--out", tmp_path / "runs").out
    assert "weights differ from" in text
    assert "torch 1.0" in text
    assert cli("train", "sprint", "--from", path).code == 2
    assert cli("train", "--from", path, "--seed", 3).code == 2


def test_what_a_kill_left_beside_the_record_goes_with_the_next_resume(
    cli: Callable, begun: Path
) -> None:
    assert cli("train", "--resume", begun, "-q").code == 0
    finished = {path.name for path in begun.iterdir()}
    for name in (".lock", "start.json", "state.safetensors"):
        (begun / name).touch()
    assert cli("train", "--resume", begun, "-q").code == 0
    assert {path.name for path in begun.iterdir()} == finished
    assert "record.json" in finished


def test_the_file_of_a_coreset_may_be_gone_once_the_training_has_begun(
    tiny_data: Path, tmp_path: Path
) -> None:
    chosen = mix(0) | {"coreset": None, "curriculum": None}
    preset, options = make_preset(chosen), options_of(chosen, tiny_data, tmp_path)
    examples = load_data(preset, options, choose_machine(options)).train
    file = write_indices(tmp_path, np.arange(0, 500, 5), fingerprint(examples))
    setup = prepare(preset, options, file)

    def stop(event: object) -> None:
        if isinstance(event, EpochFinished):
            raise Stopped(15)

    with pytest.raises(Stopped):
        run(setup, stop)
    file.unlink()
    assert run(reopen(setup.folder), lambda event: None).train_examples == 100
