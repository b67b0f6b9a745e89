"""A training about to start: everything that can be wrong beforehand is checked here."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mnistcli.engine.prune import list_weights
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.code import keep_code, open_code
from mnistcli.experiment.coresets.select import SelectedCoreset, read_coreset
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.earlier import (
    allow_teachers,
    check_held_out,
    describe_initial,
    describe_teachers,
    locate_runs,
)
from mnistcli.experiment.machine import Machine, Options, choose_machine, list_versions
from mnistcli.experiment.network import (
    Network,
    build_network,
    check_batches,
    list_sizes,
)
from mnistcli.experiment.rehearsal import rehearse_batches
from mnistcli.experiment.sizes import count_sizes
from mnistcli.experiment.training.race import race_threads
from mnistcli.preset.code.code import Code
from mnistcli.preset.schema import Preset
from mnistcli.records.arrays import INDICES
from mnistcli.records.documents import RunRecord
from mnistcli.records.earlier import Repetition
from mnistcli.records.folders import create_run_folder, name_absolutely
from mnistcli.records.sizes import IntegerSizes
from mnistcli.records.states import RunStart
from mnistcli.records.store import START, read_document, write_document
from mnistcli.selection.coreset.groups import divide
from mnistcli.verdict.budget import check_budget


@dataclass(frozen=True)
class TrainingSetup:
    """A checked request: network, data, machine and run folder of one training."""

    start: RunStart
    machine: Machine
    network: Network
    """The network that the training ends with."""
    unpruned: Network
    """The network that it begins with: the same one if nothing is pruned."""
    data: Data
    given: SelectedCoreset | None
    """A coreset that was read from a file; one that the preset asks for is selected later."""
    folder: Path
    warnings: tuple[str, ...] = ()
    """Findings that do not keep it from starting."""

    @property
    def preset(self) -> Preset:
        """Return what is trained, and how."""
        return self.start.preset

    @property
    def seed(self) -> int:
        """Return the random seed."""
        return self.start.seed

    @property
    def images(self) -> int:
        """Return the number of images that the network will learn from."""
        if self.given:
            return len(self.given.indices)
        return self.preset.coreset.size if self.preset.coreset else len(self.data.train)

    @cached_property
    def sizes(self) -> IntegerSizes | None:
        """Return the bytes that the network needs in integers, if the budget limits them."""
        return count_sizes(self.preset)

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Return the names of the figures of the network that exceed the budget."""
        figures = {"parameters": self.network.parameters, "macs": self.network.macs}
        checks = check_budget(self.preset.budget, figures, self.sizes)
        return tuple(check.name for check in checks if check.verdict == "fail")


def prepare(
    preset: Preset,
    options: Options,
    coreset: Path | None = None,
    *,
    folder: Path | None = None,
    earlier: RunRecord | None = None,
) -> TrainingSetup:
    """Build the network, read the data and make the run folder.

    Args:
        preset: what to train, and how.
        options: seed, device, precision, threads, data and output folder.
        coreset: file of indices to learn from, instead of what the preset says.
        folder: the run folder, if it exists already.
        earlier: the run that this one repeats.

    Raises:
        PresetError: the network cannot be built, or does not fit its optimizer, data or batches.
        UsageError: the device is not available.
        FileError: data or indices are unreadable, or the run folder cannot be made.
    """
    setup = check(preset, options, coreset, earlier)
    if folder is None:
        now = datetime.fromisoformat(setup.start.started)
        folder = create_run_folder(options.out, preset.name, options.seed, now)
    keep_code(preset, folder)
    write_document(folder / START, setup.start)
    return replace(setup, folder=folder)


def check(
    preset: Preset,
    options: Options,
    coreset: Path | None = None,
    earlier: RunRecord | None = None,
) -> TrainingSetup:
    """Return the setup of a training that has no run folder yet; arguments as of `prepare`."""
    preset = locate_runs(preset)
    allow_teachers(preset, allow=options.allow_code)
    machine = choose_machine(options)
    network, unpruned = _build_networks(preset, options.seed, machine)
    data = load_data(preset, options, machine)
    given = read_coreset(coreset, data.train) if coreset else None
    if (settings := preset.coreset) and not given:
        divide(data.train.labels.cpu().numpy(), settings.size, settings.balance)
    start = _make_start(preset, options.seed, machine, data, coreset)
    if options.hold_out:
        check_held_out([*start.teachers, *([start.init] if start.init else [])], data.source)
    if earlier:
        repeats = _plan_repetition(earlier, machine, data)
        start = start.model_copy(update={"repeats": repeats})
    setup = TrainingSetup(start, machine, network, unpruned, data, given, Path())
    check_batches(preset, network.layers, list_sizes(preset, setup.images))
    warnings = rehearse_batches(preset, network, [setup.images], machine)
    setup = replace(setup, warnings=network.warnings + warnings)
    return setup if options.threads else _choose_threads(setup)


