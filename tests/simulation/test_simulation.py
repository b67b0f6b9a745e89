"""Searches from many seeds in a world where everything goes wrong: the outcome is the calm one's.

A seed that fails is replayed alone with
`python -m pytest -n 0 tests/simulation --simulate SEED`.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from distributed import KilledWorker

from mnistcli.experiment import pool
from mnistcli.experiment.machine import Options
from mnistcli.experiment.pool import Pool
from mnistcli.experiment.pool_cluster import Cluster
from mnistcli.experiment.workers import Workers
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.space import Space, load_space
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record
from mnistcli.search import confirm, race
from mnistcli.search.plan import Search, SearchRequest, create_search, reopen_search
from mnistcli.search.run import run_search
from tests.cli.test_search import SPACE
from tests.conftest import Counts, run_command
from tests.simulation.world import Answers, Client, Here, Killed, World, run_jobs

BUDGET = "parameters<400, accuracy>=99, epochs<9"
TRIALS = 14
SEEDS, ALL_SEEDS, CHUNK = 200, 10_000, 20


@dataclass(frozen=True)
class Stage:
    """What all simulations share."""

    space: Space
    template: RunRecord
    data: Path


@pytest.fixture(scope="module")
def stage(tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("simulation")
    (folder / "tiny.toml").write_text(SPACE.replace("epochs = 4", "epochs = 8"))
    command = ("train", tiny_preset, "--data", tiny_data, "--no-fail", "-q", "--json")
    answer = run_command(*command, "--out", folder / "runs")
    template = read_record(Path(json.loads(answer.out)["path"]))
    return Stage(load_space(folder / "tiny.toml", BUDGET), template, tiny_data)


@contextmanager
def living_in(world: World, workers: Workers) -> Iterator[None]:
    """Let a search run in a simulated world."""

    @contextmanager
    def open_pool(workers: Workers) -> Iterator[Pool]:
        if workers.cluster:
            cluster = Cluster(Client(world, KilledWorker))  # type: ignore[arg-type]
            cluster._ended = Answers(world)  # type: ignore[assignment]
            yield Pool(cluster)
        else:
            yield Pool(Here(world, workers.at_once))

    def run(self: Workers, jobs: list[Any], threads: int, emit: Any) -> Iterator[tuple[Any, Any]]:
        return run_jobs(world, jobs, emit)

    with (
        patch.object(race, "open_pool", open_pool),
        patch.object(race, "monotonic", world.clock),
        patch.object(race, "POLL_SECONDS", 10),
        patch.object(race, "sleep", lambda seconds: world.wait(seconds, lambda: False)),
        patch.object(confirm, "draw_document", lambda document: ""),
        patch.object(pool, "time", type("Time", (), {"monotonic": staticmethod(world.clock)})),
        patch.object(Workers, "run", run),
    ):
        yield


def simulate(seed: int, stage: Stage, out: Path, *, is_calm: bool) -> tuple[dict[str, Any], World]:
    """Search, and resume after every kill; return what came out."""
    world = World(seed, stage.template, random.Random(seed), is_calm)
    at_once = 1 if is_calm else world.chance.randint(1, 4)
    is_remote = not is_calm and world.chance.random() < 0.5
    workers = Workers(at_once, "tcp://simulated" if is_remote else None)
    request = SearchRequest(stage.space, parse_budget(BUDGET), seed % 1_000, trials=TRIALS)
    options = Options(
        seed=seed % 1_000, device="cpu", precision="float32", threads=1, data=stage.data, out=out
    )
    search = create_search(request, options)
    while True:
        world.begin()
        try:
            with living_in(world, workers):
                document = run_search(search, workers, lambda _: None, lambda _: None)
            break
        except Killed:
            search = reopen_search(search.folder)
    return read_outcome(search, document.winner.number, world), world


def read_outcome(search: Search, winner: int, world: World) -> dict[str, Any]:
    """Return what must not depend on chance, after checking that nothing is lost or doubled."""
    lines = [json.loads(each) for each in (search.folder / "search.jsonl").read_text().splitlines()]
    trials = {
        (line["network"], line["rung"], line["turn"]): (line["loss"], line["failed"] is None)
        for line in lines
        if line["event"] == "trial"
    }
    assert len(trials) == sum(line["event"] == "trial" for line in lines), "a trial counts twice"
    assert not [path for path, count in world.ended.items() if count > 1], "a trial ran again"
    document = json.loads((search.folder / "search.json").read_text())
    assert document["trials"] == len(trials) <= TRIALS
    return {
        "trials": trials,
        "winner": winner,
        "accuracies": document["preset"]["reference"]["test_accuracies"],
    }


def check(seeds: range, stage: Stage, out: Path, counts: Counts) -> None:
    happened = Counter[str]()
    for seed in seeds:
        calm, _ = simulate(seed, stage, out / f"calm{seed}", is_calm=True)
        found, world = simulate(seed, stage, out / f"wild{seed}", is_calm=False)
        assert found == calm, f"replay with --simulate {seed}"
        happened += world.counts
        counts["simulated searches that ended as undisturbed ones"] += 1
    counts.update({f"simulated {what}": count for what, count in happened.items()})


def list_chunks(first: int, end: int) -> list[range]:
    return [range(each, each + CHUNK) for each in range(first, end, CHUNK)]


@pytest.mark.faults
@pytest.mark.parametrize("seeds", list_chunks(0, SEEDS), ids=lambda seeds: str(seeds[0]))
def test_whatever_happens_the_search_ends_as_the_calm_one(
    seeds: range, stage: Stage, tmp_path: Path, counts: Counts
) -> None:
    check(seeds, stage, tmp_path, counts)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seeds", list_chunks(SEEDS, ALL_SEEDS), ids=lambda seeds: str(seeds[0]))
def test_whatever_happens_many_searches_end_as_the_calm_ones(
    seeds: range, stage: Stage, tmp_path: Path, counts: Counts
) -> None:
    check(seeds, stage, tmp_path, counts)


@pytest.mark.faults
def test_a_search_that_forgets_finished_trials_is_caught(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race, "RECORD", "forgotten.json")
    with pytest.raises(AssertionError, match="a trial ran again"):
        check(range(CHUNK), stage, tmp_path, Counter())


def test_one_seed(pytestconfig: pytest.Config, stage: Stage, tmp_path: Path) -> None:
    """Replay the seed of --simulate, by default the first."""
    seed = pytestconfig.getoption("--simulate")
    check(range(seed, seed + 1), stage, tmp_path, Counter())
