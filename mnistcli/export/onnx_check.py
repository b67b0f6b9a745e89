"""What onnxruntime computes with an ONNX model, beside what it should."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.export.onnx_graph import INPUT, OUTPUT

BATCH = 1_000


@dataclass(frozen=True)
class Agreement:
    """Logits of an ONNX model beside those that they should be."""

    images: int
    equal_answers: int
    equal_logits: int
    """Images all of whose logits are equal, to the last bit."""
    differences: NDArray[np.float64]
    """Largest absolute difference of two logits, for every image (n,)."""
    max_logit: float
    """Largest absolute logit, to see the difference by."""

    @property
    def max_difference(self) -> float:
        """Return the largest absolute difference of two logits."""
        return float(self.differences.max())


def find_runtime() -> str | None:
    """Return the name and version of onnxruntime, if it is installed."""
    try:
        return f"onnxruntime {version('onnxruntime')}" if find_spec("onnxruntime") else None
    except PackageNotFoundError:
        return "onnxruntime"


def run_onnx(content: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits, float32 (n, 10), of images, uint8 (n, 28, 28), by onnxruntime.

    Args:
        content: the model.
        images: any number of them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    outputs = list[NDArray[Any]]()
    for start in range(0, len(images), BATCH):
        batch = {INPUT: images[start : start + BATCH, None]}
        outputs += session.run([OUTPUT], batch)
    logits: NDArray[np.float32] = np.concatenate(outputs).astype(np.float32)
    return logits


def compare_logits(found: NDArray[np.float32], wanted: NDArray[np.floating[Any]]) -> Agreement:
    """Return how far two arrays of logits, (n, 10), agree; integer logits times their scale."""
    return Agreement(
        images=len(found),
        equal_answers=int((found.argmax(axis=1) == wanted.argmax(axis=1)).sum()),
        equal_logits=int((found == wanted.astype(np.float32)).all(axis=1).sum()),
        differences=np.abs(found.astype(np.float64) - wanted).max(axis=1),
        max_logit=float(np.abs(wanted).max()),
    )
