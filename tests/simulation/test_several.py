"""Batches, studies and gradings from many seeds in a world where everything goes wrong.

A seed that fails is replayed alone with
`python -m pytest -n 0 tests/simulation/test_several.py --simulate SEED`.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mnistcli.errors import BatchError, ExitCode, FileError
from mnistcli.experiment.grading import session
from mnistcli.experiment.grading.command import GradingRequest, Limit
from mnistcli.experiment.grading.job import GradedSubmission, GradeJob
from mnistcli.experiment.grading.session import plan_grading
from mnistcli.experiment.grading.submissions import Submission
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies.kept_trials import KeptTrials
from mnistcli.experiment.studies.preset_study import create_study, finish_study, reopen_study
from mnistcli.experiment.studies.trial import PresetTrial
from mnistcli.experiment.training import seeds as batches
from mnistcli.experiment.training.seeds import (
    RemoteRunJob,
    RunJob,
    RunOutcome,
    create_batch,
    read_batch,
    run_batch,
)
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord
from mnistcli.records.grades import Grade
from mnistcli.records.store import read_record, write_record
from mnistcli.records.studies import PlannedArm, TrialMachine, TrialResult
from tests.conftest import Counts, run_command
from tests.simulation.world import FILES, Killed, World

SEEDS, ALL_SEEDS, CHUNK = 200, 10_000, 50
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MACHINE = TrialMachine("cpu", "float32", 1, "AVX2")


@dataclass(frozen=True)
class Stage:
    """What all simulations share."""

    preset: Preset
    template: RunRecord
    data: Path


@pytest.fixture(scope="module")
def stage(tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("simulation")
    command = ("train", tiny_preset, "--data", tiny_data, "--no-fail", "-q", "--json")
    answer = run_command(*command, "--out", folder)
    template = read_record(Path(json.loads(answer.out)["path"]))
    return Stage(load_preset(str(tiny_preset)), template, tiny_data)


def chance_of(world: World, job: Any) -> random.Random:
    """What becomes of a job depends on its name alone, wherever and however often it runs."""
    return random.Random(f"{world.seed} {job.name}")


def finish_run(world: World, job: RunJob | RemoteRunJob) -> RunOutcome:
    """End a run as its process does: with its record in its folder, or with its files."""
    own, rng = job.job if isinstance(job, RemoteRunJob) else job, chance_of(world, job)
    if rng.random() < 0.2:
        diverged = ExitCode.DIVERGED
        reason = "the loss is not finite"
        seed, path = own.options.seed, str(own.folder)
        return RunOutcome(FailedRun(seed=seed, exit_code=diverged, reason=reason, path=path))
    correct = rng.randint(150, world.template.test.total)
    test = world.template.test.model_copy(
        update={"correct": correct, "accuracy": correct / world.template.test.total}
    )
    record = world.template.model_copy(
        update={"seed": own.options.seed, "test": test, "run_id": own.folder.name,
                "path": str(own.folder)}
    )  # fmt: skip
    if isinstance(job, RemoteRunJob):
        return RunOutcome(record, FILES)
    write_record(own.folder, record)
    world.ended[own.folder] += 1
    return RunOutcome(record)


def finish_trial(world: World, job: PresetTrial) -> TrialResult:
    """End a trial of a study."""
    rng = chance_of(world, job)
    diverged = "epoch 1, step 3" if rng.random() < 0.1 else None
    accuracy = None if diverged else rng.randint(9_000, 10_000) / 10_000
    return TrialResult(
        accuracy, 5.0, 600, 10, MACHINE, "here", 300, 900, evaluated_images=200,
        data_sha256=("a", "b"), diverged=diverged,
    )  # fmt: skip


def finish_grade(world: World, job: GradeJob) -> GradedSubmission:
    """End the grading of a submission; what the machine does wrong is no grade of it."""
    own, rng = job.submission, chance_of(world, job)
    known: dict[str, Any] = {"name": own.name, "submission": own.path, "sha256": own.sha256}
    if world.happens("faults of a worker", 0.1):
        return GradedSubmission(Grade(**known, verdict="error", reason="disk", is_final=False))
    if rng.random() < 0.3:
        return GradedSubmission(Grade(**known, verdict="fail", reason="too large", parameters=9))
    grade = Grade(**known, verdict="pass", test_accuracy=rng.random(), parameters=5)
    return GradedSubmission(grade, world.template, FILES)


FINISH: dict[type, Callable[..., Any]] = {
    RunJob: finish_run, RemoteRunJob: finish_run, PresetTrial: finish_trial, GradeJob: finish_grade,
}  # fmt: skip


def run_jobs(
    world: World, given: set[str], workers: Workers, jobs: list[Any], threads: int, emit: Any
) -> Iterator[tuple[Any, Any]]:
    """Run jobs as `Workers.run` does: they end in any order, and some are begun again.

    Args:
        world: in which they run.
        given: names of the jobs whose results were taken; none of them may run again.
        workers, jobs, threads, emit: as of `Workers.run`.
    """
    assert not (again := given & {job.name for job in jobs}), f"{again} ran again"
    answers: list[tuple[Any, Any]] = []

    def end(job: Any) -> None:
        if world.happens("deaths of a worker", 0.1):  # another worker takes over
            world.after(world.chance.uniform(1, 20), partial(end, job))
            return
        outcome = FINISH[type(job)](world, job)
        world.after(world.chance.uniform(0, 3), lambda: answers.append((job, outcome)))
        if world.happens("kills before a worker's answer", 0.05):
            world.kill_now()

    for job in jobs:
        stall = world.chance.uniform(0, 60) if world.happens("stalls of a worker", 0.1) else 0
        world.after(world.chance.uniform(1, 10) + stall, partial(end, job))
    for _ in jobs:
        world.wait(None, lambda: bool(answers))
        if world.happens("losses of the cluster", 0.03):
            raise FileError("the cluster was lost")
        job, outcome = answers.pop(0)
        yield job, outcome
        if is_kept(outcome):
            given.add(job.name)


def is_kept(outcome: Any) -> bool:
    """Return whether a result stays; what diverged or a machine's fault stopped is tried again."""
    if isinstance(outcome, GradedSubmission):
        return outcome.grade.is_final
    return not isinstance(outcome, RunOutcome) or isinstance(outcome.result, RunRecord)


