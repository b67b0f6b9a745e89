import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from mnistcli.engine.events import Emit, RunFinished
from mnistcli.errors import DivergedError, Divergence, FileError, UsageError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies import trial
from mnistcli.experiment.studies.coreset_methods import CoresetPlan
from mnistcli.experiment.studies.paired_study import Arm, check_data, check_machines, run_study
from mnistcli.experiment.studies.trial import TrialJob
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.records.studies import TrialMachine, TrialResult

HERE = TrialMachine("cpu", "float32", 1, "AVX2")
RESULT = TrialResult(0.5, 1.0, 600, 20, HERE, "alpha")
SPRINT = load_preset("sprint")


@dataclass(frozen=True)
class Rehearsal:
    """Workers that give every job a known result, the last job first."""

    machines: Sequence[TrialMachine] = (HERE,)

    def run(self, jobs: Sequence[TrialJob], threads: int, emit: Emit) -> Iterator[Any]:
        for number, job in reversed(list(enumerate(jobs))):
            seed = job.options.seed
            accuracy = 0.9 + seed / 1_000 + {"base": 0, "better": 0.01 + seed**2 / 1e5}[job.arm]
            machine = self.machines[number % len(self.machines)]
            yield (
                job,
                replace(
                    RESULT,
                    accuracy=accuracy,
                    machine=machine,
                    host=f"host {number}",
                    selection_seconds=job.selection_seconds,
                ),
            )


def prepare(arm: str, prepared: list[tuple[int, str]], seed: int) -> TrialJob:
    prepared.append((seed, arm))
    return TrialJob(arm, SPRINT, Options(seed=seed), CoresetPlan(None, 20), 2.0 + seed)


def make_arms(prepared: list[tuple[int, str]]) -> list[Arm]:
    return [
        Arm("base", partial(prepare, "base", prepared)),
        Arm("better", partial(prepare, "better", prepared), ("better", "base")),
    ]


def study(tmp_path: Path, workers: Any) -> tuple:
    prepared: list[tuple[int, str]] = []
    options = Options(out=tmp_path, threads=1)
    done = run_study("study", make_arms(prepared), (3, 1, 2), options, workers, lambda event: None)
    return done, prepared


def test_arms_are_paired_by_seed_in_the_order_of_the_seeds(tmp_path: Path) -> None:
    done, prepared = study(tmp_path, Rehearsal())
    # Seed by seed, so that what arms share is computed once a seed.
    assert prepared == [(seed, arm) for seed in (3, 1, 2) for arm in ("base", "better")]
    base, better = done.arms["base"], done.arms["better"]
    assert base.summary.accuracies == pytest.approx((0.903, 0.901, 0.902))
    assert base.summary.difference is None
    gains = [0.01 + seed**2 / 1e5 for seed in (3, 1, 2)]
    assert better.summary.difference.mean == pytest.approx(sum(gains) / 3)
    assert (better.selection_seconds, better.train_seconds) == (4.0, 1.0)
    assert (better.first.steps, better.first.images) == (20, 600)
    assert done.machine == HERE
    assert done.folder.parent == tmp_path
    assert done.folder.name.startswith("study-")


def test_trials_of_different_machines_are_no_pairs(tmp_path: Path) -> None:
    mixed = (HERE, replace(HERE, precision="bfloat16", cpu="AVX512"))
    with pytest.raises(UsageError) as caught:
        study(tmp_path, Rehearsal(mixed))
    message = str(caught.value)
    assert "host 5: cpu, bfloat16, 1 threads, AVX512; host 4: cpu, float32, 1 threads" in message
    assert "\n" not in message


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"threads": 2}, {"cpu": "DEFAULT"}])
def test_any_difference_between_machines_counts(change: dict) -> None:
    other = replace(RESULT, machine=replace(HERE, **change))
    assert check_machines([RESULT, RESULT]) == HERE
    with pytest.raises(UsageError, match="workers differ"):
        check_machines([RESULT, other])


def test_a_job_is_small_when_it_is_sent(tmp_path: Path) -> None:
    job = prepare("base", [], 0)
    assert len(pickle.dumps(job)) < 20_000
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize("error", [FloatingPointError("nan"), DivergedError(Divergence(2, 10, 1))])
def test_a_trial_that_diverges_is_a_result(
    tiny_data: Path,
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def train_and_diverge(state: Any, examples: Any, course: Any, recipe: Any, *rest: Any) -> None:
        original(state, examples, course, recipe, *rest)
        if recipe.seed == 3:
            raise error

    original = trial.train
    monkeypatch.setattr(trial, "train", train_and_diverge)
    preset = load_preset(str(tiny_preset))
    options = Options(precision="float32", threads=1, data=tiny_data, out=tmp_path)

    def make(seed: int) -> TrialJob:
        return TrialJob("wild", preset, replace(options, seed=seed), CoresetPlan(None, 20))

    done = run_study("study", [Arm("wild", make)], (3, 4), options, Workers(1), print)
    (found,) = done.diverged
    assert (found.arm, found.seed) == ("wild", 3)
    assert "not finite: epoch 2, step 10" in found.reason
    first, second = done.arms["wild"].summary.accuracies
    assert first is None
    assert second is not None
    assert done.arms["wild"].summary.mean_accuracy == second


@pytest.mark.parametrize("other", [("x", 3), ("y", 2)])
def test_all_trials_have_the_same_images(other: tuple[str, int]) -> None:
    one = replace(RESULT, data_sha256=("a", "b"))
    check_data({("x", 2): one, other: one})
    with pytest.raises(FileError, match=f"trials of seed {other[1]} had different images"):
        check_data({("x", 2): one, other: replace(one, data_sha256=("a", "d"))})


def test_real_trials_say_where_they_were_trained(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    preset = load_preset(str(tiny_preset))
    options = Options(precision="float32", threads=1, data=tiny_data, out=tmp_path)

    def make(name: str, steps: int, seed: int) -> TrialJob:
        return TrialJob(name, preset, replace(options, seed=seed), CoresetPlan(None, steps))

    arms = [
        Arm("short", partial(make, "short", 4)),
        Arm("long", partial(make, "long", 20), ("long", "short")),
    ]
    finished = []
    done = run_study("study", arms, (0, 1, 2), options, Workers(1), finished.append)
    assert [done.arms[name].first.steps for name in ("short", "long")] == [4, 20]
    assert done.arms["long"].summary.difference.mean > 0
    capability = torch.backends.cpu.get_cpu_capability()
    assert done.machine == TrialMachine("cpu", "float32", 1, capability)
    assert [event.name for event in finished if isinstance(event, RunFinished)] == [
        f"{arm}, seed {seed}" for seed in range(3) for arm in ("short", "long")
    ]
