"""A training about to start: everything that can be wrong beforehand is checked here."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mnistcli.errors import FileError
from mnistcli.experiment.code import keep_code, open_code
from mnistcli.experiment.coresets.select import SelectedCoreset, read_coreset
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.machine import Machine, Options, choose_machine, list_versions
from mnistcli.experiment.network import (
    Network,
    build_network,
    check_batches,
    rehearse_batches,
)
from mnistcli.experiment.training.race import race_threads
from mnistcli.preset.code.code import Code
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import Repetition, RunRecord
from mnistcli.records.folders import create_run_folder, name_absolutely
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

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Return the names of the figures of the network that exceed the budget."""
        figures = {"parameters": self.network.parameters, "macs": self.network.macs}
        checks = check_budget(self.preset.budget, figures)
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
    machine = choose_machine(options)
    network = build_network(preset, options.seed, machine)
    data = load_data(preset, options, machine)
    given = read_coreset(coreset, data.train) if coreset else None
    if (settings := preset.coreset) and not given:
        divide(data.train.labels.cpu().numpy(), settings.size, settings.balance)
    start = _make_start(preset, options.seed, machine, data, coreset)
    if earlier:
        repeats = _plan_repetition(earlier, machine, data)
        start = start.model_copy(update={"repeats": repeats})
    setup = TrainingSetup(start, machine, network, data, given, Path())
    check_batches(preset, network.layers, [setup.images])
    warnings = rehearse_batches(preset, network, [setup.images], machine)
    setup = replace(setup, warnings=network.warnings + warnings)
    return setup if options.threads else _choose_threads(setup)


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
    known = Path(start.data.folder) if start.data.folder else None
    options = Options(start.seed, start.device, start.precision, start.threads, data or known)
    machine = choose_machine(options)
    network = build_network(start.preset, start.seed, machine)
    images = load_data(start.preset, options, machine)
    if not images.source.has_images_of(start.data):
        found = f'"{data}" has' if data else "it was started with"
        advice = "Name their folder with --data." if known else "Leave out --data."
        raise FileError(f'cannot resume "{folder}": {found} other images. {advice}')
    given = read_coreset(Path(start.coreset_file), images.train) if start.coreset_file else None
    setup = TrainingSetup(start, machine, network, images, given, folder)
    warnings = rehearse_batches(preset, network, [setup.images], machine)
    return replace(setup, warnings=network.warnings + warnings)


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
        f"{name} {before.get(name, 'unknown')} → {value}"
        for name, value in now.items()
        if before.get(name) != value
    )
    return Repetition(
        run_id=earlier.run_id, weights_sha256=earlier.weights_sha256, differences=differences
    )
