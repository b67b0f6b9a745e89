"""Every crash state, every error, and runs of every kind of setting: for the nightly workflow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Counts
from tests.crashes.explore import explore, fail_at
from tests.crashes.reads import fail_reads
from tests.crashes.scenarios import Scenario, make_mixed
from tests.crashes.test_crashes import ERRORS, FAILED, SEEDED, UNREAD

pytestmark = pytest.mark.exhaustive
KINDS = 30
"""Within so many, each optimizer, schedule, augmentation, curriculum and the like comes up."""


@pytest.mark.parametrize("number", range(KINDS))
def test_whatever_a_crash_leaves_a_run_ends_with_the_same_bits(
    number: int, tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    explored = explore(make_mixed(number, tiny_data), tmp_path / "crashes", seed=number)
    counts["crash states survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])


@pytest.mark.parametrize("name", SEEDED)
def test_whatever_a_crash_leaves_every_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tmp_path: Path, counts: Counts
) -> None:
    explored = explore(make(name), tmp_path / "crashes")
    counts["crash states survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])


@pytest.mark.parametrize("name", FAILED)
def test_whichever_operation_fails_every_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tmp_path: Path, counts: Counts
) -> None:
    explored = fail_at(make(name), tmp_path / "crashes", ERRORS)
    counts["failed operations survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])


@pytest.mark.parametrize("name", UNREAD)
def test_whichever_file_cannot_be_read_every_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tiny_data: Path, tmp_path: Path, counts: Counts
) -> None:
    explored = fail_reads(make(name), tmp_path / "crashes", tiny_data, ERRORS)
    counts["failed reads survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
