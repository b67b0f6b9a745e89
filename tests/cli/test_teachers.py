"""Teachers that a preset names by their own preset: trained first, once, and recorded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnistcli.experiment.training import run as single_run
from mnistcli.process import Stopped
from tests.conftest import posix_only, write_tiny_data

TEACH = "teacher={{preset={}, seeds=2}}"


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object, command: tuple = ("train",), as_json: bool = True) -> tuple:
        teach = TEACH.format(json.dumps(str(tiny_preset)))
        answer = cli(
            *command, tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--threads", 1,
            "--set", teach, "--set", "train.epochs=1", *(["--json"] if as_json else []), *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if as_json and answer.out else None

    return run


def list_runs(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("runs/*") if path.is_dir()}


@pytest.mark.slow
def test_teachers_are_trained_once_and_recorded(train: Callable, tmp_path: Path) -> None:
    answer, record = train("--no-fail")
    assert answer.code == 0, answer.err
    assert answer.err.count("teacher 1 of 2: train ") == 1
    teachers = record["teachers"]
    assert [Path(each["path"]).name[-3:] for each in teachers] == ["-s0", "-s1"]
    assert record["preset"]["teacher"]["runs"] == [each["path"] for each in teachers]
    assert record["preset"]["teacher"]["preset"] is None
    before = list_runs(tmp_path)
    assert len(before) == 3
    answer, batch = train("--no-fail", "--seeds", "1-2", "--jobs", 1)
    assert "teacher 2 of 2: use " in answer.err
    assert [run["teachers"] for run in batch["runs"]] == [teachers, teachers]
    assert len(list_runs(tmp_path)) == 5
    answer, _ = train("--no-fail", as_json=False)
    assert "learned from 2 runs of tiny: 8,308 parameters, " in answer.out


def test_other_images_or_another_training_are_other_teachers(
    train: Callable, tiny_preset: Path, tmp_path: Path
) -> None:
    train("--no-fail")
    text = tiny_preset.read_text()
    tiny_preset.write_text(text.replace("batch_size = ", "drop_last = true\nbatch_size = ", 1))
    answer, _ = train("--no-fail")
    tiny_preset.write_text(text)
    assert "teacher 1 of 2: train " in answer.err
    assert len(list_runs(tmp_path)) == 6


def test_a_teacher_that_starts_from_a_run_is_used_again(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    common = ("--data", tiny_data, "--threads", 1, "--no-fail")
    first = json.loads(cli("train", tiny_preset, *common, "--out", "first", "--json").out)
    (tmp_path / "first" / first["run_id"]).rename("origin")
    (tmp_path / "tuned.toml").write_text(
        tiny_preset.read_text().replace("[train]", '[train]\ninit = "origin"', 1)
    )
    teach = ("--set", "teacher={preset='tuned.toml'}")
    for verb in ("train", "use"):
        answer = cli("train", tiny_preset, *common, *teach)
        assert f"teacher 1 of 1: {verb} " in answer.err, answer.err


@posix_only
def test_an_interrupted_teacher_is_trained_on(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: Any) -> None:
        raise Stopped(2)

    with monkeypatch.context() as patch:
        patch.setattr(single_run, "train", stop)
        answer, _ = train()
    assert answer.code == 130
    last = answer.err.splitlines()[-1]
    assert last == "mnistcli: interrupted; repeat the command to resume"
    (begun,) = list_runs(tmp_path)
    answer, record = train("--no-fail")
    assert record["teachers"][0]["run_id"] == begun
    assert len(list_runs(tmp_path)) == 3


@pytest.mark.slow
def test_studies_and_comparisons_train_teachers_too(train: Callable, tmp_path: Path) -> None:
    options = ("--seeds", "0-1", "--jobs", 1)
    arm = ("--arm", "soft: teacher.temperature=9.0")
    answer, found = train(*options, *arm, command=("study",))
    assert answer.code == 0, answer.err
    plan = json.loads((Path(found["path"]) / "plan.json").read_text())
    assert [len(each["preset"]["teacher"]["runs"]) for each in plan["arms"]] == [2, 2]
    assert len(list_runs(tmp_path)) == 3  # the study has a folder, too
    teacher = Path(plan["arms"][0]["preset"]["teacher"]["runs"][0])
    assert json.loads((teacher / "record.json").read_text())["data"]["evaluated_on"] == "held-out"
    methods = ("--compare", "--methods", "random", "--sizes", 100)
    answer, _ = train(*options, *methods, command=("coreset",))
    assert answer.code == 0, answer.err
    assert "teacher 1 of 2: train " in answer.err, "a teacher on fewer images is another one"
    answer, _ = train(*options, *arm, "--test", command=("study",))
    assert answer.code == 0, answer.err
    assert "teacher 1 of 2: use " in answer.err


@pytest.mark.parametrize("field", ["teacher={{runs=['{}']}}", "train.init={}"])
def test_a_study_refuses_runs_that_know_the_held_out_images(
    field: str, cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    options = ("--data", tiny_data, "--out", tmp_path / "runs", "--threads", 1, "--json")
    run = json.loads(cli("train", tiny_preset, *options, "--no-fail").out)["path"]
    arm = ("--arm", f"earlier: {field.format(run)}", "--seeds", "0", "--jobs", 1)
    answer = cli("study", tiny_preset, *options, *arm)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
    assert 'invalid arm "earlier"' in answer.err
    assert "has learned from the held-out images, too" in answer.err
    assert cli("study", tiny_preset, *options, *arm, "--test").code == 0


def test_a_study_takes_runs_that_have_learned_from_other_images(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_tiny_data(other, seed=1)
    options = ("--out", tmp_path / "runs", "--threads", 1, "--json")
    first = cli("train", tiny_preset, "--data", other, *options, "--no-fail")
    run = json.loads(first.out)["path"]
    arm = ("--arm", f"earlier: train.init={run}", "--seeds", "0", "--jobs", 1)
    answer = cli("study", tiny_preset, "--data", tiny_data, *options, *arm)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("{preset='sprint', runs=['runs/x']}", "name either runs or a preset"),
        ("{temperature=2.0}", "name either runs or a preset"),
        ("{runs=['runs/x'], seeds=2}", "seeds is the number of networks of a preset"),
        ("{preset='sprint', seeds=0}", "teacher.seeds"),
        ("{runs=['a', 'b', 'a']}", "a run is named twice"),
        ("{preset='nothing'}", "teacher.preset: "),
        ("{preset='nested.toml'}", "has teachers that are to be trained"),
    ],
)
def test_a_teacher_that_is_none_is_one_line(
    teacher: str, words: str, cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    nested = tiny_preset.read_text() + '\n[teacher]\npreset = "sprint"\n'
    (tmp_path / "nested.toml").write_text(nested)
    answer = cli("train", tiny_preset, "--data", tiny_data, "--set", f"teacher={teacher}")
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert words in answer.err
    assert not (tmp_path / "runs").exists()


def test_a_run_on_a_file_of_indices_is_no_teacher_of_the_preset(
    train: Callable, cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--data", tiny_data, "--out", tmp_path / "runs", "--threads", 1)
    chosen = json.loads(cli("coreset", tiny_preset, *common, "-n", 200, "--json").out)
    options = ("--coreset", chosen["indices_file"], "--no-fail", "-q")
    assert cli("train", tiny_preset, *common, *options).code == 0
    answer, _ = train("--no-fail")
    assert "teacher 1 of 2: train " in answer.err
