"""What a user says beside the preset."""

from dataclasses import dataclass
from pathlib import Path

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
