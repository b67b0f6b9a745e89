"""Run folder → record and trained network."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import torch
from torch import nn

from mnistcli.datasets.cached import name_data
from mnistcli.datasets.examples import Examples, fingerprint
from mnistcli.datasets.find import WANTED
from mnistcli.datasets.load import load_examples
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.network.contain import contain
from mnistcli.errors import FileError
from mnistcli.experiment.code import open_code
from mnistcli.experiment.data import split_off
from mnistcli.experiment.machine import Options
from mnistcli.experiment.network import build_plain
from mnistcli.preset.choices import Split
from mnistcli.records.checkpoint import hash_weights, load_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import WEIGHTS, read_record


@dataclass(frozen=True)
class LoadedRun:
    """A finished run with its trained network, on `device`."""

    folder: Path
    record: RunRecord
    model: nn.Module
    device: torch.device
    data: Path | None
    """Folder of the images to evaluate on: one that was named, or the run's own; None for the
    embedded MNIST."""
    data_named: bool

    @property
    def is_held_out(self) -> bool:
        """Whether its result is of training images that were held out."""
        return self.record.data.evaluated_on == "held-out"

    @property
    def data_name(self) -> str:
        """Name of the data set to evaluate on, or its folder."""
        return name_data(self.data)

    def load_images(self, split: Split) -> tuple[Examples, str]:
        """Read the images of a split, and return them with their fingerprint.

        Raises:
            FileError: they are unreadable, or no folder was named and the run's own have changed.
        """
        is_known = split == "train" or not self.is_held_out
        try:
            examples = load_examples(split, self.data)
        except FileError as error:
            is_own = is_known and not self.data_named
            raise (self.lacks(split, error) if is_own else error) from error
        found = fingerprint(examples)
        if is_known and found != self.record.data.sha256_of(split) and not self.data_named:
            raise self.lacks(split)
        return examples.to(self.device), found

    def load_evaluated(self) -> Examples:
        """Read the images that the recorded result is of: the test images, or the held-out ones.

        Raises:
            FileError: they are unreadable, or not the run's own.
        """
        examples, found = self.load_images("train" if self.is_held_out else "test")
        if self.is_held_out:
            _, examples = split_off(examples)
            found = fingerprint(examples)
        if found != self.record.data.test_sha256:
            raise self.lacks("test")
        return examples

    def lacks(self, split: Split, error: FileError | None = None) -> FileError:
        """Return the error that the run's own images of a split are not there."""
        tested = "evaluated" if self.is_held_out else "tested"
        verb = tested if split == "test" else "trained"
        reason, advice = (
            str(error or f'"{self.data_name}" has other images'),
            self.record.data.advise(),
        )
        for known in (WANTED, advice):
            reason = reason.removesuffix(f" {known}")
        return FileError(
            f'cannot read the images that "{self.folder}" was {verb} on: '
            f"{reason.removesuffix('.')}. {advice}"
        )

    def evaluate(self, examples: Examples) -> Evaluation:
        """Evaluate the network on examples.

        Raises:
            FileError: its outputs are not finite.
        """
        try:
            with contain(self.record.preset.model.code):
                return evaluate(self.model, examples, self.record.preset.normalization)
        except FloatingPointError as error:
            raise FileError(
                f'cannot evaluate "{self.folder}": {error}. '
                f"Train it again with: mnistcli train --from {quote(str(self.folder))}"
            ) from error


def load_run(folder: Path, options: Options) -> LoadedRun:
    """Read the record of a run, build its network and load the weights.

    Raises:
        FileError: record or weights are unreadable, or do not belong together.
        UsageError: the device is not available.
    """
    record = read_record(folder)
    preset = open_code(record.preset, folder, allow=options.allow_code)
    record = record.model_copy(update={"preset": preset})
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_plain(record.preset)
    with contain(preset.model.code):
        load_weights(model, folder)
        model = model.to(device)
    named = options.data is not None
    data = options.data or record.data.locate()
    return LoadedRun(folder, record, model, device, data, named)


def check_weights(folder: Path, record: RunRecord) -> None:
    """Refuse weights that are not the ones that the run saved.

    Raises:
        FileError: their SHA-256 is not the recorded one, or they are unreadable.
    """
    if hash_weights(folder) != record.weights_sha256:
        raise FileError(
            f'"{folder / WEIGHTS}" has changed since the training: its SHA-256 is not the recorded '
            f"one. Restore it, or train it again with: mnistcli train --from {quote(str(folder))}"
        )
