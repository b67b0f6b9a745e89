"""Trained network in Python code → ONNX model that computes in float32, by PyTorch's exporter."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.evaluation import Normalization, normalize, to_inputs
from mnistcli.engine.network.code import running
from mnistcli.engine.network.contain import refuse
from mnistcli.errors import MnistcliError, UsageError
from mnistcli.export.facts import Facts
from mnistcli.export.onnx_float import TEXT
from mnistcli.export.onnx_graph import (
    ADVICE,
    BATCH,
    INPUT,
    IR_VERSION,
    OPSET,
    OUTPUT,
    describe,
    require_onnx,
    sign,
)
from mnistcli.preset.code.code import Code
from mnistcli.process import silence_logs

if TYPE_CHECKING:
    from onnx import ModelProto

NOISY = ("onnxscript", "onnx_ir", "torch.onnx", "torch.export")


def build_code(model: nn.Module, code: Code, normalization: Normalization, facts: Facts) -> bytes:
    """Return the ONNX model of a trained network in Python code.

    Args:
        model: on the CPU, with its weights.
        code: that it was built from; it runs again.
        normalization: of its inputs; it becomes a part of the graph.
        facts: of its run.

    Raises:
        PresetError: the exporter fails at the network.
        UsageError: onnx or onnxscript is not installed.
    """
    require_onnx()
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        message = f"--to onnx needs onnxscript for networks in Python code: {ADVICE}"
        raise UsageError(message) from error
    with running(code), _silence():
        try:
            exported = _export(_WithNormalization(model, normalization).eval())
        except MnistcliError:
            raise
        except Exception as error:
            reason = f"cannot be exported to ONNX by PyTorch: {_shorten(error)}"
            raise refuse(code, reason) from error
    return sign(exported, describe(facts, facts.float_accuracy, normalization, TEXT))


class _WithNormalization(nn.Module):
    """A network that takes the pixels as they are."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self._normalization = normalization

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of uint8 (n, 1, 28, 28)."""
        logits: Tensor = self.network(normalize(to_inputs(images), self._normalization))
        return logits.float()


def _export(module: nn.Module) -> "ModelProto":
    program = torch.onnx.export(
        _trace(module),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    _strip(model)
    return model


def _trace(module: nn.Module) -> ExportedProgram:
    """Return what the network computes for any number of images."""
    images = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    shapes = ({0: Dim(BATCH)},)
    try:
        return torch.export.export(module, (images,), dynamic_shapes=shapes, strict=False)
    except Exception:
        # Reads the code itself, and so understands len(x) too; some networks only pass the other.
        return torch.export.export(module, (images,), dynamic_shapes=shapes, strict=True)


def _strip(model: "ModelProto") -> None:
    """Remove where every node comes from: lines of code, with the names of the user's folders."""
    graph = model.graph
    for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    for field in ("metadata_props", "doc_string", "value_info"):
        graph.ClearField(field)
    graph.name, model.ir_version = "mnistcli", IR_VERSION


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's warnings and log from the user: they concern its authors."""
    with warnings.catch_warnings(), silence_logs(NOISY):
        warnings.simplefilter("ignore")
        yield


def _shorten(error: Exception) -> str:
    """Return the first line of what the exporter's cause says."""
    cause: BaseException = error
    while cause.__cause__:
        cause = cause.__cause__
    *_, kind = type(cause).__name__.split(".")
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{kind}: {lines[0][:200].rstrip('.')}" if lines else kind
