"""Where to compute: what the user asks for, and the machine at hand."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from mnistcli import __version__
from mnistcli.engine import device as devices
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice


@dataclass(frozen=True)
class Options:
    """What a user asks for beside the preset."""

    seed: int = 0
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    data: Path | None = None
    out: Path = Path("runs")
    allow_code: bool = False
    """Whether the code of a network that somebody else made may run."""
    hold_out: bool = False
    """Whether held-out training images take the place of the test images, as in a study."""


@dataclass(frozen=True)
class Machine:
    """Device, precision and threads to compute with."""

    device: torch.device
    precision: torch.dtype
    threads: int

    @property
    def precision_name(self) -> str:
        """Return the precision's name, as in "bfloat16"."""
        return str(self.precision).removeprefix("torch.")


def choose_machine(options: Options) -> Machine:
    """Return what the options ask for, or the best available; set PyTorch's threads.

    Raises:
        UsageError: the device is not available.
    """
    device = devices.choose_device(options.device)
    return Machine(
        device=device,
        precision=devices.choose_precision(options.precision, device),
        threads=devices.choose_threads(options.threads),
    )


def list_versions() -> dict[str, str]:
    """Return everything that the last bits may depend on beside preset, precision and threads."""
    return {
        "mnistcli": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
        "scipy": version("scipy"),
        "platform": platform.platform(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
