"""Exported header → what a device needs for it, and whether it computes the same there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mnistcli.experiment.convert_run import Converted
from mnistcli.export.c_header import count_memory
from mnistcli.export.elf import Sizes
from mnistcli.export.emulators import MISFIT, Emulation, emulate, find_obstacle
from mnistcli.export.memory import count_constants
from mnistcli.export.targets import TARGETS, Build, Target, TargetName, build, count_caller
from mnistcli.preset.budget import Budget
from mnistcli.records.documents import Check
from mnistcli.records.exports import ExportDocument, MeasuredTarget, Parity
from mnistcli.records.sizes import IntegerSizes
from mnistcli.verdict.budget import check_budget, check_limit, passed

IMAGES = {"qemu-system-arm": 200, "simavr": 20}
"""Test images that an emulator runs: simavr takes a second for six of them."""
REACH = Sizes(flash=32_767, ram=40_000)
"""Constants and values that avr-gcc can compile and link, whether the device has so much or not."""


@dataclass(frozen=True)
class Aim:
    """The device that an export is for, and the budget that it must meet there."""

    target: TargetName
    budget: Budget | None = None
    """None for that of the run."""


@dataclass(frozen=True)
class Measurement:
    """What a device needs for a network, and how it was run there."""

    target: MeasuredTarget
    parity: Sequence[Parity]
    lacks_flash: str | None = None
    """Why `target.flash` is not all flash; None if it is all."""
    lacks_ram: str | None = None
    """Why `target.ram` is not all RAM; None if it is all."""
    lacks_program: str | None = None
    """Why it is not known whether a whole program fits; None if one ran."""


def measure(
    header: str, converted: Converted, name: TargetName, *, stream: bool = False
) -> Measurement:
    """Compile a header for a device, and run it there if there is an emulator.

    Args:
        header: text of `network.h`.
        converted: what it was made of.
        name: of the device.
        stream: whether it takes the image row by row.

    Raises:
        UsageError: there is no compiler for the device, or compiler or emulator fail.
    """
    model = converted.model
    known = Sizes(count_constants(model), count_memory(model, stream=stream))
    if TARGETS[name].ram is not None and (known.flash > REACH.flash or known.ram > REACH.ram):
        return _refuse(TARGETS[name], known, stream=stream)
    with TemporaryDirectory(prefix="mnistcli-") as folder:
        made = build(TARGETS[name], header, Path(folder), stream=stream)
        obstacle = find_obstacle(made)
        count = IMAGES.get(made.target.emulator, 0)
        ran = None if obstacle else emulate(made, converted.images[:count])
    parity = _compare(made, ran, converted.logits[:count], obstacle)
    lacks_ram = None
    if ran is None and made.stack is None:
        lacks_ram = "without stack, which the compiler does not tell"
    elif ran is None and made.target.emulator:
        lacks_ram = f"without the stack of the compiler's library: {obstacle}"
    lacks_program = f"without the program around it: {obstacle}" if obstacle else None
    return Measurement(_describe(made, ran), parity, None, lacks_ram, lacks_program)


def _refuse(target: Target, known: Sizes, *, stream: bool) -> Measurement:
    """Return what is known of a network that is too large to be compiled for a device."""
    row = Parity(name=_name(target), tool=None, images=0, equal=0, reason=MISFIT)
    measured = MeasuredTarget(
        name=target.name,
        compiler="",
        options="",
        flash=known.flash,
        ram=known.ram,
        stack=None,
        stack_measured_by="compiler",
        caller_ram=count_caller(stream=stream),
        device_flash=target.flash,
        device_ram=target.ram,
        instructions=None,
        cycles=None,
    )
    reason = f"not compiled, as {MISFIT}"
    return Measurement(measured, [row], reason, reason)


def check(
    document: ExportDocument, found: Measurement, aim: Aim, converted: Converted
) -> Sequence[Check]:
    """Check the budget with the figures of a device, and whether the network fits into it."""
    target, record, test = found.target, converted.run.record, document.integer_test
    figures = dict(record.figures)
    if test is not None:
        figures["test_accuracy"] = test.accuracy
    if found.lacks_flash is None:
        figures["flash"] = target.flash
    if found.lacks_ram is None:
        figures["ram"] = target.ram
    fault = found.lacks_flash or found.lacks_ram
    sizes = IntegerSizes(constants=target.flash, memory=target.ram, fault=fault)
    checks = check_budget(aim.budget or record.preset.budget, figures, sizes)
    return (*checks, *check_device(found))


def check_device(found: Measurement) -> Iterator[Check]:
    """Yield whether the network, an image and logits fit into the memories of the device."""
    target = found.target
    rows = (
        (
            "device_flash",
            target.program_flash or target.flash,
            target.device_flash,
            found.lacks_flash or found.lacks_program,
        ),
        ("device_ram", target.ram + target.caller_ram, target.device_ram, found.lacks_ram),
    )
    for name, value, limit, lacks in rows:
        if limit is None:
            continue
        row = check_limit(name, value, "<=", limit)
        is_open = lacks and row.verdict == "pass"
        yield (
            row.model_copy(update={"verdict": "inconclusive", "reason": lacks}) if is_open else row
        )


def add(document: ExportDocument, found: Measurement, checks: Sequence[Check]) -> ExportDocument:
    """Return an export with what was measured for a device."""
    return document.model_copy(
        update={"target": found.target, "checks": tuple(checks), "passed": passed(tuple(checks))}
    )


def _compare(
    made: Build, ran: Emulation | None, right: NDArray[np.int32], obstacle: str
) -> list[Parity]:
    if not made.target.emulator:
        return []
    name = _name(made.target)
    if ran is None:
        return [Parity(name=name, tool=None, images=0, equal=0, reason=obstacle)]
    return [compare_logits(name, ran.tool, ran.logits, right)]


def _name(target: Target) -> str:
    emulator = {"qemu-system-arm": "QEMU"}.get(target.emulator, target.emulator)
    return f"{emulator} {target.name}"


def compare_logits(
    name: str, tool: str, found: NDArray[np.int32], right: NDArray[np.int32]
) -> Parity:
    """Return on how many images two sets of logits, (n, 10), are equal."""
    equal = (found == right).all(axis=1)
    (different,) = np.nonzero(~equal)
    return Parity(
        name=name,
        tool=tool,
        images=len(right),
        equal=int(equal.sum()),
        first_difference=int(different[0]) if len(different) else None,
    )


def _describe(made: Build, ran: Emulation | None) -> MeasuredTarget:
    # The deepest frame may have bytes that nothing writes: the emulator does not see them.
    stack = max(ran.stack, made.stack or 0) if ran else made.stack
    return MeasuredTarget(
        name=made.target.name,
        compiler=made.version,
        options=" ".join(made.options),
        flash=made.sizes.flash,
        ram=made.sizes.ram + (stack or 0),
        stack=stack,
        stack_measured_by="emulator" if ran else "compiler",
        caller_ram=made.caller,
        device_flash=made.target.flash,
        device_ram=made.target.ram,
        program_flash=ran and ran.program_flash,
        instructions=ran and ran.instructions,
        cycles=ran and ran.cycles,
    )
