"""Trained run → files for elsewhere, checked against the definition image by image."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from mnistcli.experiment.convert_run import Converted, convert_run
from mnistcli.experiment.describe_export import Format, describe
from mnistcli.experiment.export_onnx import export_onnx
from mnistcli.experiment.load_run import LoadedRun, check_weights, load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.measure_export import Aim, add, check, compare_logits, measure
from mnistcli.experiment.web_page import build_page
from mnistcli.export.c_header import render_header, render_row_header
from mnistcli.export.run_c import find_compiler, run_header
from mnistcli.export.run_page import find_node, run_page
from mnistcli.records.exports import ExportDocument, Parity
from mnistcli.records.outputs import check_output, write_output
from mnistcli.records.store import HEADER, MISMATCH, ONNX, PAGE

NAMES: dict[Format, str] = {"c": HEADER, "html": PAGE, "onnx": ONNX}


def export_run(
    folder: Path,
    to: Format,
    out: Path | None,
    options: Options,
    aim: Aim | None = None,
    *,
    stream: bool = False,
) -> ExportDocument:
    """Write a run's network as a file, after checking it on all test images.

    Args:
        folder: run folder.
        to: kind of file.
        out: file to write; by default in the run folder.
        options: the folder of the run's data if it was moved, and whether code may run.
        aim: the device to measure a header for.
        stream: whether a header takes the image row by row.

    Raises:
        FileError: run or data are unreadable, or the file cannot be written.
        UsageError: the network has no integer form, what checks it fails, or ONNX is not installed.
    """
    path = out or folder / NAMES[to]
    check_output(path)
    run = _load(folder, options)
    if to == "onnx":
        return export_onnx(run, path)
    converted = convert_run(run)
    text, parity = _render(to, converted, stream=stream)
    found = measure(text, converted, aim.target, stream=stream) if aim else None
    parity += tuple(found.parity) if found else ()
    files = {_choose_path(path, parity): text.encode()}
    for name, content in files.items():
        write_output(name, content)
    document = describe(converted.facts, converted.model, to, files, parity, stream=stream)
    if aim and found:
        return add(document, found, check(document, found, aim, converted))
    return document


def _load(folder: Path, options: Options) -> LoadedRun:
    # Scales and accuracies are of the run's own images: others, named with --data, are refused.
    run = replace(load_run(folder, options), data_named=False)
    check_weights(folder, run.record)
    return run


def _choose_path(path: Path, parity: Sequence[Parity]) -> Path:
    """Return the path to write; one that tells of it, if something is computed otherwise."""
    is_equal = all(row.equal == row.images for row in parity)
    return path if is_equal else path.with_name(f"{path.name}{MISMATCH}")


def _render(
    to: Literal["c", "html"], converted: Converted, *, stream: bool
) -> tuple[str, tuple[Parity, ...]]:
    """Return the text of a header or page, and how it was checked."""
    if to == "c":
        render = render_row_header if stream else render_header
        text = render(converted.model, converted.facts)
        return text, check_header(text, converted)
    text = build_page(converted.run, converted.model, converted.facts, converted.logits)
    return text, check_page(text, converted)


def check_header(text: str, converted: Converted) -> tuple[Parity, ...]:
    """Compile a header and compare its logits with the definition's, if there is a compiler.

    Raises:
        UsageError: the compiler fails.
    """
    compiler = find_compiler()
    if not compiler:
        return (Parity(name="C", tool=None, images=0, equal=0),)
    found = run_header(text, converted.images, compiler)
    return (compare_logits("C", compiler[0], found, converted.logits),)


def check_page(text: str, converted: Converted) -> tuple[Parity, ...]:
    """Run a page's script and compare its logits with the definition's, if there is Node.js.

    Raises:
        UsageError: Node.js fails.
    """
    node = find_node()
    if not node:
        return (Parity(name="JavaScript", tool=None, images=0, equal=0),)
    found = run_page(text, converted.images, node)
    return (compare_logits("JavaScript", node, found, converted.logits),)
