"""New networks: the largest of several random ones, none twice, and all of a small space."""

from itertools import count as counting
from pathlib import Path

import pytest

from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Options
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import make_space
from mnistcli.records.searches import SearchPlan
from mnistcli.search.fit import Counted
from mnistcli.search.history import History
from mnistcli.search.plan import Search
from mnistcli.search.proposals import propose

CONTENT = {
    "name": "own",
    "title": "Linear networks",
    "model": {"layers": [
        {"kind": "flatten"}, {"kind": "linear", "out_features": [*range(2, 8)]},
        {"kind": "linear", "out_features": 10},
    ]},
    "train": {
        "epochs": 1, "batch_size": 100, "optimizer": {"kind": "adamw", "learning_rate": 0.01},
    },
}  # fmt: skip


def make_search(seed: int, sampler: str = "evolution") -> Search:
    budget = parse_budget("parameters<9000")
    plan = SearchPlan(
        name="own", space=CONTENT, budget=budget, sampler=sampler, minimize=None, seed=seed,
        trials=30, within_seconds=None, round_size=8, device="cpu", precision="float32", threads=1,
        data_folder=None, train_sha256="",
    )  # fmt: skip
    return Search(Path(), plan, make_space(CONTENT, Path(), "own"), Options(threads=1))


def count_features(preset: Preset) -> Counted:
    layer = preset.model.scaled_layers[1]
    return Counted({"parameters": layer.out_features, "macs": 1}, ())  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(20))
def test_a_small_space_is_proposed_wholly_and_no_network_twice(seed: int) -> None:
    history = History()
    for _ in range(6):
        history.add(propose(make_search(seed), history, 0, count_features))
    assert {line.figures["parameters"] for line in history.networks} == {*range(2, 8)}
    with pytest.raises(PresetError, match="all of them were tried"):
        propose(make_search(seed), history, 0, count_features)


def test_the_largest_of_several_random_networks_comes_first() -> None:
    def mean(sampler: str) -> float:
        drawn = [
            propose(make_search(seed, sampler), History(), 0, count_features) for seed in range(60)
        ]
        return sum(line.figures["parameters"] for line in drawn) / len(drawn)

    assert mean("evolution") - mean("random") > 0.5


def test_one_that_fits_is_enough() -> None:
    tried = counting()

    def count_first(preset: Preset) -> Counted:
        if next(tried):
            raise PresetError("it cannot be built")
        return count_features(preset)

    assert propose(make_search(0), History(), 0, count_first).number == 0
