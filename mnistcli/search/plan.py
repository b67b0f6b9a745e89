"""A search that has a folder: created, or reopened to be resumed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mnistcli.datasets.cached import find_dataset
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.code import keep_code
from mnistcli.experiment.machine import Options
from mnistcli.preset.budget import Budget
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Space, make_space
from mnistcli.records.folders import create_run_folder, name_absolutely
from mnistcli.records.searches import (
    CONFIRMATION,
    PLAN,
    RESULT,
    Minimized,
    Sampler,
    SearchPlan,
)
from mnistcli.records.store import CODE, read_document, write_document
from mnistcli.search.history import Trial
from mnistcli.search.ranking import Goal

SEEDS_APART = 1_000
"""Seeds of one search, whose first trial seed is a multiple of this."""
FRESH_SEED = 500
"""First seed of the confirmation, counted from the first trial seed."""
CONFIRMATIONS = 5
"""Runs of the confirmation."""


@dataclass(frozen=True)
class Search:
    """A plan, its space, and where its trials train."""

    folder: Path
    plan: SearchPlan
    space: Space
    options: Options
    """Without "auto"; the seed is the first of the trials."""

    @property
    def goal(self) -> Goal:
        """Return what the search is after."""
        return Goal(self.plan.budget, self.plan.minimize)

    @property
    def fresh_seeds(self) -> tuple[int, ...]:
        """Return the seeds of the confirmation, which no trial has."""
        first = self.options.seed + FRESH_SEED
        return tuple(range(first, first + CONFIRMATIONS))

    @property
    def confirmation_options(self) -> Options:
        """Return the options of the confirmation's runs, in a folder of their own."""
        return replace(self.options, out=self.folder / CONFIRMATION)

    def make_options(self, trial: Trial) -> Options:
        """Return the options of a trial: all networks have the same seed and held-out images."""
        return replace(self.options, seed=self.options.seed + trial.turn, hold_out=True)


@dataclass(frozen=True)
class SearchRequest:
    """What to search, and how long."""

    space: Space
    budget: Budget
    seed: int
    sampler: Sampler = "evolution"
    minimize: Minimized | None = None
    trials: int | None = None
    within_seconds: float | None = None
    round_size: int = 8


def create_search(request: SearchRequest, options: Options) -> Search:
    """Create the folder of a search and write its plan, from which it can be resumed.

    Args:
        request: what to search.
        options: device, precision, threads, data and output folder, without "auto".

    Raises:
        PresetError: the space has what a race over epochs cannot have.
        FileError: the images cannot be read, or the folder cannot be written.
    """
    decisions, preset = request.space.resolve(lambda _, range_: range_.ends[0])
    if "train.epochs" in decisions:
        raise PresetError(
            "train.epochs: a search trains all networks for the same numbers of epochs. Give one, "
            "the most that are wanted."
        )
    require_plain_training(preset)
    own = options.data if find_dataset(options.data) != "mnist" else None
    plan = SearchPlan(
        name=request.space.name,
        space=request.space.content,
        budget=request.budget,
        sampler=request.sampler,
        minimize=request.minimize,
        seed=request.seed,
        trials=request.trials,
        within_seconds=request.within_seconds,
        round_size=request.round_size,
        device=options.device,
        precision=options.precision,
        threads=options.threads or 1,
        data_folder=name_absolutely(own) if own else None,
        train_sha256=_hash_images(options),
    )
    folder = create_run_folder(options.out, "search", request.seed, datetime.now(UTC))
    keep_code(preset, folder)
    write_document(folder / PLAN, plan)
    options = replace(options, seed=SEEDS_APART * request.seed)
    return Search(folder, plan, request.space, options)


def _hash_images(options: Options) -> str:
    """Return the fingerprint of the training images; the test images must be readable, too."""
    load_examples("test", options.data)
    return fingerprint(load_examples("train", options.data))


def resolve_first(space: Space) -> Preset:
    """Return the network of all first values."""
    return space.resolve(lambda _, range_: range_.ends[0])[1]


def require_plain_training(preset: Preset) -> None:
    """Refuse a space whose trainings cannot be made shorter: rungs are numbers of epochs.

    Raises:
        PresetError: it has a curriculum in phases, a training time, a pruning or an earlier run.
    """
    has_phases = preset.curriculum and preset.curriculum.kind != "hardest"
    found = {
        "curriculum": preset.curriculum if has_phases else None, "prune": preset.prune,
        "train.within_seconds": preset.train.within_seconds,
    }  # fmt: skip
    for name, settings in found.items():
        if settings is not None:
            raise PresetError(
                f"a search trains networks for different numbers of epochs, which {name} does not "
                "allow. Leave it out."
            )
    for name, earlier in {"teacher": preset.teacher, "train.init": preset.train.init}.items():
        if earlier is not None:
            raise PresetError(
                f"{name}: the earlier run may have learned from images that the trials of a search "
                "hold out. Leave it out, and add it to the winner."
            )


def reopen_search(folder: Path, data: Path | None = None, *, allow_code: bool = False) -> Search:
    """Return a search, finished or not, as `create_search` made it.

    Args:
        folder: the search's folder, or its plan.json.
        data: folder of the images, if it was moved.
        allow_code: whether the code that the folder keeps may run.

    Raises:
        FileError: it is no search, or unreadable, or the images are not the same.
        PresetError: its code is not trusted.
    """
    folder = folder.parent if folder.name == PLAN else folder
    plan = read_document(folder / PLAN, SearchPlan, "the plan of a search")
    space = make_space(plan.space, folder / CODE, plan.name, allow_code=allow_code)
    known = Path(plan.data_folder) if plan.data_folder else None
    options = Options(
        seed=SEEDS_APART * plan.seed,
        device=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        data=data or known,
        out=folder.parent,
    )
    is_finished = (folder / RESULT).exists()
    if not is_finished and _hash_images(options) != plan.train_sha256:
        raise FileError(
            f'"{folder}" was begun with other training images. Name their folder with --data.'
        )
    return Search(folder, plan, space, options)