@contextmanager
def living_in(world: World) -> Iterator[None]:
    """Let everything that runs several jobs run in a simulated world; its calendar jumps."""

    class Calendar:
        @staticmethod
        def now(zone: object) -> datetime:
            jump = (
                world.chance.uniform(-90_000, 90_000)
                if world.happens("jumps of the system clock", 0.2)
                else 0
            )
            return NOON + timedelta(seconds=world.now + jump)

    given = set[str]()

    def run(workers: Workers, *rest: Any) -> Iterator[tuple[Any, Any]]:
        return run_jobs(world, given, workers, *rest)

    def fix(workers: Workers, options: Options) -> Options:
        return replace(options, device="cpu", precision="float32", threads=1)

    with (
        patch.object(Workers, "run", run),
        patch.object(Workers, "fix_machine", fix),
        patch.object(batches, "follow_logs", lambda folders, emit: nullcontext(emit)),
        patch.object(session, "datetime", Calendar),
    ):
        yield


Job = Callable[[World, Stage, Path, Workers], Any]


def until_done(world: World, attempt: Callable[[bool], Any]) -> Any:
    """Begin, and resume after every kill and loss; return what came out."""
    is_first = True
    while True:
        world.begin()
        try:
            return attempt(is_first)
        except Killed:
            is_first = False
        except FileError as error:
            assert "cluster was lost" in str(error)
            assert "resume" in str(error), "a loss without advice"
            is_first = False


def simulate_batch(world: World, stage: Stage, out: Path, workers: Workers) -> Any:
    options = Options(threads=1, data=stage.data, out=out, device="cpu", precision="float32")
    batch = create_batch(stage.preset, range(6), options, None)

    def attempt(is_first: bool) -> Any:
        reopened = batch if is_first else read_batch(batch.path)
        try:
            document = run_batch(reopened, workers, lambda event: None)
        except BatchError as error:
            return str(error).replace(str(out), "")
        assert max(world.ended.values(), default=0) <= 1, "a run ran again"
        return (
            [(run.seed, run.test.accuracy) for run in document.runs],
            [(failed.seed, failed.exit_code) for failed in document.failed],
        )

    return until_done(world, attempt)


