"""Run a compiled network on images in an emulator: QEMU for Cortex-M, simavr for AVR."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.errors import UsageError
from mnistcli.export.elf import read_sizes
from mnistcli.export.targets import CORTEX, Build
from mnistcli.export.tools import run_tool

CALIBRATION = 10_000_000
"""Instructions of the first answer of `cortex.c`."""
STACK = 8_192
"""Bytes for the stack under QEMU, if the board has them."""
QEMU = (
    "-display none -nic none -serial none -monitor none -nodefaults -no-user-config "
    "-semihosting-config enable=on,target=native -icount shift=0"
).split()
"""Every instruction takes one nanosecond of the board's time, which its timer counts."""
MARKER = b"mnistcli: images go here"
MISFIT = "it does not fit"
SPARE = {"simavr": 96, "qemu-system-arm": 256}
"""Bytes of stack for the compiler's library, and of all RAM for the program around the network."""
HARNESS = {"simavr": 960, "qemu-system-arm": 832}
"""Bytes of flash for start-up code and the program around the network."""
LINE = re.compile(rb"([0-9a-f]{112})\b")


class Board(NamedTuple):
    """A machine of QEMU, with its memories in bytes."""

    name: str
    flash: int
    ram: int


SMALL = Board("microbit", 1 << 18, 1 << 14)
"""The only one with a Cortex-M0."""
BOARDS = {
    # A Cortex-M3 runs all instructions of a Cortex-M0.
    "cortex-m0": (SMALL, Board("mps2-an385", 1 << 22, 1 << 22)),
    # The program and its variables are linked for the memories of the small device.
    "cortex-m0-16k": (SMALL._replace(flash=1 << 14, ram=1 << 12),),
    "cortex-m4": (Board("mps2-an386", 1 << 22, 1 << 22),),
}


@dataclass(frozen=True)
class Emulation:
    """What a network did in an emulator."""

    tool: str
    """Emulator, version and board."""
    logits: NDArray[np.int32]
    """Logits, (n, 10)."""
    stack: int
    """Bytes of the stack that the network changed, at most."""
    program_flash: int | None = None
    """Bytes of the whole program, under QEMU, where images are no part of it."""
    instructions: float | None = None
    """Mean per image, under QEMU."""
    cycles: float | None = None
    """Mean per image, under simavr."""


def find_obstacle(made: Build) -> str:
    """Return why a network cannot run in an emulator; empty if it can."""
    target = made.target
    if not target.emulator:
        return "there is no emulator for it"
    if not shutil.which(target.emulator):
        return f"{target.emulator} is not installed"
    if not fits(made, made.stack or 0):
        return MISFIT
    if target.name in BOARDS and target.flash is None:
        return "" if _choose_board(made) else "it is too large for QEMU's boards"
    if not fits(made, _reserve(made)):
        return "there is too little RAM for the program around it"
    has_room = _choose_board(made) if target.name in BOARDS else _count_images(made)
    return "" if has_room else "there is too little flash for the program around it"


def fits(made: Build, stack: int = 0) -> bool:
    """Return whether network, image and logits fit into the memories of the device."""
    target, sizes = made.target, made.sizes
    fits_ram = target.ram is None or sizes.ram + stack + made.caller <= target.ram
    return fits_ram and (target.flash is None or sizes.flash <= target.flash)


def _reserve(made: Build) -> int:
    """Return the bytes of RAM to set aside for stacks and for the program around the network."""
    return (made.stack or 0) + SPARE[made.target.emulator]


def emulate(made: Build, images: NDArray[np.uint8]) -> Emulation:
    """Run a network that nothing keeps from it on images (n, 28, 28).

    Raises:
        UsageError: the emulator fails.
    """
    run = _run_qemu if made.target.name in BOARDS else _run_simavr
    return run(made, images)


def _choose_board(made: Build) -> Board | None:
    sizes = made.sizes
    for board in BOARDS[made.target.name]:
        ram = sizes.ram + made.caller + _reserve(made)
        if sizes.flash + HARNESS[made.target.emulator] <= board.flash and ram <= board.ram:
            return board
    return None


