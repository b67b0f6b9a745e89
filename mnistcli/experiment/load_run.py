"""Run folder → record and trained network."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import torch
from torch import nn

from mnistcli.datasets.examples import Examples
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.network.build import build_model
from mnistcli.errors import FileError
from mnistcli.experiment.machine import Options
from mnistcli.records.checkpoint import load_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record


@dataclass(frozen=True)
class LoadedRun:
    """A finished run with its trained network, on `device`."""

    folder: Path
    record: RunRecord
    model: nn.Sequential
    device: torch.device

    def evaluate(self, examples: Examples) -> Evaluation:
        """Evaluate the network on examples.

        Raises:
            FileError: its outputs are not finite.
        """
        try:
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
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_model(record.preset.model.layers, devices.make_generator(0, "weights"))
    load_weights(model, folder)
    return LoadedRun(folder, record, model.to(device), device)
