"""Trained network of layers → ONNX model that computes in float32, as PyTorch does."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistcli.engine.evaluation import Normalization
from mnistcli.engine.network.blocks import Residual, Reused, SelfAttention, SqueezeExcite
from mnistcli.engine.network.ensemble import list_members
from mnistcli.engine.network.layers import (
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    SeededDropout,
)
from mnistcli.errors import PresetError
from mnistcli.export.facts import Facts
from mnistcli.export.onnx_graph import INPUT, Graph, Value, describe

TEXT = (
    "A network of mnistcli in float32. Input: pixels 0 ... 255, white digits on black; they are "
    "normalized in the graph."
)
Norm = nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d
Activation = nn.ReLU | nn.LeakyReLU | nn.PReLU | nn.SiLU | nn.GELU | nn.Hardswish
Pool = nn.MaxPool2d | nn.AvgPool2d | GlobalAveragePool | GlobalMaxPool | Flatten
Block = SqueezeExcite | SelfAttention | Residual


def build_float(model: nn.Module, normalization: Normalization, facts: Facts) -> bytes:
    """Return the ONNX model of a trained network of layers, or of an ensemble of them.

    Args:
        model: on any device.
        normalization: of its inputs; it becomes a part of the graph.
        facts: of its run.

    Raises:
        PresetError: a layer has no counterpart.
        UsageError: onnx is not installed.
    """
    graph = Graph()
    value = graph.add("Cast", [INPUT], "pixels", to=1)  # 1 is float32
    value = graph.add("Div", [value, graph.hold_number(255)], "fractions")
    value = graph.add("Sub", [value, graph.hold_number(normalization.mean)], "centered")
    value = graph.add("Div", [value, graph.hold_number(normalization.std)], "normalized")
    writer = _Writer(graph, model.eval())
    places = {model: "", **{each: name for name, each in model.named_modules()}}
    outputs = [writer.walk(each, places[each], value) for each in list_members(model)]
    logits = outputs[0] if len(outputs) == 1 else graph.add("Mean", outputs, "mean")
    return graph.finish(logits, describe(facts, facts.float_accuracy, normalization, TEXT))


class _Writer:
    """Adds modules to a graph; nodes and weights have the names that PyTorch gives them."""

    def __init__(self, graph: Graph, model: nn.Module) -> None:
        self._graph = graph
        tensors = (*model.named_parameters(), *model.named_buffers())
        self._names = {id(tensor): name for name, tensor in tensors}

    def walk(self, model: nn.Module, place: str, value: Value) -> Value:
        """Add the modules of a sequence, and return its output."""
        for name, module in model.named_children():
            value = self._add(module, f"{place}.{name}".lstrip("."), value)
        return value

    def _add(self, module: nn.Module, place: str, value: Value) -> Value:
        match module:
            case Reused():
                return self._add(module.module, place, value)
            case nn.Sequential():
                return self.walk(module, place, value)
            case SeededDropout() | nn.Identity():
                return value
            case nn.Conv2d():
                return self._add_convolution(module, place, value)
            case nn.Linear():
                inputs = [value, *self._hold(module, "weight", "bias")]
                return self._graph.add("Gemm", inputs, f"{place}.linear", transB=1)
        if isinstance(module, Norm):
            return self._add_norm(module, place, value)
        if isinstance(module, Activation):
            return self._add_activation(module, place, value)
        if isinstance(module, Pool):
            return self._add_pool(module, place, value)
        if isinstance(module, Block):
            return self._add_block(module, place, value)
        raise PresetError(f"layer {place} {type(module).__name__} has no counterpart in ONNX")

    def _hold(self, module: nn.Module, *attributes: str) -> list[Value]:
        """Store what the module has of these tensors, every one once."""
        tensors = (getattr(module, attribute) for attribute in attributes)
        return [
            self._graph.hold(self._names[id(tensor)], _to_array(tensor))
            for tensor in tensors
            if tensor is not None
        ]

    def _add_convolution(self, conv: nn.Conv2d, place: str, value: Value) -> Value:
        return self._graph.add(
            "Conv",
            [value, *self._hold(conv, "weight", "bias")],
            f"{place}.conv",
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[int(pixels) for pixels in conv.padding] * 2,
            dilations=list(conv.dilation),
            group=conv.groups,
        )

    def _add_norm(self, norm: Norm, place: str, value: Value) -> Value:
        weights = self._hold(norm, "weight", "bias")
        match norm:
            case nn.BatchNorm2d():
                inputs = [value, *weights, *self._hold(norm, "running_mean", "running_var")]
                name = f"{place}.batch_norm"
                return self._graph.add("BatchNormalization", inputs, name, epsilon=norm.eps)
            case nn.InstanceNorm2d():
                name = f"{place}.instance_norm"
                kind = "InstanceNormalization"
                return self._graph.add(kind, [value, *weights], name, epsilon=norm.eps)
        return self._add_group_norm(norm, place, value)

    def _add_group_norm(self, norm: nn.GroupNorm, place: str, value: Value) -> Value:
        """Normalize groups as if they were channels: ONNX has the layer in later versions only."""
        graph, groups = self._graph, norm.num_groups
        units = [
            graph.hold(f"{fill} {groups} times", np.full(groups, fill, dtype=np.float32))
            for fill in (1, 0)
        ]
        joined = graph.add("Reshape", [value, graph.hold_integers(0, groups, -1)], f"{place}.join")
        kind, name = "InstanceNormalization", f"{place}.normalize"
        normalized = graph.add(kind, [joined, *units], name, epsilon=norm.eps)
        result = self._restore(normalized, value, place)
        for kind, weight in zip(("Mul", "Add"), self._hold(norm, "weight", "bias"), strict=True):
            axes = graph.hold_integers(1, 2)
            spread = graph.add("Unsqueeze", [weight, axes], f"{place}.{kind.lower()}.spread")
            result = graph.add(kind, [result, spread], f"{place}.{kind.lower()}")
        return result

    def _restore(self, value: Value, like: Value, place: str) -> Value:
        """Give a value the shape of another one."""
        shape = self._graph.add("Shape", [like], f"{place}.shape")
        return self._graph.add("Reshape", [value, shape], f"{place}.restore")

    def _add_activation(self, module: Activation, place: str, value: Value) -> Value:
        graph = self._graph
        match module:
            case nn.ReLU():
                return graph.add("Relu", [value], f"{place}.relu")
            case nn.LeakyReLU():
                slope = float(module.negative_slope)
                return graph.add("LeakyRelu", [value], f"{place}.leaky_relu", alpha=slope)
            case nn.PReLU():
                return graph.add("PRelu", [value, *self._hold(module, "weight")], f"{place}.prelu")
            case nn.Hardswish():
                return graph.add("HardSwish", [value], f"{place}.hard_swish")
            case nn.SiLU():
                weight = graph.add("Sigmoid", [value], f"{place}.sigmoid")
                return graph.add("Mul", [value, weight], f"{place}.silu")
        # GELU, which ONNX has in later versions only: x / 2 · (1 + erf(x / √2)).
        scaled = graph.add("Mul", [value, graph.hold_number(0.5**0.5)], f"{place}.scale")
        erf = graph.add("Erf", [scaled], f"{place}.erf")
        risen = graph.add("Add", [erf, graph.hold_number(1)], f"{place}.rise")
        doubled = graph.add("Mul", [value, risen], f"{place}.multiply")
        return graph.add("Mul", [doubled, graph.hold_number(0.5)], f"{place}.gelu")

    def _add_pool(self, pool: Pool, place: str, value: Value) -> Value:
        add = self._graph.add
        match pool:
            case nn.MaxPool2d() | nn.AvgPool2d():
                kind = "MaxPool" if isinstance(pool, nn.MaxPool2d) else "AveragePool"
                sides = [int(pool.kernel_size)] * 2  # type: ignore[arg-type]
                name = f"{place}.pool"
                return add(kind, [value], name, kernel_shape=sides, strides=sides)
            case GlobalAveragePool():
                value = add("GlobalAveragePool", [value], f"{place}.average")
            case GlobalMaxPool():
                value = add("GlobalMaxPool", [value], f"{place}.max")
        return add("Flatten", [value], f"{place}.flatten", axis=1)

    def _add_block(self, block: Block, place: str, value: Value) -> Value:
        match block:
            case SqueezeExcite():
                return self._add_squeeze_excite(block, place, value)
            case SelfAttention():
                return self._add_attention(block, place, value)
        outputs = self.walk(block.layers, f"{place}.layers", value)
        added = self._add(block.projection, f"{place}.projection", value)
        return self._graph.add("Add", [outputs, added], f"{place}.residual")

    def _add_squeeze_excite(self, block: SqueezeExcite, place: str, value: Value) -> Value:
        graph = self._graph
        means = self._add_pool(GlobalAveragePool(), place, value)
        hidden = self._add(block.squeeze, f"{place}.squeeze", means)
        hidden = graph.add("Relu", [hidden], f"{place}.relu")
        excited = self._add(block.excite, f"{place}.excite", hidden)
        weights = graph.add("Sigmoid", [excited], f"{place}.sigmoid")
        spread = graph.add("Unsqueeze", [weights, graph.hold_integers(2, 3)], f"{place}.spread")
        return graph.add("Mul", [value, spread], f"{place}.squeeze_excite")

    def _add_attention(self, block: SelfAttention, place: str, value: Value) -> Value:
        graph, add = self._graph, self._graph.add
        heads, channels = block.heads, block.outputs.in_features
        width = channels // heads
        flat = add("Reshape", [value, graph.hold_integers(0, channels, -1)], f"{place}.flat")
        tokens = add("Transpose", [flat], f"{place}.tokens", perm=[0, 2, 1])
        inputs = self._project(block.inputs, f"{place}.inputs", tokens)
        shape = graph.hold_integers(0, -1, 3, heads, width)
        parts = add("Reshape", [inputs, shape], f"{place}.parts")
        parts = add("Transpose", [parts], f"{place}.by_head", perm=[2, 0, 3, 1, 4])
        queries, keys, values = (
            add("Gather", [parts, graph.hold(f"index {i}", np.array(i))], f"{place}.{name}", axis=0)
            for i, name in enumerate(("queries", "keys", "values"))
        )
        turned = add("Transpose", [keys], f"{place}.turned", perm=[0, 1, 3, 2])
        products = add("MatMul", [queries, turned], f"{place}.products")
        scaled = add("Mul", [products, graph.hold_number(width**-0.5)], f"{place}.scaled")
        weights = add("Softmax", [scaled], f"{place}.softmax", axis=-1)
        mixed = add("MatMul", [weights, values], f"{place}.mixed")
        mixed = add("Transpose", [mixed], f"{place}.by_place", perm=[0, 2, 1, 3])
        joined = add("Reshape", [mixed, graph.hold_integers(0, -1, channels)], f"{place}.joined")
        outputs = self._project(block.outputs, f"{place}.outputs", joined)
        outputs = add("Transpose", [outputs], f"{place}.channels", perm=[0, 2, 1])
        return self._restore(outputs, value, place)

    def _project(self, linear: nn.Linear, place: str, value: Value) -> Value:
        """Apply a linear layer to the last axis of (n, positions, features)."""
        add = self._graph.add
        weight, bias = self._hold(linear, "weight", "bias")
        turned = add("Transpose", [weight], f"{place}.weight.turned", perm=[1, 0])
        product = add("MatMul", [value, turned], f"{place}.product")
        return add("Add", [product, bias], place)


def _to_array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().float().contiguous().numpy()
    return array
