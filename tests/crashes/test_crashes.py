"""Every state that a crash may leave: what was begun is resumed to the same bits."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mnistcli.experiment.training import checkpoint
from mnistcli.search import plan
from tests.cli.test_search import SPACE
from tests.conftest import Counts
from tests.crashes.explore import Damage, explore, fail_at
from tests.crashes.recorder import Create, Operation, Rename, Sync, SyncFolder
from tests.crashes.scenarios import (
    Scenario,
    Violation,
    make_batch,
    make_download,
    make_export,
    make_run,
    make_search,
    make_study,
    run,
)
from tests.experiment.test_downloads import offer
from tests.server import Server, make_certificate, serve

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def preset(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of six steps."""
    path = tmp_path_factory.mktemp("crashes") / "tiny.toml"
    path.write_text(tiny_preset.read_text().replace("batch_size = 64", "batch_size = 200"))
    return path


@pytest.fixture
def server(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "crashes" / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(certificate) as serving:
        serving.contents = {path.name: path.read_bytes() for path in tiny_data.iterdir()}
        offer(monkeypatch, serving)
        yield serving


@pytest.fixture
def make(
    preset: Path,
    tiny_data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Scenario]:
    def make_scenario(name: str) -> Scenario:
        if name in ("study", "search"):  # their trials are runs, which others crash step by step
            monkeypatch.setattr(checkpoint, "SAVE_SECONDS", 30)
            monkeypatch.setattr(plan, "CONFIRMATIONS", 2)
        match name:
            case "run":
                return make_run(preset, tiny_data)
            case "batch":
                return make_batch(preset, tiny_data)
            case "study":
                return make_study(preset, tiny_data)
            case "search":
                (tmp_path / "space.toml").write_text(SPACE)
                return make_search(tmp_path / "space.toml", tiny_data)
            case "export":
                run("train", preset, "--data", tiny_data, "--out", tmp_path / "runs", "--no-fail")
                return make_export(next((tmp_path / "runs").iterdir()), tiny_data)
        request.getfixturevalue("server")
        return make_download()

    return make_scenario


SEEDED = {"run": 180, "batch": 90, "study": 44, "search": 30, "export": 16, "download": 140}


@pytest.mark.parametrize("name", SEEDED)
def test_whatever_a_crash_leaves_the_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tmp_path: Path, counts: Counts
) -> None:
    explored = explore(make(name), tmp_path / "crashes", most=SEEDED[name])
    counts["crash states survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
    assert explored.states.total() == SEEDED[name]


def forget_syncs(operations: Sequence[Operation]) -> list[Operation]:
    return [NOTHING if isinstance(each, Sync) else each for each in operations]


def forget_folder_syncs(operations: Sequence[Operation]) -> list[Operation]:
    return [NOTHING if isinstance(each, SyncFolder) else each for each in operations]


def rename_first(operations: Sequence[Operation]) -> list[Operation]:
    """Rename every file before it is written, instead of afterwards."""
    damaged, names = list(operations), dict[Path, int]()
    for place, operation in enumerate(operations):
        if isinstance(operation, Create):
            names[operation.path] = place
        if isinstance(operation, Rename) and operation.source in names:
            created = names.pop(operation.source)
            damaged[created + 1 : place + 1] = [operation, *operations[created + 1 : place]]
    return damaged


NOTHING = SyncFolder(Path("nowhere"))
DAMAGES = [forget_syncs, forget_folder_syncs, rename_first]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_layer_that_forgets_something_is_caught(
    damage: Damage, make: Callable[[str], Scenario], tmp_path: Path
) -> None:
    explored = explore(make("run"), tmp_path / "crashes", most=60, damage=damage)
    assert explored.violations


def test_a_run_that_counts_twice_is_caught(make: Callable[[str], Scenario], tmp_path: Path) -> None:
    batch, root = make("batch"), tmp_path / "crashes"
    root.mkdir()
    batch.begin(root)
    run = next((root / "runs").glob("*-s3"))
    shutil.copytree(run, run.with_name(f"{run.name[:-1]}9"))
    with pytest.raises(Violation, match="counts twice"):
        batch.resume(root)


ERRORS = [
    *(OSError(number, os.strerror(number)) for number in
      (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EDQUOT, errno.ENOENT)),
    PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    MemoryError(),
]  # fmt: skip
FAILED = {"run": 60, "batch": 30, "study": 20, "search": 8, "export": 12, "download": 60}


@pytest.mark.parametrize("name", FAILED)
def test_whichever_operation_fails_the_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tmp_path: Path, counts: Counts
) -> None:
    explored = fail_at(make(name), tmp_path / "crashes", ERRORS, most=FAILED[name])
    counts["failed operations survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
    assert explored.states.total() == FAILED[name]
