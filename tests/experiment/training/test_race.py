"""The race of thread counts: who wins, and that it leaves the training alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mnistcli.experiment.machine import Machine
from mnistcli.experiment.training.race import choose, count_steps, race_threads
from mnistcli.preset.loading import load_preset


@pytest.fixture(autouse=True)
def _restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Watch:
    """A clock that only steps move, by what they take with so many threads."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now = seconds, 0.0

    def perf_counter(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += self.seconds[torch.get_num_threads()]


@pytest.mark.parametrize(
    ("seconds", "tries", "winner"),
    [
        ({4: 0.02, 2: 0.005, 1: 0.002}, 3, 1),
        ({4: 0.02, 2: 0.005, 1: 0.02}, 3, 2),
        ({4: 0.02, 2: 0.02}, 3, 4),
        ({4: 0.005, 2: 0.02}, 3, 4),
        ({4: 0.02, 2: 0.005, 1: 0.002}, 2, 2),
    ],
)
def test_the_fastest_number_of_threads_wins(
    seconds: dict[int, float], tries: int, winner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(seconds)
    monkeypatch.setattr("mnistcli.experiment.training.race.time", watch)
    assert choose(watch.step, 4, tries) == winner


def test_a_short_training_has_no_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistcli.experiment.training.race.choose", lambda *_: pytest.fail("raced"))
    preset = load_preset("sprint", ["train.epochs=1"])
    assert count_steps(preset, 25_000) < 250
    machine = Machine(torch.device("cpu"), torch.float32, threads=2)
    assert race_threads(preset, None, 25_000, machine) is machine  # type: ignore[arg-type]


def test_steps_of_a_curriculum_of_fractions_are_counted() -> None:
    curriculum = 'curriculum={kind="hardest", fractions=[1.0, 0.5]}'
    preset = load_preset("sprint", [curriculum, "train.epochs=3", "train.batch_size=100"])
    assert count_steps(preset, 1_000) == 10 + 5 + 5


@pytest.mark.slow
def test_the_race_changes_neither_weights_nor_what_comes_after(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("MNISTCLI_THREADS")
    raced: list[int] = []

    def choose_one(step: Callable[[], None], threads: int, tries: int) -> int:
        step()
        raced.append(threads)
        return 1

    monkeypatch.setattr("mnistcli.experiment.training.race.choose", choose_one)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1 if raced else 2)
    common = ("train", tiny_preset, "--data", tiny_data, "--json", "--set", "train.batch_size=2",
              "--set", "train.epochs=2", "--device", "cpu")  # fmt: skip
    found = cli(*common, "--out", tmp_path / "raced")
    assert raced == [2]
    assert "2 threads are slower than 1 now" in found.err
    fixed = cli(*common, "--out", tmp_path / "fixed", "--threads", "1")
    assert raced == [2]
    assert "slower" not in fixed.err
    first, second = json.loads(found.out), json.loads(fixed.out)
    assert first["threads"] == second["threads"] == 1
    assert first["weights_sha256"] == second["weights_sha256"]
