"""An export → what was written, and how it was checked."""

from textwrap import fill

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import check_table, reason_views
from mnistcli.display.layout import new_table
from mnistcli.display.text import overall_verdict, percent, size, verdict
from mnistcli.records.exports import ExportDocument, ExportedAccuracy, MeasuredTarget, Parity

WIDTH = 79
"""Characters of a line."""


def export_view(document: ExportDocument) -> RenderableType:
    """Build the table of figures, the line of accuracies and checks, and the paths."""
    return Group(
        _figure_table(document),
        Text(),
        Text(_accuracy_line(document), style="bold"),
        *([Text(f" no int8 model: {reason}")] if (reason := document.integer_reason) else []),
        *_target_views(document),
        Text(),
        *(Text(file.path) for file in document.files),
    )


def _figure_table(document: ExportDocument) -> Table:
    table = new_table(escape(document.run_id), "", right=("",))
    table.add_row("parameters", f"{document.parameters:,}")
    table.add_row("MACs", f"{document.macs:,}")
    if document.constants is not None:
        table.add_row("constants", f"{document.constants:,} B")
    if document.memory is not None:
        table.add_row("memory between layers", f"{document.memory:,} B")
    for file in document.files:
        table.add_row("file", size(file.bytes))
    for name, test in _tests(document):
        table.add_row(f"{name}, test accuracy", _accuracy(test))
    return table


def _tests(document: ExportDocument) -> list[tuple[str, ExportedAccuracy]]:
    """Return the accuracies that there are, by what they were measured of."""
    bits = document.weight_bits or 8
    integers = "int8" if bits == 8 else f"{bits}-bit weights"
    tests = (("float", document.float_test), (integers, document.integer_test))
    return [(name, test) for name, test in tests if test is not None]


def _target_views(document: ExportDocument) -> list[RenderableType]:
    """Build what was measured for a device: parity, figures, checks and their verdict."""
    target = document.target
    if target is None:
        return []
    parts: list[RenderableType] = [
        Text(f" {parity_text(parity)}", style="bold") for parity in document.parity[1:]
    ]
    parts += [Text(), _target_table(target, stream=document.stream)]
    if target.compiler:
        line = f"{target.compiler}, {target.options}"
        parts += [Text(), Text(fill(line, WIDTH, initial_indent=" ", subsequent_indent="   "))]
    if document.checks:
        word = overall_verdict(document.checks)
        parts += [Text(), check_table(document.checks), *reason_views(document.checks)]
        parts += [Text(), Text.assemble(" ", verdict(word))]
    return parts


def _target_table(target: MeasuredTarget, *, stream: bool) -> Table:
    table = new_table(f"on {target.name}", "", right=("",))
    table.add_row("flash", f"{target.flash:,} B")
    table.add_row("RAM", f"{target.ram:,} B")
    if target.stack is not None:
        table.add_row(f"of it stack, by the {target.stack_measured_by}", f"{target.stack:,} B")
    what = "a row" if stream else "image"
    table.add_row(f"{what} and logits, the caller's", f"{target.caller_ram:,} B")
    if target.program_flash is not None and target.device_flash is not None:
        table.add_row("flash of the whole program", f"{target.program_flash:,} B")
    if target.instructions is not None:
        table.add_row("instructions per image", f"{target.instructions:,.0f}")
    if target.cycles is not None:
        table.add_row("cycles per image", f"{target.cycles:,.0f}")
    return table


def _accuracy(test: ExportedAccuracy) -> str:
    low, high = test.interval
    return f"{percent(test.accuracy)} ({percent(low)} to {percent(high)})"


def _accuracy_line(document: ExportDocument) -> str:
    first = document.parity[: 1 if document.target else None]
    figures = "   ".join(f"{name} {percent(test.accuracy)}" for name, test in _tests(document))
    parts = [figures, *map(parity_text, first)]
    line = f" {'   '.join(parts)}"
    return line if len(line) <= WIDTH else "\n".join(f" {part}" for part in parts)


def parity_text(parity: Parity) -> str:
    """Return, for example, "C = definition: 10,000 of 10,000, every logit"."""
    if parity.tool is None:
        return f"{parity.name}: not run, {parity.reason or 'found no program for it'}"
    if parity.equal_answers is not None:
        return _approximation_text(parity, parity.equal_answers)
    sign = "=" if parity.equal == parity.images else "!="
    return f"{parity.name} {sign} definition: {parity.equal:,} of {parity.images:,}, every logit"


def _approximation_text(parity: Parity, answers: int) -> str:
    """Return, for example, "ONNX int8 ~ definition: 10,000 of 10,000 answers, logits ± 0.014"."""
    sign = "~" if parity.first_difference is None else "!="
    what = "PyTorch" if parity.name.endswith("float") else "definition"
    return (
        f"{parity.name} {sign} {what}: {answers:,} of {parity.images:,} answers, "
        f"logits ± {parity.max_difference:.2g}"
    )
