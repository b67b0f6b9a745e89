"""Code is trusted by the person: no run, batch or preset from elsewhere runs what it brings."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.seeds import create_batch
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.code.code import Code
from mnistcli.preset.networks import load_network
from tests.code.conftest import forget
from tests.code.sources import PLAIN, network, trap
from tests.conftest import posix_only

QUICK = ("train.epochs=1", "train.batch_size=128", "augment=[]")
PRESET = """
title = "A network from elsewhere"

[model]
python = "net.py:Net"

[train]
epochs = 1
batch_size = 128

[train.optimizer]
kind = "sgd"
learning_rate = 0.01

[train.schedule]
kind = "constant"
"""


TRACE = "it-ran"


@pytest.fixture(scope="module")
def made(
    cli: Callable, tmp_path_factory: pytest.TempPathFactory, tiny_data: Path
) -> tuple[Path, Path]:
    """A folder with a finished run, an unfinished one, a batch and a preset, and what they leave
    when their code runs."""
    folder = tmp_path_factory.mktemp("elsewhere") / "given"
    folder.mkdir()
    trace = folder.with_name(TRACE)
    (folder / "net.py").write_text("from blocks import Net\n" + trap(trace))
    (folder / "blocks.py").write_text(trap(trace) + PLAIN)
    (folder / "mine.toml").write_text(PRESET)
    with pytest.MonkeyPatch.context() as there:
        there.setenv("MNISTCLI_ALLOWED", str(folder.with_name("theirs.txt")))
        there.chdir(folder)
        options = [part for each in QUICK for part in ("--set", each)]
        answer = cli(
            "train", "net.py:Net", "--data", tiny_data, "--out", "finished", "-q", *options
        )  # fmt: skip
        assert answer.code == 0, answer.err
        preset = load_network("net.py:Net", QUICK)
        options = Options(0, "cpu", "float32", 1, tiny_data, Path("started"))
        prepare(preset, options)
        create_batch(preset, [0, 1], replace(options, out=Path("batch")), None)
    assert trace.exists()
    return folder, trace


@pytest.fixture
def trace(made: tuple[Path, Path]) -> Path:
    """The file that exists once the code has run."""
    made[1].unlink(missing_ok=True)
    return made[1]


@pytest.fixture
def given(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of that folder, for a user who has run nothing of it."""
    forget()
    return Path(shutil.copytree(made[0], tmp_path / "given"))


def names(given: Path) -> dict[str, str]:
    """Return what a command line may say of the folder."""
    (run,) = (given / "finished").iterdir()
    (started,) = (given / "started").iterdir()
    (batch,) = (given / "batch").glob("*.batch.json")
    return {
        "RUN": str(run),
        "STARTED": str(started),
        "BATCH": str(batch),
        "PRESET": str(given / "mine.toml"),
    }


REFUSED = [
    "evaluate RUN",
    "evaluate RUN RUN2",
    "evaluate PRESET --weights RUN/weights.safetensors",
    "report RUN",
    "runs check RUN",
    "train --resume STARTED",
    "train --resume BATCH --jobs 1",
    "train --from RUN",
    "train PRESET",
    "train PRESET --seeds 0-1 --jobs 1",
    "summary PRESET",
    "presets validate PRESET",
    "coreset PRESET --compare --methods random --sizes 100 --seeds 0-1 --jobs 1",
]
HARMLESS = [
    "compare RUN",
    "compare PRESET",
    "report RUN --csv",
    "report RUN --badge badge.svg",
    "runs list given/finished",
    "runs show RUN",
    "runs tag RUN mine",
    "runs rm RUN",
    "presets show PRESET",
    "presets show PRESET --json",
    "presets copy PRESET copy.toml",
    "train PRESET --dry-run",
    "train --resume RUN",
]


