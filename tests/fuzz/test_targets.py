"""Every reader that is fuzzed accepts its example, and answers anything else in one line."""

import random
from pathlib import Path

import pytest

from tests.conftest import Counts
from tests.faults.test_fuzz import mutate, time_limit
from tests.fuzz.targets import Target, make_targets

FOUND = Path(__file__).parent / "found"
"""Contents that a fuzzer has found, each of which was a fault: TARGET-ANYTHING."""


@pytest.fixture(scope="module")
def targets(
    tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Target]:
    return make_targets(tmp_path_factory.mktemp("targets"), tiny_data, tiny_preset)


def test_every_reader_accepts_its_example(targets: dict[str, Target]) -> None:
    assert len(targets) == 25, "as the guide on reliability says"
    refused = [name for name, target in targets.items() if not target.try_content(target.example)]
    assert refused == []


@pytest.mark.faults
def test_mutated_examples_are_answered_in_one_line(
    targets: dict[str, Target], counts: Counts
) -> None:
    for name, target in targets.items():
        rng = random.Random(name)
        for _ in range(30):
            with time_limit():
                target.try_content(mutate(target.example, rng))
            counts["mutated files read"] += 1


@pytest.mark.parametrize("path", sorted(FOUND.glob("*")), ids=lambda path: path.name)
def test_what_was_found_is_mended(path: Path, targets: dict[str, Target]) -> None:
    with time_limit():
        targets[path.name.rpartition("-")[0]].try_content(path.read_bytes())
