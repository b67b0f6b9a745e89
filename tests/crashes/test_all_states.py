"""Every crash state, and runs of every kind of setting: for the nightly workflow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Counts
from tests.crashes.explore import explore
from tests.crashes.scenarios import Scenario, make_mixed

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


@pytest.mark.parametrize(
    "name", ["run", "batch", "study", "search", "export", "download", "grading"]
)
def test_whatever_a_crash_leaves_every_job_ends_the_same(
    name: str, make: Callable[[str], Scenario], tmp_path: Path, counts: Counts
) -> None:
    explored = explore(make(name), tmp_path / "crashes")
    counts["crash states survived"] += explored.states.total()
    assert not explored.violations, "\n".join(explored.violations[:3])