def run_line(cli: Callable, given: Path, line: str, *more: str) -> object:
    """Run a command line; RUN2 is a copy of RUN."""
    found = names(given)
    if "RUN2" in line:
        shutil.copytree(found["RUN"], copy := given / "second")
        line = line.replace("RUN2", str(copy))
    for name in ("STARTED", "BATCH", "PRESET", "RUN"):
        line = line.replace(name, found[name])
    return cli(*line.split(), *more)


@pytest.mark.parametrize("line", REFUSED)
def test_code_from_elsewhere_is_named_and_not_run(
    cli: Callable, given: Path, trace: Path, line: str
) -> None:
    answer = run_line(cli, given, line)
    assert not trace.exists()
    assert answer.code == (4 if "check" in line else 2), answer.err
    assert answer.out == ""
    assert (
        "is Python code that you have not run or allowed before, and it was not run: " in answer.err
    )
    assert "net.py, blocks.py. Read it, then add --allow-code.\n" in answer.err
    assert answer.err.count("\n") == 1, answer.err


@pytest.mark.parametrize("line", HARMLESS)
def test_what_needs_no_network_runs_no_code(
    cli: Callable, given: Path, trace: Path, line: str
) -> None:
    answer = run_line(cli, given, line)
    assert not trace.exists()
    assert answer.code == (2 if line == "compare PRESET" else 0), answer.err  # no [reference]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "evaluate RUN",
        "report RUN",
        "train --resume STARTED",
        "train --resume BATCH --jobs 1",
        "train --from RUN",
        "summary PRESET",
        "presets validate PRESET",
    ],
)
def test_code_that_is_allowed_once_runs_from_then_on(
    cli: Callable, given: Path, trace: Path, line: str, quick_speed: None
) -> None:
    answer = run_line(cli, given, line, "--allow-code")
    assert answer.code == 0, answer.err
    assert trace.exists()
    forget()
    for later in ("evaluate RUN", "summary PRESET"):
        answer = run_line(cli, given, later)
        assert answer.code == 0, answer.err


def test_a_run_of_ones_own_needs_no_flag(
    cli: Callable, tmp_path: Path, tiny_data: Path, quick_speed: None
) -> None:
    (tmp_path / "net.py").write_text(PLAIN)
    options = [part for each in QUICK for part in ("--set", each)]
    run = json.loads(cli("train", "net.py", "--data", tiny_data, "--json", "-q", *options).out)
    (tmp_path / "net.py").unlink()
    forget()
    assert cli("evaluate", run["path"]).code == 0
    answer = cli("train", "--from", run["path"], "--json")
    assert json.loads(answer.out)["repeats"]["matches"] is True
    kept = Path(run["path"]) / "code" / "net.py"
    assert kept.read_text() == PLAIN


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "net.py").write_bytes((folder / "net.py").read_bytes() + b" "),
        lambda folder: os.truncate(folder / "blocks.py", (folder / "blocks.py").stat().st_size - 1),
        lambda folder: (folder / "blocks.py").write_text(PLAIN),
        lambda folder: (folder / "mine.toml").write_text(
            PRESET.replace(':Net"', ':Net"\narguments = {}').replace("{}", "{k = 1}")
        ),
        lambda folder: (folder / "mine.toml").write_text(PRESET.replace("net.py", "blocks.py")),
    ],
)
def test_every_change_revokes(cli: Callable, given: Path, trace: Path, change: Callable) -> None:
    assert run_line(cli, given, "summary PRESET", "--allow-code").code == 0
    change(given)
    trace.unlink()
    forget()
    answer = run_line(cli, given, "summary PRESET")
    assert answer.code == 2
    assert "have not run or allowed" in answer.err
    assert not trace.exists()


def test_a_change_of_what_a_run_keeps_is_found(cli: Callable, given: Path, trace: Path) -> None:
    assert run_line(cli, given, "evaluate RUN", "--allow-code").code == 0
    trace.unlink()
    forget()
    source = Path(names(given)["RUN"]) / "code" / "blocks.py"
    source.write_bytes(source.read_bytes() + b"#")
    for more in ((), ("--allow-code",)):
        answer = run_line(cli, given, "evaluate RUN", *more)
        assert answer.code == 4
        assert answer.err == f'mnistcli: "{source}" has changed since the run. Train it again.\n'
    assert not trace.exists()


