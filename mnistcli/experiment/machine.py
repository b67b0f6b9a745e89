"""Where to compute: what the user asked for, and the machine that is at hand."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mnistcli.engine import device as devices


@dataclass(frozen=True)
class Options:
    """What a user says beside the preset."""

    seed: int = 0
    device: devices.DeviceChoice = "auto"
    precision: devices.PrecisionChoice = "auto"
    threads: int | None = None
    data: Path | None = None
    out: Path = Path("runs")


@dataclass(frozen=True)
class Machine:
    """Where and in what to compute."""

    device: torch.device
    precision: torch.dtype
    threads: int

    @property
    def precision_name(self) -> str:
        """As in "bfloat16"."""
        return str(self.precision).removeprefix("torch.")


def choose_machine(options: Options) -> Machine:
    """What the options ask for, or the best there is; sets PyTorch's threads.

    Raises:
        UsageError: there is no such device.
    """
    device = devices.choose_device(options.device)
    return Machine(
        device=device,
        precision=devices.choose_precision(options.precision, device),
        threads=devices.choose_threads(options.threads),
    )
