"""Nodes and constants of an ONNX graph, one after the other → the bytes of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.evaluation import Normalization
from mnistcli.errors import UsageError
from mnistcli.export.facts import Accuracy, Facts

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET = 18
IR_VERSION = 8
"""Version of the file format; both are those of onnxruntime 1.14 (2023)."""
INPUT, OUTPUT, BATCH = "image", "logits", "n"
ADVICE = "pip install onnx onnxruntime onnxscript"

Value = str
"""Name of a value in a graph."""


def require_onnx() -> None:
    """Raise unless ONNX is installed.

    Raises:
        UsageError: it is not.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--to onnx needs onnx: {ADVICE}") from error


@dataclass(frozen=True)
class Description:
    """What a model says about itself."""

    text: str
    """For people."""
    version: str
    """Version of mnistcli."""
    metadata: Mapping[str, str]
    """For programs."""


def describe(
    facts: Facts, accuracy: Accuracy | None, normalization: Normalization, text: str
) -> Description:
    """Return what is said about the network of a run.

    Args:
        facts: of the run.
        accuracy: of the network as it is exported.
        normalization: of its inputs.
        text: how it computes.
    """
    assert accuracy is not None
    metadata = {
        "run_id": facts.run_id,
        "preset": facts.preset,
        "weights_sha256": facts.weights_sha256,
        "mnistcli_version": facts.version,
        "data": facts.data,
        "parameters": str(facts.parameters),
        "macs": str(facts.macs),
        "test_correct": str(accuracy.correct),
        "test_total": str(accuracy.total),
        "accuracy": repr(accuracy.correct / accuracy.total),
        "accuracy_low": repr(accuracy.interval[0]),
        "accuracy_high": repr(accuracy.interval[1]),
        "normalization_mean": repr(normalization.mean),
        "normalization_std": repr(normalization.std),
    }
    cleaned = {key: clean(value) for key, value in metadata.items()}
    return Description(text, clean(facts.version), cleaned)


def clean(text: str) -> str:
    """Return a text as it is, but with escapes for what is not UTF-8, which protobuf refuses."""
    return text.encode(errors="surrogatepass").decode(errors="backslashreplace")


class Graph:
    """A graph from images, uint8 (n, 1, 28, 28), to logits, float32 (n, 10)."""

    def __init__(self) -> None:
        require_onnx()
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def add(self, kind: str, inputs: Sequence[Value], name: str, **attributes: Any) -> Value:
        """Add a node with one output, both of this name, and return the name."""
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def hold(self, name: str, values: NDArray[Any]) -> Value:
        """Store a constant under this name, once, and return the name."""
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def hold_number(self, number: float) -> Value:
        """Store a float32 number."""
        return self.hold(f"number {float(number)!r}", np.array(number, dtype=np.float32))

    def hold_integers(self, *integers: int) -> Value:
        """Store int64 numbers, for shapes and axes."""
        name = f"integers {' '.join(map(str, integers))}"
        return self.hold(name, np.array(integers, dtype=np.int64))

    def finish(self, output: Value, description: Description) -> bytes:
        """Return the model, whose logits are `output`, float32 (n, 10)."""
        from onnx import TensorProto, helper

        self.add("Identity", [output], OUTPUT)
        images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [BATCH, 1, SIDE, SIDE])
        logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [BATCH, CLASSES])
        graph = helper.make_graph(
            self._nodes, "mnistcli", [images], [logits], list(self._constants.values())
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        return sign(model, description)


def sign(model: "ModelProto", description: Description) -> bytes:
    """Check a model, let it say what it is, and return its bytes: always the same ones."""
    from onnx import checker, helper

    model.producer_name, model.producer_version = "mnistcli", description.version
    model.doc_string = description.text
    helper.set_model_props(model, dict(description.metadata))
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
