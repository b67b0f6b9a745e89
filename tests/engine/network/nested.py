"""Random networks with layers in layers, and where their modules are."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import nn

from mnistcli.engine.device import make_generator
from mnistcli.engine.network.blocks import Residual
from mnistcli.engine.network.build import build_model
from mnistcli.preset.layers import Layer

LAYERS = TypeAdapter(tuple[Layer, ...])
HEAD = [{"kind": "global_average_pool"}, {"kind": "linear", "out_features": 10}]

width = st.sampled_from([4, 8, 12])
kernel = st.sampled_from([1, 3, 5])
stride = st.sampled_from([1, 1, 1, 2])
convs = st.builds(
    lambda c, k, s, d, bias: {
        "kind": "conv", "out_channels": c, "kernel_size": k, "stride": s, "dilation": d,
        "bias": bias,
    },
    width, kernel, stride, st.integers(1, 2), st.booleans(),
)  # fmt: skip
separable = st.builds(lambda conv: conv | {"kind": "separable_conv"}, convs)
grouped = st.builds(lambda conv, groups: conv | {"groups": groups}, convs, st.sampled_from([2, 4]))
plain = st.sampled_from(
    [
        {"kind": "batch_norm"},
        {"kind": "group_norm", "groups": 2},
        {"kind": "instance_norm"},
        *({"kind": k} for k in "relu leaky_relu prelu silu gelu hard_swish".split()),
        {"kind": "max_pool"},
        {"kind": "average_pool"},
        {"kind": "dropout", "probability": 0.1},
        {"kind": "dropout2d", "probability": 0.1},
        {"kind": "squeeze_excite", "reduction": 2},
        {"kind": "self_attention", "heads": 2},
    ]
)


def blocks(inner: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    """A residual or a repeat of `inner`."""
    some = st.lists(inner, min_size=1, max_size=3)
    residuals = st.builds(lambda layers: {"kind": "residual", "layers": layers}, some)
    repeats = st.builds(
        lambda layers, times, shared: {
            "kind": "repeat", "layers": layers, "times": times, "shared": shared
        },
        some, st.integers(1, 3), st.booleans(),
    )  # fmt: skip
    return residuals | repeats


layer = convs | separable | grouped | plain
nested = st.recursive(layer, blocks, max_leaves=6)
bodies = st.lists(nested | blocks(layer), min_size=1, max_size=4).map(
    lambda body: [{"kind": "conv", "out_channels": 8, "kernel_size": 3, "stride": 2}, *body]
)


def make(layers: Sequence[dict]) -> tuple[Layer, ...]:
    return LAYERS.validate_json(json.dumps(layers))


def build(layers: Sequence[dict], seed: int = 0) -> nn.Sequential:
    return build_model(make(layers), make_generator(seed, "weights"))


def find_module(model: nn.Module, name: str) -> nn.Module:
    """Return the module of a row of the description."""
    for key in name.split("."):
        model = (model.layers if isinstance(model, Residual) else model).get_submodule(key)
    return model
