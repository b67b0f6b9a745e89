"""`summary` of a network in code takes at most a second more than to import PyTorch."""

import os
import statistics
import subprocess
import sys

import pytest

from tests.conftest import posix_only
from tests.networks.names import HERE

TURNS = 5


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("name", ["OneByOne", "OptimizedNet"])
def test_summary_takes_a_second_more_than_the_import_of_torch(name: str) -> None:
    """In seconds of the processor, which other processes change less; medians, in turns."""
    summary = [sys.executable, "-m", "mnistcli", "summary", HERE / f"documents.py:{name}"]
    commands = {"torch": [sys.executable, "-c", "import torch"], "summary": summary}
    times: dict[str, list[float]] = {each: [] for each in commands}
    for _ in range(TURNS):
        for each, command in commands.items():
            times[each].append(_measure(command))
    medians = {each: statistics.median(found) for each, found in times.items()}
    print(name, medians)
    # A slow processor, where the import alone takes more than 2 s, takes more for both.
    assert medians["summary"] <= medians["torch"] + max(1, medians["torch"] / 2)


def _measure(command: list) -> float:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