def rewrite(run: Path, change: Callable) -> None:
    """Change the model in a record."""
    record = json.loads((run / "record.json").read_text())
    change(record["preset"]["model"])
    (run / "record.json").write_text(json.dumps(record))


ELSEWHERE = "0" * 64
TAMPERED = {
    "a file above": lambda model: model["sources"].update({"../../net.py": ELSEWHERE}),
    "an absolute path": lambda model: model["sources"].update({"/etc/net.py": ELSEWHERE}),
    "a backslash": lambda model: model["sources"].update({"..\\net.py": ELSEWHERE}),
    "no file of Python": lambda model: model["sources"].update({"weights.bin": ELSEWHERE}),
    "a missing file": lambda model: model["sources"].update({"more.py": ELSEWHERE}),
    "no hash": lambda model: model["sources"].update({"net.py": "x"}),
    "10,000 files": lambda model: model["sources"].update(
        {f"f{number}.py": ELSEWHERE for number in range(10_000)}
    ),
    "no files": lambda model: model.update(sources={}),
    "no list": lambda model: model.pop("sources"),
    "without the entry": lambda model: model["sources"].pop("net.py"),
    "an entry above": lambda model: model.update(python="../net.py:Net"),
    "an entry without a name": lambda model: model.update(python="net.py"),
    "an entry that is no code": lambda model: model.update(python="net.txt"),
    "a name that is none": lambda model: model.update(python="net.py:a.b()"),
    "a control character": lambda model: model.update(python="net\u0007.py:Net"),
    "another name": lambda model: model.update(python="net.py:os"),
}


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_list_of_sources_is_one_line(
    cli: Callable, given: Path, trace: Path, name: str, allowed: bool
) -> None:
    rewrite(Path(names(given)["RUN"]), TAMPERED[name])
    answer = run_line(cli, given, "evaluate RUN", *(["--allow-code"] if allowed else []))
    assert answer.code in (2, 4), answer.err
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 1_000
    assert not trace.exists() or (allowed and name in ("another name",))


@posix_only
@pytest.mark.parametrize("kind", ["link out", "circle", "fifo", "folder", "device", "huge"])
def test_a_source_that_is_no_plain_file_is_one_line(
    cli: Callable, given: Path, trace: Path, kind: str
) -> None:
    source = Path(names(given)["RUN"]) / "code" / "net.py"
    content = source.read_bytes()
    source.unlink()
    match kind:
        case "link out":
            (given / "out.py").write_bytes(content)
            source.symlink_to(given / "out.py")
        case "circle":
            source.symlink_to(source)
        case "fifo":
            os.mkfifo(source)
        case "folder":
            source.mkdir()
        case "device":
            source.symlink_to("/dev/zero")
        case "huge":
            source.write_bytes(content + b"#" * (1 << 20))
    answer = run_line(cli, given, "evaluate RUN", "--allow-code")
    assert answer.code == 4, answer.err
    assert answer.err.startswith("mnistcli: cannot ")
    assert answer.err.count("\n") == 1
    assert not trace.exists()


def test_a_start_from_elsewhere_brings_no_other_code_into_a_batch(
    cli: Callable, given: Path, trace: Path
) -> None:
    """The batch's own code was allowed, and the second of its runs names another one."""
    batch = Path(names(given)["BATCH"])
    (started,) = (given / "started").iterdir()
    second = batch.parent / json.loads(batch.read_text())["runs"]["1"]
    start = json.loads((started / "start.json").read_text()) | {"seed": 1}
    start["preset"]["model"] |= {"python": "evil.py:Net", "arguments": {"k": 1}}
    start["preset"]["model"]["sources"] = {"evil.py": ELSEWHERE}
    (second / "start.json").write_text(json.dumps(start))
    (second / "code" / "evil.py").write_text(trap(given / "evil") + PLAIN)
    run_line(cli, given, "train --resume BATCH --jobs 1", "--allow-code")
    assert trace.exists()
    assert not (given / "evil").exists()


