"""A run folder → its record, and its network with its weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mnistcli.engine import device as devices
from mnistcli.engine.network.build import build_model
from mnistcli.experiment.machine import Options
from mnistcli.records.checkpoint import load_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record


@dataclass(frozen=True)
class Rebuilt:
    """A run's network, as it was when its training had ended."""

    folder: Path
    record: RunRecord
    model: nn.Sequential
    device: torch.device


def rebuild(folder: Path, options: Options) -> Rebuilt:
    """Reads a run's record, builds its network and loads its weights.

    Raises:
        FileError: record or weights are unreadable or do not fit each other.
        UsageError: there is no such device.
    """
    record = read_record(folder)
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_model(record.preset.model.layers, devices.make_generator(0, "weights"))
    load_weights(model, folder)
    return Rebuilt(folder, record, model.to(device), device)
