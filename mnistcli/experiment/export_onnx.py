"""Trained run → ONNX models, checked by onnxruntime on all test images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import Examples
from mnistcli.engine.evaluation import compute_logits
from mnistcli.engine.network.contain import contain
from mnistcli.errors import UsageError
from mnistcli.experiment.convert_run import Converted, convert_run, gather_facts
from mnistcli.experiment.describe_export import describe
from mnistcli.experiment.load_run import LoadedRun
from mnistcli.export.facts import Facts
from mnistcli.export.onnx_check import Agreement, compare_logits, find_runtime, run_onnx
from mnistcli.export.onnx_code import build_code
from mnistcli.export.onnx_float import build_float
from mnistcli.export.onnx_graph import require_onnx
from mnistcli.export.onnx_integer import build_integer
from mnistcli.records.exports import ExportDocument, Parity
from mnistcli.records.outputs import write_output

FLOAT_TOLERANCE = 0.001
"""Difference of two logits, as a fraction of the largest logit, that the order of sums explains."""
INTEGER_TOLERANCE = 0.1
"""Difference that values which are rounded to the other side explain."""


@dataclass(frozen=True)
class _Model:
    """An ONNX model, and what it should compute."""

    name: str
    path: Path
    content: bytes
    logits: NDArray[np.float32]
    """Logits (n, 10) for the test images."""
    tolerance: float


def export_onnx(run: LoadedRun, path: Path) -> ExportDocument:
    """Write a run's network as an ONNX model, and in 8 bits if it has an integer form.

    One that was trained for integers is written in 8 bits only.

    Args:
        run: on the CPU.
        path: file to write; the name of the one in 8 bits ends in ".int8.onnx".

    Raises:
        FileError: the run's data are unreadable, or a file cannot be written.
        UsageError: ONNX is not installed, or PyTorch cannot export the user's own network.
    """
    require_onnx()
    converted, reason = _convert(run)
    test, _ = run.load_images("test")
    facts = converted.facts if converted else gather_facts(run, test)
    models = [] if run.record.preset.train.quantize else [_make_float(run, facts, test, path)]
    if converted:
        models.append(_make_integer(converted, path))
    images = test.images[:, 0].cpu().numpy()
    parity = [_check(model, images) for model in models]
    files = dict(_write(models, parity))
    document = describe(facts, converted.model if converted else None, "onnx", files, parity)
    return document.model_copy(update={"integer_reason": reason})


def _convert(run: LoadedRun) -> tuple[Converted | None, str | None]:
    """Return the network in integers, or why there is none."""
    if run.record.preset.model.layers is None:
        return None, "the network is Python code"
    try:
        return convert_run(run), None
    except UsageError as error:
        return None, str(error)


def _make_float(run: LoadedRun, facts: Facts, test: Examples, path: Path) -> _Model:
    preset = run.record.preset
    with contain(preset.model.code):
        logits = compute_logits(run.model, test, preset.normalization).numpy()
    if code := preset.model.code:
        content = build_code(run.model, code, preset.normalization, facts)
    else:
        content = build_float(run.model, preset.normalization, facts)
    return _Model("ONNX float", path, content, logits, FLOAT_TOLERANCE)


def _make_integer(converted: Converted, path: Path) -> _Model:
    normalization = converted.run.record.preset.normalization
    return _Model(
        name="ONNX int8",
        path=path.with_name(f"{path.stem}.int8{path.suffix}"),
        content=build_integer(converted.model, normalization, converted.facts),
        logits=converted.logits.astype(np.float32) * np.float32(converted.model.logit_scale),
        tolerance=INTEGER_TOLERANCE,
    )


def _check(model: _Model, images: NDArray[np.uint8]) -> Parity:
    """Run a model on all images, if onnxruntime is installed."""
    tool = find_runtime()
    if tool is None:
        return Parity(name=model.name, tool=None, images=0, equal=0)
    found = run_onnx(model.content, images)
    agreement = compare_logits(found, model.logits)
    return Parity(
        name=model.name,
        tool=tool,
        images=agreement.images,
        equal=agreement.equal_logits,
        equal_answers=agreement.equal_answers,
        max_difference=agreement.max_difference,
        first_difference=_find_mismatch(agreement, model.tolerance),
    )


def _find_mismatch(agreement: Agreement, tolerance: float) -> int | None:
    """Return the first image with a logit that is too far off."""
    (far,) = np.nonzero(agreement.differences > tolerance * agreement.max_logit)
    return int(far[0]) if len(far) else None


def _write(models: list[_Model], parity: list[Parity]) -> Iterator[tuple[Path, bytes]]:
    for model, check in zip(models, parity, strict=True):
        path = model.path
        if check.first_difference is not None:
            path = path.with_name(f"{path.name}.mismatch")
        write_output(path, model.content)
        yield path, model.content
