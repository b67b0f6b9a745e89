"""`mnistcli export`: the trained network as C, a web page or ONNX."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import (
    OUTPUT,
    AllowCodeOption,
    BudgetOption,
    JsonOption,
    NoFailOption,
    OwnDataOption,
    TracebackOption,
)
from mnistcli.errors import MismatchError, UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.measure_export import Aim


class Format(StrEnum):
    """Kinds of files."""

    C = "c"
    HTML = "html"
    ONNX = "onnx"


class Target(StrEnum):
    """Devices to compile for."""

    HOST = "host"
    CORTEX_M0 = "cortex-m0"
    CORTEX_M0_16K = "cortex-m0-16k"
    CORTEX_M4 = "cortex-m4"
    ATMEGA328P = "atmega328p"


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its record.json.")],
    to: Annotated[Format, typer.Option("--to", help="Kind of file.")],
    data: OwnDataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="File to write.",
            show_default="in the run folder",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option("--target", help="Device to measure the header for."),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Take images row by row: usually in less RAM.")
    ] = False,
    budget: BudgetOption = None,
    no_fail: NoFailOption = False,
    as_json: JsonOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Write the trained network as C, a web page or ONNX, and check it."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.export import export_view
    from mnistcli.experiment.export import export_run
    from mnistcli.experiment.machine import Options
    from mnistcli.records.folders import find_run

    if stream and to is not Format.C:
        raise UsageError(f"--stream is for C: it cannot be combined with --to {to.value}.")
    aim = make_aim(to, target, budget)
    options = Options(device="cpu", data=data, allow_code=allow_code)
    document = export_run(find_run(run), to.value, out, options, aim, stream=stream)
    show(document, export_view(document), as_json=as_json)
    for parity in document.parity:
        if parity.first_difference is not None:
            (path, *_) = (file.path for file in document.files if file.path.endswith(".mismatch"))
            raise MismatchError(
                f"{parity.name} computes other logits than the definition: first for test image "
                f'{parity.first_difference}. What was written is "{path}".'
            )
    finish(document.passed, no_fail=no_fail)


def make_aim(to: Format, target: Target | None, budget: str | None) -> "Aim | None":
    """Return the device and the budget that an export is checked for.

    Raises:
        UsageError: the options cannot be combined.
        PresetError: the budget is invalid.
    """
    from mnistcli.experiment.measure_export import Aim
    from mnistcli.preset.budget_text import parse_budget

    if target is None:
        if budget is not None:
            raise UsageError("--budget needs a device to check it for. Add --target.")
        return None
    if to is not Format.C:
        raise UsageError(f"--target measures C: it cannot be combined with --to {to.value}.")
    return Aim(target.value, parse_budget(budget) if budget is not None else None)
