import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.preset.loading import load_preset
from mnistcli.records.inventory import describe_run, read_start
from mnistcli.records.states import BatchDocument, RunStart
from tests.conftest import posix_only
from tests.faults.runs import interrupted_run


@pytest.fixture(scope="module")
def made(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with two runs that passed, one that failed, and an unfinished one; do not change."""
    out = tmp_path_factory.mktemp("made")
    options = ("--data", tiny_data, "--out", out, "-q", "--set", "train.epochs=1")
    for seed in (0, 1):
        assert cli("train", tiny_preset, *options, "--seed", seed).code == 0
    small = ("--set", "budget.parameters_below=9", "--set", "name=big", "--seed", 7)
    assert cli("train", tiny_preset, *options, *small).code == 3
    interrupted_run(tiny_data, out, 9)
    return out


def make_batch(folder: Path, preset: Path) -> None:
    (folder / "both.batch.json").write_text(
        BatchDocument(
            preset=load_preset(str(preset)), device="cpu", precision="float32", threads=1,
            data_folder=None, coreset_file=None, runs={0: "first", 1: "second", 2: "gone"},
        ).model_dump_json()
    )  # fmt: skip


@pytest.fixture
def runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has "runs", whose runs are named short."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "runs")
    for name, pattern in (
        ("first", "tiny-*-s0"), ("second", "tiny-*-s1"), ("big", "big-*"), ("begun", "mixed-*"),
    ):  # fmt: skip
        (path,) = Path("runs").glob(pattern)
        path.rename(Path("runs") / name)
    return Path("runs")


def listed(cli: Callable, *arguments: object, code: int = 0) -> dict[str, dict]:
    answer = cli("runs", "list", *arguments, "--json")
    assert answer.code == code, answer.err
    document = json.loads(answer.out)
    assert document["schema"] == "mnistcli.run-list/1"
    return {row["name"]: row for row in document["runs"]}


def shown(cli: Callable, run: object) -> str:
    """What `runs show` prints, with single spaces."""
    answer = cli("runs", "show", run)
    assert (answer.code, answer.err) == (0, "")
    return re.sub(" +", " ", answer.out)


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_list_tells_what_is_known_of_every_run(cli: Callable, runs: Path) -> None:
    found = listed(cli)
    assert found.keys() == {"first", "second", "big", "begun"}
    record = json.loads((runs / "second" / "record.json").read_text())
    assert found["second"] == {
        "name": "second", "path": "runs/second", "state": "finished", "reason": None,
        "started": record["started"], "preset": "tiny", "seed": 1, "parameters": 4_154,
        "test_accuracy": record["test"]["accuracy"], "held_out_accuracy": None, "epochs": 1,
        "train_seconds": record["train_seconds"], "passed": True, "verdict": "pass",
            "tag": None,
    }  # fmt: skip
    assert not found["big"]["passed"]
    begun = found["begun"]
    assert (begun["state"], begun["preset"], begun["seed"]) == ("unfinished", "mixed", 7)
    assert begun["passed"] is begun["parameters"] is begun["test_accuracy"] is None


def test_the_newest_run_comes_first(cli: Callable, runs: Path) -> None:
    for name, year in (("first", 2031), ("second", 2030), ("big", 2029)):
        change(runs / name / "record.json", started=f"{year}-01-01T00:00:00+00:00")
    assert list(listed(cli)) == ["first", "second", "big", "begun"]


def test_a_list_is_of_a_folder_a_batch_or_the_environments_folder(
    cli: Callable, runs: Path, tiny_preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_batch(runs, tiny_preset)
    assert listed(cli, runs / "both.batch.json").keys() == {"first", "second"}
    monkeypatch.chdir(runs)
    monkeypatch.setenv("MNISTCLI_OUT", "../runs")
    assert len(listed(cli)) == 4
    assert listed(cli, runs.absolute().parent.parent) == {}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("--preset", "tiny"), {"first", "second"}),
        (("--preset", "nothing"), set()),
        (("--passed",), {"first", "second"}),
        (("--failed",), {"big"}),
        (("--state", "unfinished"), {"begun"}),
        (("--state", "finished", "--preset", "big"), {"big"}),
        (("--tag", "best"), {"first"}),
        (("--tag", "best", "--failed"), set()),
    ],
)
def test_filters_are_combined(cli: Callable, runs: Path, filters: tuple, names: set[str]) -> None:
    assert cli("runs", "tag", runs / "first", "best").code == 0
    assert listed(cli, *filters).keys() == names


def test_what_is_unreadable_is_listed_as_such(cli: Callable, runs: Path) -> None:
    (runs / "first" / "record.json").write_text("{")
    (runs / "begun" / "start.json").write_bytes(b"\xff")
    (runs / "big" / "tag.json").write_text("[]")
    (runs / "second" / "events.jsonl").write_text("[" * 100_000 + "\n")
    found = listed(cli, code=4)
    states = {name: row["state"] for name, row in found.items()}
    assert states == {
        "first": "unreadable", "begun": "unreadable", "big": "finished", "second": "finished",
    }  # fmt: skip
    assert "record.json" in found["first"]["reason"]
    assert "tag.json" in found["big"]["reason"]
    answer = cli("runs", "list")
    assert answer.code == 4
    assert answer.err.count("\n") == 3
    assert all(line.startswith("mnistcli: ") for line in answer.err.splitlines())
    assert answer.out.count("unreadable") == 3  # and in the total


@posix_only
def test_a_name_that_is_no_text_is_listed_as_unreadable(cli: Callable, runs: Path) -> None:
    (runs / "first").rename(runs / os.fsdecode(b"f\xfcnf"))
    found = listed(cli, code=4)
    assert found[r"f\xfcnf"]["state"] == "unreadable"
    assert cli("runs", "list").code == 4


def test_a_diverged_run_is_listed_and_shown(cli: Callable, runs: Path) -> None:
    (runs / "begun" / "divergence.json").write_text(
        '{"schema": "mnistcli.divergence/1", "epoch": 2, "step": 3, '
        '"learning_rate": 9, "batch": []}'
    )
    assert listed(cli)["begun"]["state"] == "diverged"
    assert "diverged epoch 2, step 3" in shown(cli, "runs/begun")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "nowhere"), 4, '"nowhere" does not exist. Name a folder of runs.'),
        (("list", "runs/first"), 4, "is a run. Name the folder that it is in"),
        (("list", "runs/first/record.json"), 4, "Not a directory"),
        (("list", "none.batch.json"), 4, "none.batch.json"),
        (("list", "--state", "lost"), 2, "'lost' is not one of"),
        (("show", "nowhere"), 4, '"nowhere" does not exist. Name a run folder.'),
        (("show", "runs"), 4, '"runs" is not a run'),
        (("rm", "nowhere", "runs/first"), 4, '"nowhere": it does not exist'),
        (("tag", "runs/first"), 2, "needs either a TAG or --remove"),
        (("tag", "runs/first", "a", "--remove"), 2, "needs either a TAG or --remove"),
        (("tag", "runs/first", "a/b"), 2, '"a/b" cannot be a tag. Use at most 64 letters'),
        (("tag", "runs/first", "[red]"), 2, '"[red]" cannot be a tag'),
        (("tag", "runs/first", "x" * 65), 2, "cannot be a tag"),
        (("tag", "runs", "a"), 4, '"runs" is not a run'),
        (("check", "runs/begun"), 4, "is not finished"),
    ],
)
@posix_only
def test_a_mistake_is_one_line(
    cli: Callable, runs: Path, arguments: tuple, code: int, words: str
) -> None:
    before = sorted(runs.rglob("*"))
    answer = cli("runs", *arguments)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert words in answer.err
    assert answer.err.count("\n") == 1
    assert sorted(runs.rglob("*")) == before


def test_a_finished_run_is_shown(cli: Callable, runs: Path) -> None:
    text = shown(cli, runs / "first")
    for words in (
        "preset tiny", "seed 0", "computed on cpu", "images 600 to learn from (100.00 %)",
        "train.optimizer.learning_rate 0.05", "augment.0.shift_pixels 1", "\nbudget ", " PASS",
        "\nweights.safetensors ", "mnistcli train --from runs/first\n", "\n 1 600 ",
    ):  # fmt: skip
        assert words in text, words
    content = (runs / "first" / "record.json").read_text()
    assert cli("runs", "show", runs / "first" / "record.json", "--json").out == content


def test_an_unfinished_run_is_shown_with_what_was_saved(cli: Callable, runs: Path) -> None:
    text = shown(cli, runs / "begun")
    assert "saved 3 epochs and 1 step of the next\n" in text
    assert text.endswith(" resume with: mnistcli train --resume runs/begun\n")
    document = json.loads(cli("runs", "show", runs / "begun", "--json").out)
    assert document["schema"] == "mnistcli.start/2"
    (runs / "begun" / "state.safetensors").write_bytes(b"x")
    answer = cli("runs", "show", runs / "begun")
    assert (answer.code, answer.out) == (4, "")
    assert "state.safetensors" in answer.err
    (runs / "begun" / "state.safetensors").unlink()
    assert "saved nothing yet\n" in shown(cli, runs / "begun")


@pytest.mark.parametrize("tag", ["", "x" * 64])
def test_tables_fit_80_columns(cli: Callable, runs: Path, tag: str) -> None:
    long = "optimizednet-curriculum-published-20261126-073824-s0"
    (runs / "first").rename(runs / long)
    change(runs / long / "record.json", train_seconds=12_345.6, parameters=19_999_999)
    if tag:
        assert cli("runs", "tag", runs / long, tag).code == 0
    for line in (("list",), ("show", runs / long), ("show", runs / "begun"), ("check", runs)):
        answer = cli("runs", *line)
        lines = answer.out.splitlines()
        assert all(len(each) <= 80 for each in lines if "mnistcli " not in each), line
        assert "\x1b" not in answer.out


def test_text_of_a_record_is_never_markup(cli: Callable, runs: Path) -> None:
    change(
        runs / "first" / "record.json", run_id="[red]x\x1b[31m", started="[/bold]",
        versions={"[/red]": "\x1b]0;title\x07"}, device="[blink]",
    )  # fmt: skip
    for line in (("list",), ("show", runs / "first"), ("check", runs / "first")):
        answer = cli("runs", *line)
        assert answer.code == 0, answer.err
        assert "\x1b" not in answer.out
    assert "[red]x" in answer.out


def test_a_tag_is_kept_beside_the_record(cli: Callable, runs: Path) -> None:
    record = (runs / "first" / "record.json").read_bytes()
    answer = cli("runs", "tag", runs / "first", "good")
    assert (answer.code, answer.out) == (0, "runs/first: tag good\n")
    answer = cli("runs", "tag", runs / "first", "best", "--json")
    assert json.loads(answer.out) == {"schema": "mnistcli.tag/1", "tag": "best"}
    assert listed(cli)["first"]["tag"] == "best"
    assert "tag best\n" in shown(cli, runs / "first")
    assert "best" in cli("runs", "list").out
    assert (runs / "first" / "record.json").read_bytes() == record
    answer = cli("runs", "tag", runs / "first", "--remove")
    assert (answer.code, answer.out) == (0, "runs/first: no tag\n")
    assert cli("runs", "tag", runs / "first", "--remove").code == 0
    assert listed(cli)["first"]["tag"] is None
    assert not (runs / "first" / "tag.json").exists()


def test_a_tagged_run_resumes_and_keeps_its_tag(cli: Callable, runs: Path) -> None:
    assert cli("runs", "tag", runs / "begun", "best").code == 0
    assert cli("train", "--resume", runs / "begun", "-q", "--no-fail").code == 0
    row = listed(cli)["begun"]
    assert (row["state"], row["tag"]) == ("finished", "best")
    assert cli("runs", "rm", runs / "begun").code == 0


def test_runs_are_removed_and_nothing_else(cli: Callable, runs: Path) -> None:
    dry = cli("runs", "rm", runs / "first", runs / "begun", "--dry-run")
    assert dry.code == 0
    assert [line.split(" (")[0] for line in dry.out.splitlines()] == [
        "would remove runs/first", "would remove runs/begun",
    ]  # fmt: skip
    assert (runs / "first").exists()
    names = ("runs/../runs/first/", runs / "begun", runs / "first")
    answer = cli("runs", "rm", *names, "--json")
    document = json.loads(answer.out)
    assert (answer.code, answer.err, document["removed"]) == (0, "", True)
    assert [run["path"] for run in document["runs"]] == ["runs/first", "runs/begun"]
    assert sorted(path.name for path in runs.iterdir()) == ["big", "second"]


def test_if_one_is_refused_none_is_removed(cli: Callable, runs: Path, tiny_preset: Path) -> None:
    make_batch(runs, tiny_preset)
    (runs / "second" / "notes.txt").write_text("mine")
    before = sorted(runs.rglob("*"))
    answer = cli("runs", "rm", *sorted(runs.iterdir()))
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.count("\n") == 2  # the batch file and the notes
    assert '"notes.txt"' in answer.err
    assert sorted(runs.rglob("*")) == before


NET = """
from pathlib import Path
from torch import nn
Path({trace!r}).touch()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(784, 10)
    def forward(self, x):
        return self.last(x.flatten(1))
"""


@pytest.fixture
def own(
    cli: Callable, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A run of the user's own code, which this user has not allowed; and a file that it makes."""
    trace = tmp_path / "trace"
    (tmp_path / "net.py").write_text(NET.format(trace=str(trace)))
    options = ("--data", tiny_data, "--out", tmp_path / "own", "-q", "--json")
    answer = cli("train", tmp_path / "net.py", *options, "--budget", "parameters<9000, epochs<=1")
    assert answer.code == 0, answer.err
    trace.unlink()
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(tmp_path / "nothing is allowed"))
    return Path(json.loads(answer.out)["path"]), trace


