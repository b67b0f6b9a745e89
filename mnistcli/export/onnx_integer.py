"""Integer model → ONNX model in 8 bits, as pairs of QuantizeLinear and DequantizeLinear (QDQ).

Runtimes compute such pairs, and what stands between them, in integers. Scales are chosen so that
the real numbers in between are the integers of the definition: every value has the scale 1, and a
multiplier and its shift are the scale of the weights, exact in float32. What is left is rounding:
QuantizeLinear rounds halves to even where the definition rounds them up, and the product of a sum
and its multiplier has 24 bits.

Weights and values are uint8, with a zero point: x86 processors without VNNI add products with int8
weights in 16 bits, which overflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mnistcli.engine.evaluation import Normalization
from mnistcli.export.facts import Facts
from mnistcli.export.integer import Convolution, IntegerModel, Offset, Pool, Rectify, Stage, Step
from mnistcli.export.onnx_graph import INPUT, Graph, Value, describe

TEXT = (
    "A network of mnistcli in 8 bits. Input: pixels 0 ... 255, white digits on black. The numbers "
    "between QuantizeLinear and DequantizeLinear are those of the integer model, in its units."
)
CENTER = 128
"""Zero point of signed numbers."""

Floats = NDArray[np.float64]


def build_integer(model: IntegerModel, normalization: Normalization, facts: Facts) -> bytes:
    """Return the ONNX model of an integer model; its logits are real numbers.

    Args:
        model: the definition.
        normalization: of the inputs; the first scale and zero point hold it already.
        facts: of its run.

    Raises:
        UsageError: onnx is not installed.
    """
    assert facts.integer_accuracy is not None
    graph = Graph()
    values: list[_Number] = [_Quantized(INPUT, model.zero)]
    *stages, last = model.stages
    for number, stage in enumerate(stages):
        writer = _Writer(graph, stage, f"stage_{number}")
        sources = [values[source] for source in stage.sources]
        if stage.is_wide:
            values.append(_Wide(writer.write_logits(sources, 1)))
        else:
            values.append(writer.write(sources))
    writer = _Writer(graph, last, f"stage_{len(stages)}")
    sources = [values[source] for source in last.sources]
    logits = writer.write_logits(sources, model.logit_scale)
    return graph.finish(logits, describe(facts, facts.integer_accuracy, normalization, TEXT))


@dataclass(frozen=True)
class _Quantized:
    """A value in uint8, and the number in 0 … 255 that stands for 0."""

    name: Value
    zero: int


@dataclass(frozen=True)
class _Wide:
    """Whole numbers in float32: logits of an ensemble's member."""

    name: Value


_Number = _Quantized | _Wide


