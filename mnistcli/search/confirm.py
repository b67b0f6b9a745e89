"""The winner of a search, trained on all training images from fresh seeds."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mnistcli.datasets.cached import find_dataset
from mnistcli.display.searches import draw_document
from mnistcli.display.text import overall_verdict
from mnistcli.engine.events import Emit
from mnistcli.errors import BatchError, ExitCode, FileError
from mnistcli.experiment.training.seeds import create_batch, read_batch, run_batch
from mnistcli.experiment.workers import Workers
from mnistcli.preset.budget import Budget
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import RunsDocument
from mnistcli.records.documents import Verdict
from mnistcli.records.files import write_atomically
from mnistcli.records.searches import (
    CONFIRMATION,
    FRONT,
    RESULT,
    WINNER,
    RungSummary,
    SearchDocument,
)
from mnistcli.records.store import BATCH_SUFFIX, read_document, write_document
from mnistcli.search.advice import advise
from mnistcli.search.history import History
from mnistcli.search.race import Race
from mnistcli.search.ranking import Estimate, find_front
from mnistcli.search.winner import add_reference, write_winner
from mnistcli.verdict.budget import check_budget
from mnistcli.verdict.stats import rank_correlation

MISSES = 3
"""Networks that are shown beside a winner that did not pass."""


def confirm(race: Race, workers: Workers, emit: Emit) -> SearchDocument:
    """Train the winner from fresh seeds, and write what the search has found.

    Held-out figures have only ranked the networks: test images are read here, once a run.

    Raises:
        PresetError: no trial has a result.
        FileError: a run folder or the document cannot be written.
    """
    winner, estimates = race.decide(), race.list_estimates()
    preset = race.make_winner(winner.network)
    runs = _train(race, preset, workers, emit)
    preset = add_reference(preset, runs)
    if not _is_finished(race.search.folder):
        write_winner(preset, race.search.folder)
    document = _describe(race, estimates, winner, preset, runs)
    write_atomically(race.search.folder / FRONT, draw_document(document).encode())
    write_document(race.search.folder / RESULT, document)
    return document


def _is_finished(folder: Path) -> bool:
    """Return whether the search has ended before, with all runs of its confirmation.

    Somebody may have edited the winner since.
    """
    if not (folder / WINNER).exists():
        return False
    with suppress(FileError):
        return not read_document(folder / RESULT, SearchDocument, "a search").failed
    return False


def _train(race: Race, preset: Preset, workers: Workers, emit: Emit) -> RunsDocument:
    """Train the winner, or what an interrupted confirmation has left of it."""
    search = race.search
    folder = search.folder / CONFIRMATION
    found = sorted(folder.glob(f"*{BATCH_SUFFIX}"))
    if found:
        code = preset.model.code
        batch = read_batch(found[0], allow_code=code is not None and code.is_trusted)
    else:
        options = search.confirmation_options
        batch = create_batch(preset, search.fresh_seeds, options, None)
    try:
        runs = run_batch(batch, workers, emit, search.options.data)
    except BatchError as error:
        _require_files(error.exit_code, str(error))
        raise
    for failed in runs.failed:
        _require_files(failed.exit_code, failed.reason)
    return runs


def _require_files(exit_code: int, reason: str) -> None:
    """End the search where a file or the memory is at fault: that says nothing of the network."""
    if exit_code == ExitCode.UNREADABLE:
        raise FileError(reason.partition("; resume with")[0])


def _describe(
    race: Race, estimates: list[Estimate], winner: Estimate, preset: Preset, runs: RunsDocument
) -> SearchDocument:
    search, history, plan = race.search, race.history, race.search.plan
    found = race.describe_network(winner)
    verdict: Verdict = "fail" if runs.failed else overall_verdict(runs.checks)
    others = [each for each in estimates if each != winner and not runs.passed]
    goal, exhausted = search.goal, race.exhausted
    return SearchDocument(
        budget=plan.budget,
        space=plan.name,
        sampler=plan.sampler,
        minimize=plan.minimize,
        seed=plan.seed,
        within_seconds=plan.within_seconds,
        max_trials=plan.trials,
        networks=history.count_tried(),
        rejected=sum(each.rejected for each in history.networks),
        trials=len(history.trials),
        failed_trials=sum(line.failed is not None for line in history.trials.values()),
        train_seconds=sum(line.train_seconds for line in history.trials.values()),
        oversized_train_seconds=_count_oversized(history, plan.budget),
        search_seconds=history.elapsed,
        rungs=tuple(_describe_rungs(history)),
        front=tuple(map(race.describe_network, find_front(estimates))),
        winner=found,
        preset=preset,
        confirmation=runs.summary,
        checks=runs.checks,
        verdict=verdict,
        passed=runs.passed,
        misses=tuple(map(race.describe_network, others[:MISSES])),
        failed=runs.failed,
        advice=advise(history, estimates, found, runs, goal, exhausted),
        device=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        dataset=find_dataset(search.options.data),
        path=str(search.folder),
    )


def _count_oversized(history: History, budget: Budget) -> float:
    """Count the seconds of trials of networks that exceed the budget: there should be none."""
    oversized = {
        each.number
        for each in history.networks
        if "fail" in {check.verdict for check in check_budget(budget, each.figures)}
    }
    trials = history.trials.items()
    return sum(line.train_seconds for trial, line in trials if trial.network in oversized)


def _describe_rungs(history: History) -> Iterator[RungSummary]:
    losses = [_list_losses(history, rung) for rung in range(len(history.rungs))]
    for rung, epochs in enumerate(history.rungs):
        after = losses[rung + 1] if rung + 1 < len(losses) else {}
        both = [each for each in losses[rung] if each in after]
        yield RungSummary(
            epochs=epochs,
            networks=len({trial.network for trial in history.trials if trial.rung == rung}),
            trials=sum(trial.rung == rung for trial in history.trials),
            rank_correlation=rank_correlation(
                [losses[rung][each] for each in both], [after[each] for each in both]
            ),
        )


def _list_losses(history: History, rung: int) -> dict[int, float]:
    """Return the loss of every network at a rung, from the seed that all networks have."""
    return {
        trial.network: line.loss
        for trial, line in history.trials.items()
        if (trial.rung, trial.turn) == (rung, 0) and line.loss is not None
    }