def test_code_in_a_run_folder_runs_only_where_it_is_allowed(
    cli: Callable, own: tuple[Path, Path]
) -> None:
    folder, trace = own
    for line in (("list", folder.parent), ("show", folder), ("tag", folder, "best")):
        answer = cli("runs", *line)
        assert answer.code == 0, answer.err
    assert "model.python net.py:Net\n" in shown(cli, folder)
    assert "code/net.py" in shown(cli, folder)
    answer = cli("runs", "check", folder)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.endswith(" Read it, then add --allow-code.\n")
    assert cli("runs", "rm", folder, "--dry-run").code == 0
    assert not trace.exists()
    answer = cli("runs", "check", folder, "--allow-code", "--train", "-q")
    assert answer.code == 0, answer.err
    assert " trained again: the weights are equal, bit for bit\n" in answer.out
    assert " CONFIRMED  " in answer.out
    assert trace.exists()
    assert cli("runs", "rm", folder).code == 0
    assert not folder.exists()


def test_changed_code_in_a_run_folder_never_runs(cli: Callable, own: tuple[Path, Path]) -> None:
    folder, trace = own
    source = folder / "code" / "net.py"
    source.write_text(f"{source.read_text()}\n# changed\n")
    for line in (("check", folder, "--allow-code"), ("check", folder, "--train", "--allow-code")):
        answer = cli("runs", *line)
        assert (answer.code, answer.out) == (4, "")
        assert "net.py" in answer.err
    assert not trace.exists()
    assert cli("runs", "rm", folder).code == 0


def test_a_run_whose_code_fails_does_not_keep_others_from_being_checked(
    cli: Callable, runs: Path, own: tuple[Path, Path]
) -> None:
    answer = cli("runs", "check", own[0], runs / "first", "--json")
    assert answer.code == 4
    assert answer.err.count("\n") == 1
    (found,) = json.loads(answer.out)["runs"]
    assert found["path"] == "runs/first"


@pytest.mark.slow
def test_a_list_of_runs_imports_nothing_heavy(made: Path) -> None:
    (folder,) = made.glob("mixed-*")
    code = (
        "import sys\nfrom mnistcli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as ending:\n    assert not ending.code\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & sys.modules.keys()\n"
        "assert sys.argv[2] != 'list' or 'numpy' not in sys.modules\n"
    )
    for line in (("list", made), ("show", folder), ("rm", "--dry-run", folder)):
        command = [sys.executable, "-c", code, "runs", *line]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_run_that_finishes_while_it_is_listed(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(folder: Path) -> RunStart:
        shutil.copy(runs / "first" / "record.json", folder)
        (folder / "start.json").unlink()
        return read_start(folder)

    monkeypatch.setattr("mnistcli.records.inventory.read_start", finish)
    assert describe_run(runs / "begun").state == "finished"