class _Writer:
    """Adds the nodes of one stage."""

    def __init__(self, graph: Graph, stage: Stage, place: str) -> None:
        self._graph, self._stage, self._place = graph, stage, place
        self._gains = stage.multipliers.astype(np.float64) / 2.0**stage.shift
        counts = [_count(step) for step in stage.steps]
        self._count = prod(counts)
        """Sums that the stage adds up. Averages are taken of sums that are as many times larger."""

    def write(self, inputs: Sequence[_Number]) -> _Quantized:
        """Return the stage's output."""
        stage, steps = self._stage, self._stage.steps
        later = self._count_later()
        value = self._compute(inputs, steps[: len(steps) - later])
        is_centered = stage.low < 0 or stage.table is not None
        result = self._quantize(value, "results", CENTER if is_centered else 0)
        for number, step in enumerate(steps[len(steps) - later :]):
            if isinstance(step, Pool):
                result = self._pool_results(result, step, f"pool_{number}")
        if stage.table is not None:
            result = self._look_up(result)
        return self._pool_results(result, Pool("max", stage.pool, stage.pool), "pool")

    def write_logits(self, inputs: Sequence[_Number], scale: float) -> Value:
        """Return the last stage's results as real numbers, float (n, 10)."""
        add, stage = self._graph.add, self._stage
        value = self._compute(inputs, stage.steps)
        value = add("Add", [value, self._graph.hold_number(0.5)], f"{self._place}.raised")
        value = add("Floor", [value], f"{self._place}.rounded")
        if stage.low == 0:
            value = add("Relu", [value], f"{self._place}.clipped")
        if stage.pool > 1:
            value = self._pool(value, Pool("max", stage.pool, stage.pool), "pool")
        value = add("Mul", [value, self._graph.hold_number(scale)], f"{self._place}.scaled")
        return add("Flatten", [value], f"{self._place}.flatten", axis=1)

    def _count_later(self) -> int:
        """Return how many steps, from the last, may follow the rounding: all or none.

        What keeps the order of the sums gives the same results there, and a convolution with
        nothing between it and the rounding is one that runtimes compute in integers.
        """
        steps, stage = self._stage.steps, self._stage
        if len(stage.sources) > 1 or (self._gains < 0).any():
            return 0
        for step in steps:
            if not (isinstance(step, Pool) and step.kind == "max"):
                if not (isinstance(step, Rectify) and stage.low == 0):
                    return 0
        return len(steps)

    def _compute(self, inputs: Sequence[_Number], steps: tuple[Step, ...]) -> Value:
        """Return the results before rounding, float (n, c, h, w)."""
        if len(inputs) > 1:
            terms = [
                self._dequantize(value, f"input_{number}", float(gain))
                for number, (value, gain) in enumerate(zip(inputs, self._gains, strict=True))
            ]
            kind = "Add" if len(terms) == 2 else "Sum"
            return self._graph.add(kind, terms, f"{self._place}.add")
        sizes, signs = np.abs(self._gains) * self._count, np.where(self._gains < 0, -1, 1)
        convolution, ones = self._stage.convolution, np.ones_like(signs)
        if convolution is None:
            value = self._scale_input(inputs[0], sizes)
        elif all(_is_linear(step) for step in steps) and convolution.weights.min() > -CENTER:
            value = self._convolve(inputs[0], convolution, sizes, signs)
            sizes, signs = sizes * signs, ones
        else:
            value = self._convolve(inputs[0], convolution, sizes, ones)
        for number, step in enumerate(steps):
            value, sizes = self._take(step, value, sizes, f"step_{number}"), sizes / _count(step)
        return self._multiply(value, signs, "signed") if (signs < 0).any() else value

    def _scale_input(self, value: _Number, sizes: Floats) -> Value:
        if (sizes == sizes[0]).all():
            return self._dequantize(value, "input", float(sizes[0]))
        return self._multiply(self._dequantize(value, "input"), sizes, "scaled")

    def _multiply(self, value: Value, factors: NDArray[np.number], name: str) -> Value:
        held = self._hold_channels(f"{name}.factors", factors)
        return self._graph.add("Mul", [value, held], f"{self._place}.{name}")

    def _hold_channels(self, name: str, values: NDArray[np.number]) -> Value:
        shaped = values.astype(np.float32).reshape(-1, 1, 1)
        return self._graph.hold(f"{self._place}.{name}", shaped)

    def _convolve(
        self, value: _Number, convolution: Convolution, sizes: Floats, signs: NDArray[np.int64]
    ) -> Value:
        """Return the sums times `sizes`, and times `signs`."""
        graph, place = self._graph, self._place
        scales = graph.hold(f"{place}.weight.scale", sizes.astype(np.float32))
        weights = convolution.weights * signs.reshape(-1, 1, 1, 1)
        stored = graph.hold(f"{place}.weight", (weights + CENTER).astype(np.uint8))
        zeros = graph.hold(f"{place}.weight.zero", np.full(len(sizes), CENTER, dtype=np.uint8))
        bias = graph.hold(f"{place}.bias", (convolution.bias * signs).astype(np.int32))
        inputs = [
            self._dequantize(value, "input"),
            graph.add("DequantizeLinear", [stored, scales, zeros], f"{place}.weight.real", axis=0),
            graph.add("DequantizeLinear", [bias, scales], f"{place}.bias.real", axis=0),
        ]
        return graph.add(
            "Conv",
            inputs,
            f"{place}.conv",
            kernel_shape=list(weights.shape[2:]),
            strides=[convolution.stride] * 2,
            pads=[convolution.padding] * 4,
            dilations=[convolution.dilation] * 2,
            group=convolution.groups,
        )

    def _take(self, step: Step, value: Value, sizes: Floats, name: str) -> Value:
        """Return the values, which are sums times `sizes`, after a step."""
        match step:
            case Rectify():
                return self._graph.add("Relu", [value], f"{self._place}.{name}.relu")
            case Offset():
                held = self._hold_channels(f"{name}.values", step.values * sizes)
                return self._graph.add("Add", [value, held], f"{self._place}.{name}.offset")
            case Pool():
                return self._pool(value, step, name)

    def _pool(self, value: Value, pool: Pool, name: str) -> Value:
        kind = "MaxPool" if pool.kind == "max" else "AveragePool"
        sides = [pool.height, pool.width]
        name = f"{self._place}.{name}"
        return self._graph.add(kind, [value], name, kernel_shape=sides, strides=sides)

    def _pool_results(self, value: _Quantized, pool: Pool, name: str) -> _Quantized:
        if pool.height == pool.width == 1:
            return value
        real = self._dequantize(value, f"{name}.input")
        pooled = self._pool(real, pool, name)
        return self._quantize(pooled, f"{name}.results", value.zero)

    def _look_up(self, results: _Quantized) -> _Quantized:
        """Replace results by those of a table."""
        stage, place = self._stage, self._place
        assert stage.table is not None
        zero = CENTER if stage.is_signed else 0
        table = self._graph.hold(f"{place}.table", (stage.table + zero).astype(np.uint8))
        rows = self._graph.add("Cast", [results.name], f"{place}.rows", to=7)  # 7 is int64
        return _Quantized(self._graph.add("Gather", [table, rows], f"{place}.activated"), zero)

    def _dequantize(self, value: _Number, name: str, scale: float = 1.0) -> Value:
        if isinstance(value, _Wide):
            factor = self._graph.hold_number(scale)
            return self._graph.add("Mul", [value.name, factor], f"{self._place}.{name}")
        inputs = [value.name, self._graph.hold_number(scale), self._hold_zero(value.zero)]
        return self._graph.add("DequantizeLinear", inputs, f"{self._place}.{name}")

    def _quantize(self, value: Value, name: str, zero: int) -> _Quantized:
        """Round, and clip to -128 … 127 for the zero point 128 and to 0 … 255 for 0."""
        graph, place = self._graph, self._place
        low, high = self._stage.low, self._stage.high
        if low > -zero or high < 255 - zero:
            limits = [graph.hold_number(low), graph.hold_number(high)]
            value = graph.add("Clip", [value, *limits], f"{place}.{name}.clipped")
        inputs = [value, graph.hold_number(1), self._hold_zero(zero)]
        return _Quantized(graph.add("QuantizeLinear", inputs, f"{place}.{name}"), zero)

    def _hold_zero(self, zero: int) -> Value:
        return self._graph.hold(f"zero point {zero}", np.array(zero, dtype=np.uint8))


def _count(step: Step) -> int:
    """Return how many sums a step adds up."""
    if isinstance(step, Pool) and step.kind == "sum":
        return step.height * step.width
    return 1


def _is_linear(step: Step) -> bool:
    """Return whether a step treats negative sums as positive ones."""
    return isinstance(step, Offset) or (isinstance(step, Pool) and step.kind == "sum")