def _run_qemu(made: Build, images: NDArray[np.uint8]) -> Emulation:
    board = _choose_board(made)
    assert board is not None
    folder, emulator = made.folder, made.target.emulator
    (folder / "images").write_bytes(images.tobytes())
    ram = min(board.ram, (made.sizes.ram + made.caller + STACK + 7) & ~7)
    memories = (f"-Wl,--defsym=FLASH={board.flash}", f"-Wl,--defsym=RAM={ram}")
    program = made.compile("cortex.c", *CORTEX, *memories)
    _run(made, "-machine", board.name, *QEMU, "-kernel", program.name)
    answers = np.fromfile(folder / "answers", dtype="<i4")
    if answers.size != (len(images) + 1) * 12:
        raise UsageError(f"{emulator} ended early. {ADVICE}")
    first, *rest = answers.reshape(-1, 12)
    table = np.array(rest)
    is_counted = first[10] > 0 and (table[:, 10] >= 0).all()
    return Emulation(
        tool=f"{_read_version(made)}, {board.name}",
        logits=table[:, :CLASSES],
        stack=int(table[:, 11].max()),
        program_flash=read_sizes(program).flash,
        instructions=CALIBRATION * float(table[:, 10].mean() / first[10]) if is_counted else None,
    )


def _run_simavr(made: Build, images: NDArray[np.uint8]) -> Emulation:
    """Run a device once for as many images as there is flash for."""
    count = min(_count_images(made), len(images))
    program = made.compile("avr.c", f"-DIMAGES={count}", *made.target.linked)
    if read_sizes(program).flash > (made.target.flash or 0):
        raise UsageError(f"{program.name} is too large for {made.target.name}. {ADVICE}")
    numbers = list[list[int]]()
    for start in range(0, len(images), count):
        batch = images[start : start + count]
        numbers += _run_batch(made, program, batch)[: len(batch)]
    table = np.array(numbers, dtype=np.uint32)
    low, high, overflows, stack = table[:, CLASSES:].astype(np.int64).T
    # The first count is exact but for multiples of 65,536, the second one tells these.
    parts = SIDE if made.stream else 1
    cycles = low + ((1_024 * high + 512 * parts - low) / 65_536).round() * 65_536
    return Emulation(
        tool=f"simavr, {made.target.name}",
        logits=table[:, :CLASSES].astype(np.int32),
        stack=int(stack.max()),
        cycles=None if overflows.any() else float(cycles.mean()),
    )


def _count_images(made: Build) -> int:
    return (
        max(0, (made.target.flash or 0) - made.sizes.flash - HARNESS[made.target.emulator]) // 784
    )


def _run_batch(made: Build, program: Path, images: NDArray[np.uint8]) -> list[list[int]]:
    content = program.read_bytes()
    place = content.index(MARKER)
    filled = content[:place] + images.tobytes() + content[place + images.nbytes :]
    (made.folder / "filled.elf").write_bytes(filled)
    output = _run(made, "-m", made.target.name, "-f", "16000000", "filled.elf")
    found = list(_read_lines(output))
    if len(found) < len(images):
        raise UsageError(f"{made.target.emulator} ended early. {ADVICE}")
    return found


def _read_lines(output: bytes) -> Iterator[list[int]]:
    for line in LINE.findall(output):
        yield [int(line[place : place + 8], 16) for place in range(0, len(line), 8)]


ADVICE = "Use another version of it, or remove it: the check is left out then."


def _run(made: Build, *arguments: str) -> bytes:
    emulator = made.target.emulator
    done = run_tool([emulator, *arguments], emulator, ADVICE, folder=made.folder)
    return done.stdout + done.stderr  # simavr prints what the serial port gets on stderr


def _read_version(made: Build) -> str:
    text = _run(made, "--version").decode(errors="replace")
    found = re.search(r"version ([\d.]+)", text)
    return f"QEMU {found[1]}" if found else "QEMU"
