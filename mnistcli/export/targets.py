"""Devices that a header is compiled for, and what it needs of them."""

import re
import shutil
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.errors import UsageError
from mnistcli.export.elf import Sizes, read_sizes
from mnistcli.export.run_c import find_compiler
from mnistcli.export.tools import run_tool

TargetName = Literal["host", "cortex-m0", "cortex-m0-16k", "cortex-m4", "atmega328p"]
FIRMWARE = files("mnistcli.export") / "firmware"
COMMON = ("-Os", "-ffunction-sections", "-fdata-sections")
LINKED = ("-Wl,--gc-sections",)
CORTEX = ("-nostartfiles", "-T", "cortex.ld")
BARE = (*CORTEX, "-Wl,-e,main", "-Wl,--defsym=FLASH=256M", "-Wl,--defsym=RAM=256M")
"""For Cortex-M: a program without vectors and start-up code."""
ROOMY = ("-Wl,--defsym=__TEXT_REGION_LENGTH__=1M", "-Wl,--defsym=__DATA_REGION_LENGTH__=48K")
"""For AVR: a program that is too large for the device is linked, and measured, too."""


@dataclass(frozen=True)
class Target:
    """A device, and how to compile for it."""

    name: TargetName
    compiler: str
    packages: str
    """Debian's packages of the compiler and its library."""
    options: tuple[str, ...]
    linked: tuple[str, ...] = ()
    """Options of the linker."""
    emulator: str = ""
    """Program that runs what was compiled."""
    flash: int | None = None
    """Bytes of the device's flash; None for a processor that many devices have."""
    ram: int | None = None


ARM = "gcc-arm-none-eabi libnewlib-arm-none-eabi"
M0 = ("-mcpu=cortex-m0", "-mthumb", "-std=c99")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-std=c99")
TARGETS: dict[TargetName, Target] = {
    "host": Target("host", "cc", "gcc libc6-dev", ("-std=c99", "-fno-asynchronous-unwind-tables")),
    "cortex-m0": Target("cortex-m0", "arm-none-eabi-gcc", ARM, M0, BARE, "qemu-system-arm"),
    # Of the size of the smallest devices with this core, such as an STM32F030F4.
    "cortex-m0-16k": Target(
        "cortex-m0-16k", "arm-none-eabi-gcc", ARM, M0, BARE, "qemu-system-arm",
        flash=16_384, ram=4_096,
    ),
    "cortex-m4": Target("cortex-m4", "arm-none-eabi-gcc", ARM, M4, BARE, "qemu-system-arm"),
    # __flash is an extension of GNU C.
    "atmega328p": Target(
        "atmega328p", "avr-gcc", "gcc-avr avr-libc", ("-mmcu=atmega328p", "-std=gnu99"), ROOMY,
        "simavr", flash=32_768, ram=2_048,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Build:
    """A network that was compiled for a device."""

    target: Target
    compiler: tuple[str, ...]
    version: str
    """First line of the compiler's `--version`."""
    folder: Path
    """Where its object file is."""
    sizes: Sizes
    """What the network adds to a program."""
    stack: int | None
    """Bytes of the functions' frames, as the compiler says; None if it does not."""
    stream: bool = False
    """Whether the network takes the image row by row."""

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options that it was compiled with."""
        return (*self.target.options, *COMMON, *(("-DSTREAM",) if self.stream else ()))

    @property
    def caller(self) -> int:
        """Return the bytes of what the caller has: the image, or a row of it, and the logits."""
        return count_caller(stream=self.stream)

    @property
    def object_file(self) -> str:
        """Return the name of the compiled network."""
        return "network.o"

    def compile(self, source: str, *options: str) -> Path:
        """Compile and link a source file of the firmware with the network.

        Raises:
            UsageError: the compiler fails.
        """
        return _link(self, source, self.object_file, *options)


def count_caller(*, stream: bool) -> int:
    """Return the bytes of an image, or of a row of it, and of the logits."""
    return SIDE * (1 if stream else SIDE) + 4 * CLASSES


def build(target: Target, header: str, folder: Path, *, stream: bool = False) -> Build:
    """Compile a header for a device in a folder, and measure what it needs.

    Raises:
        UsageError: there is no compiler for it, or it fails.
    """
    compiler = _find_compiler(target)
    version = run_tool([*compiler, "--version"], compiler[0], _advise(target)).stdout
    first, *_ = version.decode(errors="replace").splitlines() or [""]
    made = Build(target, tuple(compiler), first.strip(), folder, Sizes(0, 0), None, stream)
    (folder / "network.h").write_text(header, encoding="utf-8")
    for name in ("cortex.ld", "image.h"):
        _copy(name, folder)
    _run(made, "-c", str(_copy("network.c", folder)), "-fstack-usage", "-o", made.object_file)
    sizes = [
        read_sizes(_link(made, "minimal.c", other, *target.linked))
        for other in (made.object_file, str(_copy("empty.c", folder)))
    ]
    return replace(made, sizes=sizes[0] - sizes[1], stack=_read_stack(folder / "network.su"))


def _find_compiler(target: Target) -> list[str]:
    if target.name == "host":
        compiler = find_compiler()
    else:
        compiler = [target.compiler] if shutil.which(target.compiler) else []
    if not compiler:
        raise UsageError(f"no compiler for {target.name}: {target.compiler}. {_advise(target)}")
    return compiler


def _advise(target: Target) -> str:
    return f"On Debian and Ubuntu: apt install {target.packages}."


def _copy(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes((FIRMWARE / name).read_bytes())
    return path


def _link(made: Build, source: str, network: str, *options: str) -> Path:
    program = f"{Path(source).stem}-{Path(network).stem}.elf"
    own = str(_copy(source, made.folder))
    _run(made, own, network, *LINKED, *options, "-o", program)
    return made.folder / program


def _run(made: Build, *arguments: str) -> None:
    command = [*made.compiler, *made.options, *arguments]
    name = f'the compiler "{" ".join(made.compiler)}" for {made.target.name}'
    run_tool(command, name, _advise(made.target), folder=made.folder)


def _read_stack(path: Path) -> int | None:
    """Return the bytes of the deepest chain of calls: network, logits, a stage, scaling.

    Of a function that the compiler has cloned, as in "mnist_scale.constprop", the name counts.
    """
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r":(\w+)(?:\.\S+)?\t(\d+)\t", text)

    def find_largest(*starts: str) -> int:
        return max((int(size) for name, size in found if name.startswith(starts)), default=0)

    stage = find_largest("mnist_stage_") + find_largest("mnist_scale", "mnist_unpack")
    rows = find_largest("mnist_begin", "mnist_last_row")
    entry = find_largest("network") + find_largest("mnist_logits") + find_largest("mnist_take_row")
    return entry + max(stage, rows)