def simulate_study(world: World, stage: Stage, out: Path, workers: Workers) -> Any:
    options = Options(threads=1, data=stage.data, out=out, device="cpu", precision="float32")
    arms = [
        PlannedArm(name=name, title="", overrides=(), preset=stage.preset)
        for name in ("base", "one", "two")
    ]
    study = create_study(arms, range(4), "held-out", options)

    def attempt(is_first: bool) -> Any:
        document = finish_study(
            study if is_first else reopen_study(study.folder), workers, lambda event: None
        )
        return document.model_dump(exclude={"path"})

    return until_done(world, attempt)


def simulate_grading(world: World, stage: Stage, out: Path, workers: Workers) -> Any:
    submissions = [
        Submission(f"pupil{each}", f"pupil{each}.toml", "net.toml", {"net.toml": b"%d" % each})
        for each in range(6)
    ]
    request = GradingRequest("parameters<9", Limit("60s", 60), Limit("1GiB", 2**30))
    options = Options(seed=0, threads=1, data=stage.data, out=out / "graded")

    def attempt(is_first: bool) -> Any:
        remote = replace(workers, cluster="tcp://simulated")
        while True:
            document = plan_grading(submissions, request, options, remote).run(
                lambda progress: None
            )
            if all(grade.is_final for grade in document.grades):
                break
        for grade in document.grades:
            if grade.run:
                assert read_record(Path(grade.run)).run_id == Path(grade.run).name
        return document.model_copy(
            update={"grades": [each.model_copy(update={"run": bool(each.run)})
                               for each in document.grades]}
        )  # fmt: skip

    return until_done(world, attempt)


JOBS: dict[str, Job] = {
    "batches": simulate_batch,
    "studies": simulate_study,
    "gradings": simulate_grading,
}


def check(what: str, seeds: range, stage: Stage, out: Path, counts: Counts) -> None:
    happened = Counter[str]()
    for seed in seeds:
        found = []
        for is_calm in (True, False):
            world = World(seed, stage.template, random.Random(seed), is_calm)
            is_remote = not is_calm and world.chance.random() < 0.5
            workers = Workers(2, "tcp://simulated" if is_remote else None)
            with living_in(world):
                folder = out / f"{what}-{seed}-{is_calm}"
                found.append(JOBS[what](world, stage, folder, workers))
            happened += world.counts
        assert found[0] == found[1], f"replay with --simulate {seed}"
        counts[f"simulated {what} that ended as undisturbed ones"] += 1
    counts.update({f"simulated {each}": count for each, count in happened.items()})


def list_chunks(first: int, end: int) -> list[range]:
    return [range(each, each + CHUNK) for each in range(first, end, CHUNK)]


@pytest.mark.faults
@pytest.mark.parametrize("what", JOBS)
@pytest.mark.parametrize("seeds", list_chunks(0, SEEDS), ids=lambda seeds: str(seeds[0]))
def test_whatever_happens_they_end_as_the_calm_ones(
    what: str, seeds: range, stage: Stage, tmp_path: Path, counts: Counts
) -> None:
    check(what, seeds, stage, tmp_path, counts)


@pytest.mark.exhaustive
@pytest.mark.parametrize("what", JOBS)
@pytest.mark.parametrize("seeds", list_chunks(SEEDS, ALL_SEEDS), ids=lambda seeds: str(seeds[0]))
def test_whatever_happens_many_end_as_the_calm_ones(
    what: str, seeds: range, stage: Stage, tmp_path: Path, counts: Counts
) -> None:
    check(what, seeds, stage, tmp_path, counts)


@pytest.mark.faults
def test_a_batch_that_forgets_its_finished_runs_is_caught(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RECORD", "forgotten.json")
    with pytest.raises(AssertionError, match="ran again"):
        check("batches", range(CHUNK), stage, tmp_path, Counter())


@pytest.mark.faults
def test_a_study_that_keeps_no_trials_is_caught(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptTrials, "keep", lambda *trial: None)
    with pytest.raises(AssertionError, match="ran again"):
        check("studies", range(CHUNK), stage, tmp_path, Counter())


@pytest.mark.parametrize("what", JOBS)
def test_one_seed(what: str, pytestconfig: pytest.Config, stage: Stage, tmp_path: Path) -> None:
    """Replay the seed of --simulate, by default the first."""
    seed = pytestconfig.getoption("--simulate")
    check(what, range(seed, seed + 1), stage, tmp_path, Counter())