def test_nothing_that_differs_has_the_same_hash(tmp_path: Path) -> None:
    sources = ({"a.py": b"x", "b.py": b"y"}, {"a.py": b"xy"}, {"a.py": b"y", "b.py": b"x"})
    arguments = ({}, {"k": 1}, {"k": "1"}, {"k": [1]}, {"k": None}, {"a": {"k": 1}}, {"k": 1.5})
    names = ("a.py:Net", "a.py:Ne", "b.py:Net")
    hashes = [
        Code(name, given, files, tmp_path).sha256
        for name, given, files in product(names, arguments, sources)
    ]
    assert len(set(hashes)) == len(hashes) == 63
    ordered = [
        Code("a.py:Net", given, {}, tmp_path) for given in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    ]
    assert ordered[0].sha256 == ordered[1].sha256


def test_a_list_whose_last_line_is_not_complete_is_continued(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "allowed.txt").write_text("0123")
    (tmp_path / "net.py").write_text(PLAIN)
    (tmp_path / "mine.toml").write_text(PRESET)
    assert cli("summary", "mine.toml").code == 2
    assert cli("summary", "mine.toml", "--allow-code").code == 0
    assert cli("summary", "mine.toml").code == 0
    assert (tmp_path / "allowed.txt").read_text().startswith("0123\n")


@posix_only
@pytest.mark.parametrize("kind", ["folder", "fifo", "garbage", "no permission", "no parent"])
def test_a_list_that_cannot_be_used_is_no_fault(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "list" / "allowed.txt"
    path.parent.mkdir()
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "garbage":
            path.write_bytes(bytes(range(256)) * 100)
        case "no permission":
            path.parent.chmod(0)
        case "no parent":
            path.parent.rmdir()
            path.parent.write_text("a file")
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(path))
    (tmp_path / "net.py").write_text(PLAIN)
    (tmp_path / "mine.toml").write_text(PRESET)
    assert cli("summary", "net.py").code == 0
    answer = cli("summary", "mine.toml")
    path.parent.chmod(0o700)
    is_kept = kind == "garbage" or (kind == "no permission" and os.geteuid() == 0)
    assert answer.code == (0 if is_kept else 2)
    assert answer.err.count("\n") == (0 if is_kept else 1)


def test_dry_runs_and_summaries_of_named_code_do_not_ask(
    cli: Callable, tmp_path: Path, trace: Path
) -> None:
    (tmp_path / "net.py").write_text(trap(trace) + PLAIN)
    assert cli("train", "net.py", "--dry-run").code == 0
    assert not trace.exists()
    assert cli("summary", "net.py").code == 0
    assert trace.exists()


def test_arguments_belong_to_what_is_trusted(cli: Callable, tmp_path: Path) -> None:
    source = network(init="assert factor == 3, factor").replace("(self)", "(self, factor=1)")
    (tmp_path / "net.py").write_text(source)
    (tmp_path / "mine.toml").write_text(PRESET)
    assert cli("summary", "net.py").code == 2
    assert cli("summary", "net.py", "--set", "model.arguments.factor=3").code == 0
    answer = cli("summary", "mine.toml", "--set", "model.arguments.factor=3")
    assert answer.code == 0  # exactly that was named before
    assert "not run or allowed" in cli("summary", "mine.toml", "--set", "model.arguments.x=3").err
    answer = cli("summary", "net.py", "--set", "model.python=other.py:Net")
    assert answer.code == 2
    assert answer.err.startswith('mnistcli: --set model.python cannot replace "net.py"')
