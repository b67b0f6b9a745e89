"""What was exported, as a document."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from mnistcli.export.c_header import count_memory
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import IntegerModel
from mnistcli.export.memory import count_constants, find_bits
from mnistcli.records.exports import ExportDocument, ExportedAccuracy, ExportedFile, Parity

Format = Literal["c", "html", "onnx"]


def describe(
    facts: Facts,
    model: IntegerModel | None,
    to: Format,
    files: Mapping[Path, bytes],
    parity: Sequence[Parity],
    *,
    stream: bool = False,
) -> ExportDocument:
    """Return what was exported, and what was measured of it.

    Args:
        facts: of the run.
        model: the integer model, if there is one.
        to: kind of file.
        files: content of each file that was written, by its path.
        parity: how they were checked.
        stream: whether a header takes the image row by row.
    """
    return ExportDocument(
        run_id=facts.run_id,
        preset=facts.preset,
        data=facts.data,
        to=to,
        files=tuple(_describe_file(*item) for item in files.items()),
        parameters=facts.parameters,
        macs=facts.macs,
        constants=None if model is None else count_constants(model),
        memory=None if model is None else count_memory(model, stream=stream),
        stream=stream,
        weight_bits=None if model is None else find_bits(model),
        float_test=_describe_accuracy(facts.float_accuracy),
        integer_test=_describe_accuracy(facts.integer_accuracy),
        parity=tuple(parity),
    )


def _describe_file(path: Path, content: bytes) -> ExportedFile:
    digest = hashlib.sha256(content).hexdigest()
    return ExportedFile(path=str(path), bytes=len(content), sha256=digest)


def _describe_accuracy(accuracy: Accuracy | None) -> ExportedAccuracy | None:
    if accuracy is None:
        return None
    return ExportedAccuracy(
        accuracy=accuracy.correct / accuracy.total,
        correct=accuracy.correct,
        total=accuracy.total,
        interval=accuracy.interval,
    )
