"""Networks with layers in layers: the description equals what PyTorch does."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mnistcli.engine.device import make_generator
from mnistcli.engine.network import trace
from mnistcli.engine.network.blocks import Residual, Reused
from mnistcli.engine.network.build import (
    build_described,
    count_parameters,
    describe_model,
    seed_dropout,
)
from mnistcli.engine.network.describe import describe_module
from mnistcli.errors import PresetError
from tests.engine.network.nested import HEAD, bodies, build, find_module, make

CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
pytestmark = pytest.mark.usefixtures("without_onednn")
STEM = CONV | {"stride": 2}


def described(body: list[dict]) -> tuple[nn.Sequential, list[trace.LayerDescription]]:
    """The network in evaluation mode, or another example if it cannot be built."""
    try:
        model, rows = build_described(make([*body, *HEAD]), make_generator(0, "weights"))
    except PresetError:
        assume(False)
    return model.eval(), rows


@pytest.mark.slow
@given(bodies)
@settings(max_examples=120)
def test_the_description_is_what_pytorch_says(body: list[dict]) -> None:
    model, rows = described(body)
    seen: dict[str, tuple[int, ...]] = {}

    def listen(name: str) -> None:
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            seen.setdefault(name, output.shape[1:])  # shared weights are used again later

        find_module(model, name).register_forward_hook(hook)

    for row in rows:
        listen(row.name)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 28, 28))
    assert sum(row.macs for row in rows) * 2 == counter.get_total_flops()
    measured = describe_module(model)  # as of a user's own module: a second oracle
    assert sum(row.macs for row in measured) == sum(row.macs for row in rows)
    assert sum(row.parameters for row in measured) == sum(row.parameters for row in rows)
    unique = {id(parameter): parameter.numel() for parameter in model.parameters()}
    assert sum(row.parameters for row in rows) == sum(unique.values())
    moved = {"max_pool", "relu", "leaky_relu", "dropout2d"}  # pooling early changes their shapes
    shapes = {row.name: row.output_shape for row in rows if row.kind not in moved}
    assert shapes == {name: seen[name] for name in shapes}


@pytest.mark.slow
@given(bodies)
@settings(max_examples=60)
def test_every_weight_has_one_name_and_a_gradient(body: list[dict]) -> None:
    model, _ = described(body)
    places = [value.data_ptr() for value in model.state_dict().values() if value.numel()]
    assert len(set(places)) == len(places)
    model.train().to(memory_format=torch.channels_last)
    seed_dropout(model, torch.Generator().manual_seed(0))
    model(torch.randn(4, 1, 28, 28)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    twin = copy.deepcopy(model)  # as a moving average of the weights does
    assert count_parameters(twin) == count_parameters(model)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    images = torch.randn(2, 1, 28, 28)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.eval()(images), model.eval()(images))


@given(bodies)
@settings(max_examples=60)
def test_the_receptive_field_covers_what_a_gradient_reaches(body: list[dict]) -> None:
    model, rows = described(body)
    assert measure_reach(model[: len(body)], 28) <= rows_of(rows, len(body) - 1).receptive_field


SMALL = {"kind": "conv", "out_channels": 2, "bias": False}
EXACT = [
    [SMALL | {"kernel_size": 3, "dilation": 3}],
    [SMALL | {"kernel_size": 5, "stride": 2}, SMALL | {"kernel_size": 3, "dilation": 2}],
    [{"kind": "average_pool"}, {"kind": "separable_conv", "out_channels": 2, "kernel_size": 3}],
    [{"kind": "residual", "layers": [SMALL | {"kernel_size": 5}, SMALL | {"kernel_size": 3}]}],
    [{"kind": "residual", "layers": [SMALL | {"kernel_size": 1}]}, SMALL | {"kernel_size": 3}],
    [
        SMALL | {"kernel_size": 3},
        {"kind": "residual", "layers": [SMALL | {"kernel_size": 3, "stride": 2}]},
        {"kind": "residual", "layers": [SMALL | {"kernel_size": 3}]},
    ],
    [
        {"kind": "residual", "layers": [SMALL | {"kernel_size": 3}, {"kind": "average_pool"}]},
        {"kind": "repeat", "times": 3, "layers": [SMALL | {"kernel_size": 3}]},
    ],
    [
        SMALL | {"kernel_size": 3},
        {
            "kind": "repeat", "times": 2, "shared": True,
            "layers": [{"kind": "residual", "layers": [SMALL | {"kernel_size": 3, "dilation": 2}]}],
        },
    ],
]  # fmt: skip


@pytest.mark.parametrize("body", EXACT)
def test_the_receptive_field_is_what_a_gradient_reaches(body: list[dict]) -> None:
    model, rows = described(body)
    assert measure_reach(model[: len(body)], 112) == rows_of(rows, len(body) - 1).receptive_field


@pytest.mark.parametrize(
    "layer",
    [
        {"kind": "squeeze_excite"},
        {"kind": "self_attention"},
        {"kind": "instance_norm"},
        {"kind": "group_norm", "groups": 2},
    ],
)
def test_a_layer_that_looks_at_everything_has_the_whole_image(layer: dict) -> None:
    model, rows = described([STEM, layer])
    assert rows[1].receptive_field == 3 + 13 * 2 >= 28
    assert measure_reach(model[:2], 28) == 28


def rows_of(rows: list[trace.LayerDescription], place: int) -> trace.LayerDescription:
    return next(row for row in rows if row.name == str(place))


def measure_reach(network: nn.Sequential, side: int) -> int:
    """Return the extent of the pixels whose gradient reaches the middle of the output."""
    network = copy.deepcopy(network).double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.05, 0.1)  # so that no sigmoid is flat
    image = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    output = network(image)
    middle = output.shape[-1] // 2
    (gradient,) = torch.autograd.grad(output[0, 0, middle, middle], image)
    reached = torch.nonzero(gradient[0, 0])
    return int(reached.amax() - reached.amin()) + 1 if len(reached) else 0


def test_shared_weights_count_once_and_norms_stay_one_per_repetition() -> None:
    inner = [CONV | {"bias": False}, {"kind": "batch_norm"}, {"kind": "prelu"}]
    body = [{"kind": "residual", "layers": inner}, {"kind": "squeeze_excite"}]
    counts = {}
    for shared in (False, True):
        repeat = {"kind": "repeat", "times": 4, "shared": shared, "layers": body}
        model, rows = described([STEM, repeat])
        counts[shared] = count_parameters(model[1])
        assert sum(row.parameters for row in rows) == count_parameters(model)
        inside = [row for row in rows if row.name.startswith("1.")]
        assert len(inside) == 4 * 5
        assert sum(row.macs for row in inside) == 4 * (8 * 8 * 9 * 14 * 14 + 2 * 8 * 2)
        norms = {find_module(model, f"1.{number}.0.1") for number in range(4)}
        assert len(norms) == 4
    weights = 8 * 8 * 9 + 1 + (8 * 2 + 2) + (2 * 8 + 8)
    assert counts == {False: 4 * (weights + 16), True: weights + 4 * 16}


def test_shared_weights_are_shared_through_all_levels() -> None:
    inner = {"kind": "repeat", "times": 2, "layers": [CONV]}
    outer = {"kind": "repeat", "times": 3, "shared": True, "layers": [inner]}
    model, _ = described([STEM, outer])
    assert count_parameters(model[1]) == 2 * (8 * 8 * 9 + 8)
    for outer_number in (1, 2):
        for number in range(2):
            reused = find_module(model, f"1.{outer_number}.0.{number}.0")
            assert isinstance(reused, Reused)
            assert reused.module is find_module(model, f"1.0.0.{number}.0")
    both = outer | {"layers": [inner | {"shared": True}]}
    assert count_parameters(described([STEM, both])[0][1]) == 8 * 8 * 9 + 8


def test_a_strided_projection_is_shared_too() -> None:
    body = [{"kind": "residual", "layers": [CONV | {"stride": 2}]}]
    model, rows = described([STEM, {"kind": "repeat", "times": 2, "shared": True, "layers": body}])
    assert [row.parameters for row in rows if row.name.startswith("1.")] == [64, 584, 0, 0]
    assert find_module(model, "1.1.0").projection.module is find_module(model, "1.0.0").projection


def test_pooling_early_in_nested_layers_changes_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = [CONV, {"kind": "leaky_relu"}, {"kind": "dropout2d", "probability": 0.2}]
    inner += [{"kind": "relu"}, {"kind": "max_pool"}]
    body = [
        STEM,
        {"kind": "residual", "layers": inner},
        {"kind": "repeat", "times": 2, "shared": True, "layers": inner},
    ]
    fast = build([*body, *HEAD]).eval()
    assert [name for name, _ in fast[1].layers.named_children()] == ["0", "4", "1", "2", "3"]
    assert [name for name, _ in fast[2][1].named_children()] == ["0", "4", "1", "2", "3"]
    with monkeypatch.context() as patch:
        patch.setattr(trace, "pool_early", lambda model: model)
        plain = build([*body, *HEAD]).eval()
    plain.load_state_dict(fast.state_dict())
    images = torch.randn(8, 1, 28, 28)
    assert torch.equal(fast(images), plain(images))


def test_channels_stay_last_in_memory_through_every_kind() -> None:
    kinds = [
        {"kind": "separable_conv", "out_channels": 8, "kernel_size": 3},
        {"kind": "squeeze_excite"}, {"kind": "self_attention", "heads": 2},
        {"kind": "average_pool"}, {"kind": "hard_swish"}, {"kind": "gelu"}, {"kind": "batch_norm"},
    ]  # fmt: skip
    body = [STEM, *({"kind": "residual", "layers": [layer]} for layer in kinds)]
    model = build([*body, *HEAD]).to(memory_format=torch.channels_last)
    values = torch.randn(4, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    for module in model[: len(body)]:
        values = module(values)
        assert values.is_contiguous(memory_format=torch.channels_last), module


def test_dropout_in_nested_layers_draws_from_the_generator() -> None:
    inner = [CONV, {"kind": "dropout", "probability": 0.5}]
    body = [STEM, {"kind": "repeat", "times": 2, "layers": [{"kind": "residual", "layers": inner}]}]
    model = build([*body, *HEAD])
    images = torch.randn(4, 1, 28, 28)

    def run(seed: int) -> Tensor:
        seed_dropout(model, torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + 100)
        return model(images)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model(images)
    assert torch.equal(torch.get_rng_state(), before)


def residual(*layers: dict) -> dict:
    return {"kind": "residual", "layers": list(layers)}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            [residual(CONV | {"padding": 0})],
            "model.layers.0: residual: the input, 1 × 28 × 28, cannot be added to the output of "
            "its layers, 8 × 26 × 26. Let them keep the height and width, or divide them by a "
            "stride",
        ),
        ([residual({"kind": "flatten"})], "0: residual: the input, 1 × 28 × 28, cannot be added"),
        (
            [residual(residual(CONV | {"groups": 3}))],
            "model.layers.0.layers.0.layers.0: conv: in_channels must be divisible by groups",
        ),
        (
            [{"kind": "repeat", "times": 2, "shared": True, "layers": [CONV]}],
            "model.layers.0.layers.0: conv: the shared weights do not fit an input of "
            "8 × 28 × 28. Let every repetition keep the number of channels, or set shared = false",
        ),
        ([CONV, {"kind": "self_attention", "heads": 3}], "3 heads do not divide 8 channels"),
        ([CONV, {"kind": "group_norm", "groups": 3}], "1: group_norm: num_channels"),
        (
            [CONV, {"kind": "max_pool", "kernel_size": 28}, {"kind": "instance_norm"}],
            "2: instance_norm: one value per channel cannot be normalized: the input is "
            "8 × 1 × 1. Leave it out, or use batch_norm",
        ),
        (
            [CONV, {"kind": "max_pool", "kernel_size": 28}, {"kind": "group_norm", "groups": 8}],
            "2: group_norm: one value per group cannot be normalized",
        ),
        ([{"kind": "flatten"}, {"kind": "squeeze_excite"}], "1: squeeze_excite: the input has no"),
        ([{"kind": "flatten"}, {"kind": "self_attention"}], "1: self_attention: the input has no"),
        (
            [CONV | {"out_channels": 5_000, "kernel_size": 1}, {"kind": "self_attention"}],
            "1: self_attention: more than 20,000,000 parameters",
        ),
        (
            [CONV | {"out_channels": 2_000, "kernel_size": 1}, {"kind": "self_attention"}],
            "1: self_attention: too large",
        ),
        (
            [{"kind": "repeat", "times": 99, "layers": [CONV | {"out_channels": 512}]}],
            "model.layers.0.layers.0: conv: (more than 20,000,000 parameters|too large)",
        ),
        (
            [
                CONV | {"out_channels": 20_000, "kernel_size": 1},
                {"kind": "repeat", "times": 900, "layers": [{"kind": "relu"}]},
            ],
            "model.layers.1.layers.0: relu: too large for a network on 28 × 28 pixels",
        ),
        (
            [{"kind": "flatten"}, residual({"kind": "linear", "out_features": 20_000})],
            "1: residual: more than 20,000,000 parameters",
        ),
    ],
)  # fmt: skip
def test_an_impossible_nested_network_names_the_layer(body: list[dict], message: str) -> None:
    with pytest.raises(PresetError, match=message) as raised:
        describe_model(make([*body, *HEAD]))
    assert "\n" not in str(raised.value)


def test_a_projection_is_only_where_shapes_differ() -> None:
    def projection(*layers: dict) -> nn.Module:
        module = described([STEM, residual(*layers)])[0][1]
        assert isinstance(module, Residual)
        return module.projection

    assert isinstance(projection(CONV), nn.Identity)
    wide = projection(CONV | {"out_channels": 12})
    assert (wide.weight.shape, wide.stride, wide.bias) == ((12, 8, 1, 1), (1, 1), None)
    assert projection(CONV | {"stride": 2}).stride == (2, 2)
    # 14 pixels are four whole squares of 3, and every third of them would be five.
    assert projection({"kind": "average_pool", "kernel_size": 3}).stride == (4, 4)
    # Three halvings of 14 end at 2, as every eighth does; a stride of 7 would look elsewhere.
    assert projection(*[CONV | {"stride": 2}] * 3).stride == (8, 8)
    assert projection({"kind": "max_pool", "kernel_size": 14}).stride == (14, 14)
