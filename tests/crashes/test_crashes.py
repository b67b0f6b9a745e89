"""Every state that a crash may leave: what was begun is resumed to the same bits."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import Counts
from tests.crashes.explore import Damage, explore, fail_at
from tests.crashes.reads import fail_reads
from tests.crashes.recorder import Create, HalfWritten, Operation, Rename, Sync, SyncFolder
from tests.crashes.scenarios import Scenario, Violation

pytestmark = pytest.mark.faults
Make = Callable[[str], Scenario]


SEEDED = {
    "run": 186, "batch": 90, "study": 34, "search": 20, "export": 12, "download": 156, "grading": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDED)
def test_whatever_a_crash_leaves_the_job_ends_the_same(
    name: str, make: Make, tmp_path: Path, counts: Counts
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
    damage: Damage, make: Make, tmp_path: Path
) -> None:
    explored = explore(make("run"), tmp_path / "crashes", most=60, damage=damage)
    assert explored.violations


def test_a_run_that_counts_twice_is_caught(make: Make, tmp_path: Path) -> None:
    batch, root = make("batch"), tmp_path / "crashes"
    root.mkdir()
    batch.begin(root)
    (run,) = (root / "runs").glob("*-s3")
    shutil.copytree(run, run.with_name(f"{run.name[:-1]}9"))
    with pytest.raises(Violation, match="counts twice"):
        batch.resume(root)


ERRORS = [
    *(OSError(number, os.strerror(number)) for number in
      (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EDQUOT, errno.ENOENT)),
    PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    HalfWritten(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    MemoryError(),
]  # fmt: skip
"""EINTR reaches no program in Python, which repeats the call (PEP 475)."""
FAILED = {"run": 60, "batch": 30, "study": 15, "search": 4, "export": 12, "download": 60}


@pytest.mark.parametrize("name", FAILED)
def test_whichever_operation_fails_the_job_ends_the_same(
    name: str, make: Make, tmp_path: Path, counts: Counts
) -> None:
    explored = fail_at(make(name), tmp_path / "crashes", ERRORS, most=FAILED[name])
    counts["failed operations survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
    assert explored.states.total() == FAILED[name]


UNREAD = {"run": 20, "batch": 15, "study": 6, "search": 3, "export": 10}


@pytest.mark.parametrize("name", UNREAD)
def test_whichever_file_cannot_be_read_the_job_ends_the_same(
    name: str, make: Make, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    errors = [error for error in ERRORS if not isinstance(error, HalfWritten)]
    explored = fail_reads(make(name), tmp_path / "crashes", tiny_data, errors, most=UNREAD[name])
    counts["failed reads survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
    assert explored.states.total() == UNREAD[name]
