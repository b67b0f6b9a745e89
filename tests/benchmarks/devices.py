"""Run a trained network on many test images in a device's emulator, row by row.

    python -m tests.benchmarks.devices RUN TARGET [IMAGES]

The first IMAGES test images, 10,000 by default, must give the ten logits of the definition.
`export` checks 200, or 20 under simavr; all of them take minutes in QEMU, and hours in simavr.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mnistcli.experiment.convert_run import convert_run
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.export.c_header import render_row_header
from mnistcli.export.emulators import emulate, find_obstacle
from mnistcli.export.targets import TARGETS, TargetName, build

BATCH = 200


def main(path: str, name: TargetName, count: str = "10000") -> None:
    """Print how many images were equal, after every batch of them."""
    run = replace(load_run(Path(path), Options(device="cpu")), data_named=False)
    converted = convert_run(run)
    header = render_row_header(converted.model, converted.facts)
    images, logits = converted.images[: int(count)], converted.logits
    equal = 0
    with TemporaryDirectory() as folder:
        made = build(TARGETS[name], header, Path(folder), stream=True)
        if obstacle := find_obstacle(made):
            sys.exit(obstacle)
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            ran = emulate(made, batch)
            equal += int((ran.logits == logits[start : start + len(batch)]).all(axis=1).sum())
            print(f"{ran.tool}: {equal:,} of {start + len(batch):,} equal", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