def _build_networks(preset: Preset, seed: int, machine: Machine) -> tuple[Network, Network]:
    """Return the network that a training ends with, and the one that it begins with."""
    first, *others = preset.stages
    unpruned = build_network(first, seed, machine)
    if others and not list_weights(unpruned.model):
        raise PresetError(
            "prune: the network has no convolution and no linear layer. Set prune=none."
        )
    return build_network(others[0], seed, machine) if others else unpruned, unpruned


def _choose_threads(setup: TrainingSetup) -> TrainingSetup:
    before = setup.machine.threads
    machine = race_threads(setup.preset, setup.data.train, setup.images, setup.machine)
    if machine.threads == before:
        return setup
    start = setup.start.model_copy(update={"threads": machine.threads})
    found = (
        f"{before} threads are slower than {machine.threads} now: another process may be busy. "
        f"Training with {machine.threads}; --threads fixes the number."
    )
    return replace(setup, machine=machine, start=start, warnings=(*setup.warnings, found))


def reopen(
    folder: Path,
    data: Path | None = None,
    *,
    code: Code | None = None,
    allow_code: bool = False,
) -> TrainingSetup:
    """Return the setup of an unfinished run, as `prepare` made it.

    Args:
        folder: the run folder.
        data: folder of the images, if it was moved.
        code: the network's code, if it was read before.
        allow_code: whether the code that the run folder keeps may run.

    Raises:
        FileError: the run was not started or is unreadable, or the images are not the same.
        UsageError: the device that it was trained on is not available.
    """
    start = read_document(folder / START, RunStart, "the start of a run")
    preset = start.preset.with_code(code) if code else start.preset
    preset = open_code(preset, folder, allow=allow_code)
    start = start.model_copy(update={"preset": preset})
    allow_teachers(preset, allow=allow_code)
    known, held_out = start.data.locate(), start.data.evaluated_on == "held-out"
    where = (start.device, start.precision, start.threads)
    options = Options(start.seed, *where, data or known, hold_out=held_out)
    machine = choose_machine(options)
    network, unpruned = _build_networks(preset, start.seed, machine)
    images = load_data(start.preset, options, machine)
    if not images.source.has_images_of(start.data):
        found = f'"{data}" has' if data else "it was started with"
        advice = start.data.advise() if known else "Leave out --data."
        raise FileError(f'cannot resume "{folder}": {found} other images. {advice}')
    if changed := _find_changed(start):
        raise FileError(f'cannot resume "{folder}": {changed} changed. Train it anew.')
    given = _read_given(start, folder, images)
    setup = TrainingSetup(start, machine, network, unpruned, images, given, folder)
    warnings = rehearse_batches(preset, network, [setup.images], machine)
    return replace(setup, warnings=network.warnings + warnings)


def _read_given(start: RunStart, folder: Path, data: Data) -> SelectedCoreset | None:
    """Read the coreset that was given as a file; the run has a copy once its training began."""
    if start.coreset_file is None:
        return None
    kept = folder / INDICES
    return read_coreset(kept if kept.exists() else Path(start.coreset_file), data.train)


def _find_changed(start: RunStart) -> str:
    """Return which of the runs that this one builds upon changed since it was started."""
    if describe_teachers(start.preset) != start.teachers:
        return "its teachers have"
    return "the run it starts from has" if describe_initial(start.preset) != start.init else ""


def _make_start(
    preset: Preset, seed: int, machine: Machine, data: Data, coreset: Path | None
) -> RunStart:
    return RunStart(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        preset=preset,
        seed=seed,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        data=data.source,
        coreset_file=name_absolutely(coreset) if coreset else None,
        repeats=None,
        teachers=describe_teachers(preset),
        init=describe_initial(preset),
    )


def _plan_repetition(earlier: RunRecord, machine: Machine, data: Data) -> Repetition:
    """Return which run is repeated, and what differs beside preset and seed."""
    before = earlier.versions | {
        "device": earlier.device,
        "precision": earlier.precision,
        "threads": str(earlier.threads),
        "training images": earlier.data.train_sha256[:12],
    }
    now = list_versions() | {
        "device": machine.device.type,
        "precision": machine.precision_name,
        "threads": str(machine.threads),
        "training images": data.source.train_sha256[:12],
    }
    differences = tuple(
        f"{name} {before[name]} → {value}"
        for name, value in now.items()
        if before.get(name, value) != value  # older records have fewer of them
    )
    if not earlier.is_bit_reproducible:
        differences += ("the number of steps in the training time depends on the speed",)
    return Repetition(
        run_id=earlier.run_id, weights_sha256=earlier.weights_sha256, differences=differences
    )
