"""Run folder → record and trained network."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import torch
from torch import nn

from mnistcli.datasets.examples import Examples, fingerprint
from mnistcli.datasets.find import WANTED
from mnistcli.datasets.load import load_examples
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.network.contain import contain
from mnistcli.errors import FileError
from mnistcli.experiment.code import open_code
from mnistcli.experiment.data import EMBEDDED_NAME
from mnistcli.experiment.machine import Options
from mnistcli.experiment.network import build_plain
from mnistcli.preset.choices import Split
from mnistcli.records.checkpoint import load_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record


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
    def data_name(self) -> str:
        """Name of the data set to evaluate on, or its folder."""
        return str(self.data) if self.data else EMBEDDED_NAME

    def load_images(self, split: Split) -> tuple[Examples, str]:
        """Read the images of a split, and return them with their fingerprint.

        Raises:
            FileError: they are unreadable, or no folder was named and the run's own have changed.
        """
        try:
            examples = load_examples(split, self.data)
        except FileError as error:
            reason = str(error).removesuffix(f" {WANTED}")
            raise error if self.data_named else self.lacks(split, reason) from error
        found = fingerprint(examples)
        if found != self.record.data.sha256_of(split) and not self.data_named:
            raise self.lacks(split)
        return examples.to(self.device), found

    def lacks(self, split: Split, reason: str = "") -> FileError:
        """Return the error that the run's own images of a split are not there."""
        verb = "tested" if split == "test" else "trained"
        reason = reason or f'"{self.data_name}" has other images'
        return FileError(
            f'cannot read the images that "{self.folder}" was {verb} on: '
            f"{reason.removesuffix('.')}. Name their folder with --data."
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
    own = Path(record.data.folder) if record.data.folder else None
    named = options.data is not None
    return LoadedRun(folder, record, model, device, options.data or own, named)
