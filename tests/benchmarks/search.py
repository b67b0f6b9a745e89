"""Compare `mnistcli search` with random search and Optuna's TPE, in equal time.

    python -m tests.benchmarks.search METHOD SEED SECONDS EPOCHS FILE [--data DATA] [--space SPACE]

METHOD is `mnistcli`, `random` or `tpe`; TPE needs `pip install optuna`. All have the same space,
budget, processes and SECONDS for everything, and all are confirmed in the same way: five fresh
seeds on all training images. Random search and TPE train every network that fits for EPOCHS epochs
from one seed, and take the one with the highest held-out accuracy, as is usual; networks that do
not fit are not trained, and TPE is told of them at once. A line of JSON is added to FILE.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import monotonic
from typing import Any

import numpy as np
import torch

from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.pool import open_pool
from mnistcli.experiment.training.seeds import RunJob, create_batch, run_batch
from mnistcli.experiment.workers import Workers
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.ranges import Choices, Decision, Range
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Decisions, Space, load_space
from mnistcli.records.documents import RunRecord
from mnistcli.search.networks import Networks
from mnistcli.search.plan import SEEDS_APART, Search, SearchRequest, create_search
from mnistcli.search.run import run_search
from mnistcli.search.variation import draw

TRIALS_FRACTION = 0.65
"""Fraction of the time for random search and TPE; five runs of six epochs need the rest."""
BUDGET = "parameters<8000, accuracy>=99.4, epochs<20"


class RandomSampler:
    """Draws networks uniformly."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._generator = space, np.random.default_rng(seed)

    def ask(self) -> tuple[Any, Decisions, Preset]:
        """Return a network, with a key to tell its accuracy by."""
        decisions, preset = draw(self._space, self._generator)
        return None, decisions, preset

    def tell(self, key: Any, accuracy: float | None) -> None:
        """Learn nothing."""


class TPESampler:
    """Optuna's tree-structured Parzen estimator, by ask and tell."""

    def __init__(self, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        self._space = space
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self) -> tuple[Any, Decisions, Preset]:
        """Return a network, with a key to tell its accuracy by."""
        while True:
            trial = self._study.ask()

            def choose(path: str, range_: Range, trial: Any = trial) -> Decision:
                if isinstance(range_, Choices):
                    return int(trial.suggest_categorical(path, range(len(range_.options))))
                low, high = range_.low, range_.high
                if isinstance(low, int) and isinstance(high, int):
                    return int(trial.suggest_int(path, low, high, log=range_.log))
                return float(trial.suggest_float(path, low, high, log=range_.log))

            try:
                return trial, *self._space.resolve(choose)
            except PresetError:
                self.tell(trial, None)

    def tell(self, key: Any, accuracy: float | None) -> None:
        """Learn an accuracy, or that the network does not fit or its training failed.

        That counts as an accuracy of 0: Optuna would forget a trial that failed.
        """
        self._study.tell(key, accuracy or 0.0)


Sampler = RandomSampler | TPESampler


def search_plainly(
    search: Search, sampler: Sampler, seconds: float, epochs: int, workers: Workers
) -> dict[str, Any]:
    """Train networks until the time is over; return the best one's decisions, and what was done."""
    networks, begun = Networks(search, epochs), monotonic()
    asked: dict[Path, tuple[Any, Decisions]] = {}
    found: list[tuple[float, Decisions]] = []
    rejected = 0
    options = replace(search.options, hold_out=True)
    with open_pool(workers) as pool:
        while (left := begun + seconds - monotonic()) > 0:
            while pool.free:
                key, decisions, preset = sampler.ask()
                if networks.count(preset).exceeded:
                    sampler.tell(key, None)
                    rejected += 1
                    continue
                folder = search.folder / "trials" / str(len(asked))
                folder.mkdir(parents=True)
                asked[folder] = key, decisions
                trained = networks.make_trial(decisions, len(asked), epochs)
                pool.submit(RunJob(trained, options, None, folder))
            for job, result in pool.wait(left):
                key, decisions = asked[job.folder]
                accuracy = result.test.accuracy if isinstance(result, RunRecord) else None
                sampler.tell(key, accuracy)
                if accuracy is not None:
                    found.append((accuracy, decisions))
    best, decisions = max(found, key=lambda each: each[0])
    preset = networks.make_trial(decisions, 0, epochs)
    batch = create_batch(preset, search.fresh_seeds, search.confirmation_options, None)
    confirmed = run_batch(batch, workers, lambda event: None, search.options.data)
    return {
        "networks": len(found), "rejected": rejected, "held_out": best, "epochs": epochs,
        "parameters": confirmed.runs[0].parameters,
        "accuracies": [run.test.accuracy for run in confirmed.runs],
    }  # fmt: skip


def search_ours(search: Search, workers: Workers) -> dict[str, Any]:
    """Run `mnistcli search`, and return what it did."""
    document = run_search(search, workers, lambda progress: None, lambda event: None)
    reference = document.preset.reference
    assert reference
    return {
        "networks": document.networks, "rejected": document.rejected,
        "held_out": document.winner.accuracy, "parameters": reference.parameters,
        "accuracies": list(reference.test_accuracies), "trials": document.trials,
        "epochs": document.winner.epochs, "search_seconds": document.search_seconds,
    }  # fmt: skip


def main() -> None:
    """Run the command line described above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=["mnistcli", "random", "tpe"])
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("epochs", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--space", type=Path)
    asked = parser.parse_args()
    space, workers = load_space(asked.space, BUDGET), Workers.here(2)
    with tempfile.TemporaryDirectory() as folder:
        options = workers.fix_machine(Options(data=asked.data, out=Path(folder), threads=1))
        request = SearchRequest(
            space, parse_budget(BUDGET), asked.seed, within_seconds=asked.seconds
        )
        search, begun = create_search(request, options), monotonic()
        if asked.method == "mnistcli":
            result = search_ours(search, workers)
        else:
            kinds: dict[str, Callable[[Space, int], Sampler]] = {
                "random": RandomSampler, "tpe": TPESampler,
            }  # fmt: skip
            sampler = kinds[asked.method](space, SEEDS_APART * asked.seed)
            seconds = asked.seconds * TRIALS_FRACTION
            result = search_plainly(search, sampler, seconds, asked.epochs, workers)
    row = {"method": asked.method, "seed": asked.seed, "seconds": asked.seconds,
           "total_seconds": monotonic() - begun, "cpu": torch.backends.cpu.get_cpu_capability(),
           "precision": options.precision, **result}  # fmt: skip
    with asked.file.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(f"{asked.method}, seed {asked.seed}: {100 * mean(row['accuracies']):.2f} %", flush=True)


if __name__ == "__main__":
    main()
