import pytest
import torch
import torchinfo
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mnistcli.engine.device import make_generator
from mnistcli.engine.network.build import (
    build_model,
    count_parameters,
    describe_model,
    seed_dropout,
)
from mnistcli.errors import PresetError
from mnistcli.preset.layers import Conv, Layer
from mnistcli.preset.loading import list_presets, load_preset

LAYERS = TypeAdapter(tuple[Layer, ...])
PARAMETERS = {
    "optimizednet-published": 421_642,
    "dualblock": 19_578,
    "journey-v1": 420_614,
    "journey-v2": 99_746,
    "sevenconv": 13_226,
    "onebyone": 19_114,
}

width = st.integers(1, 12)
convs = st.builds(
    lambda c, k, s, p, bias: {
        "kind": "conv", "out_channels": c, "kernel_size": k, "stride": s, "padding": p, "bias": bias
    },
    width, st.integers(1, 5), st.integers(1, 2), st.integers(0, 2), st.booleans(),
)  # fmt: skip
plain = st.sampled_from(
    [
        {"kind": "batch_norm"},
        {"kind": "relu"},
        {"kind": "max_pool"},
        {"kind": "dropout", "probability": 0.1},
        {"kind": "dropout2d", "probability": 0.1},
    ]
)
endings = st.sampled_from(["flatten", "global_average_pool", "global_max_pool"])
stacks = st.builds(
    lambda body, ending, hidden: [
        *body,
        {"kind": ending},
        *({"kind": "linear", "out_features": n} for n in (*hidden, 10)),
    ],
    st.lists(convs | plain, max_size=6), endings, st.lists(width, max_size=2),
)  # fmt: skip

HEAD = [{"kind": "global_average_pool"}, {"kind": "linear", "out_features": 10}]


def make(layers: list[dict]) -> tuple[Layer, ...]:
    return LAYERS.validate_python([{**layer} for layer in layers])


def build(layers: tuple[Layer, ...], seed: int = 0) -> nn.Sequential:
    return build_model(layers, make_generator(seed, "weights"))


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_documented_systems_have_exactly_their_parameters(name: str, parameters: int) -> None:
    assert count_parameters(build(load_preset(name).model.layers)) == parameters


def test_optimizednet_fits_its_budget() -> None:
    assert count_parameters(build(load_preset("optimizednet").model.layers)) < 25_000


def compare_with_torchinfo(layers: tuple[Layer, ...]) -> None:
    described = describe_model(layers)
    model = build(layers)
    summary = torchinfo.summary(model, (1, 1, 28, 28), verbose=0, device="cpu", mode="eval")
    names = [name for name, _ in model.named_children()]
    by_name = dict(zip(names, summary.summary_list[1:], strict=True))
    rows = [by_name[one.name] for one in described]
    if names == [one.name for one in described]:  # pooling early changes shapes in between
        assert [row.output_size[1:] for row in rows] == [
            list(one.output_shape) for one in described
        ]
    assert [row.num_params for row in rows] == [one.parameters for one in described]
    # torchinfo counts a bias as one multiply-add a position; here only products count.
    modules = dict(model.named_children())
    for row, one in zip(rows, described, strict=True):
        module = modules[one.name]
        if isinstance(module, nn.Conv2d | nn.Linear):
            positions = one.macs // module.weight.numel()
            biases = 0 if module.bias is None else module.bias.numel() * positions
            assert row.macs == one.macs + biases
    assert sum(one.parameters for one in described) == sum(
        {id(p): p.numel() for p in model.parameters()}.values()
    )


@pytest.mark.parametrize("name", list_presets())
def test_presets_agree_with_others_counts(name: str) -> None:
    layers = load_preset(name).model.layers
    if any(layer.kind in ("repeat", "residual") for layer in layers):
        compare_with_pytorch(layers)
    else:
        compare_with_torchinfo(layers)


def compare_with_pytorch(layers: tuple[Layer, ...]) -> None:
    """Compare the sums alone: torchinfo counts shared blocks more than once."""
    described, model = describe_model(layers), build(layers).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 28, 28))
    assert 2 * sum(one.macs for one in described) == counter.get_total_flops()
    distinct = {id(each): each.numel() for each in model.parameters()}
    assert sum(one.parameters for one in described) == sum(distinct.values())


@given(stacks)
@settings(max_examples=60)
def test_random_networks_agree_with_torchinfo(stack: list[dict]) -> None:
    layers = make(stack)
    try:
        describe_model(layers)
    except PresetError:
        assume(False)
    compare_with_torchinfo(layers)


@given(st.lists(convs | st.just({"kind": "max_pool"}), min_size=1, max_size=4))
@settings(max_examples=40)
def test_the_receptive_field_is_what_a_gradient_reaches(body: list[dict]) -> None:
    body = [{**layer, "padding": 0} if layer["kind"] == "conv" else layer for layer in body]
    ending = [{"kind": "global_average_pool"}, {"kind": "linear", "out_features": 10}]
    try:
        described = describe_model(make([*body, *ending]))
    except PresetError:
        assume(False)
    network = build(make([*body, *ending]))[: len(body)].eval().double()
    for module in network:
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
        if isinstance(module, nn.MaxPool2d):  # an average reaches what a maximum can reach
            network[list(network).index(module)] = nn.AvgPool2d(2)
    image = torch.zeros(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, 0, 0], image)
    reach = int(torch.nonzero(gradient[0, 0])[:, 1].max()) + 1
    assert reach == described[len(body) - 1].receptive_field


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"kind": "linear", "out_features": 10}], "0: linear: the input is 1 × 28 × 28"),
        ([{"kind": "flatten"}, {"kind": "max_pool"}], "1: max_pool: the input has no height"),
        ([{"kind": "conv", "out_channels": 2, "kernel_size": 31, "padding": 0}], "0: conv"),
        ([{"kind": "max_pool"}] * 5, "4: max_pool"),
        ([{"kind": "conv", "out_channels": 3, "kernel_size": 1, "groups": 2}], "0: conv"),
        ([{"kind": "flatten"}], "784 values, not 10"),
        ([{"kind": "conv", "out_channels": 10, "kernel_size": 3}], "10 × 28 × 28"),
        (
            [{"kind": "flatten"}, *({"kind": "linear", "out_features": 65_536} for _ in range(9))],
            "more than 20,000,000 parameters",
        ),
        ([{"kind": "conv", "out_channels": 65_536, "kernel_size": 3}] * 2, "too large"),
    ],
)
def test_an_impossible_network_names_the_layer(layers: list[dict], message: str) -> None:
    with pytest.raises(PresetError, match=message) as raised:
        describe_model(make(layers))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kernel", range(1, 29))
def test_the_default_padding_does_what_its_description_says(kernel: int) -> None:
    """At stride 1 an odd kernel keeps the size, and an even one makes it larger by 1."""
    layers = [{"kind": "conv", "out_channels": 2, "kernel_size": kernel}, *HEAD]
    first = describe_model(make(layers))[0]
    assert first.output_shape == (2, *[28 + (kernel % 2 == 0)] * 2)
    description = Conv.model_fields["padding"].description
    assert "odd" in description
    assert "even" in description


def test_initial_weights_depend_on_the_seed_alone() -> None:
    layers = load_preset("sprint").model.layers
    torch.manual_seed(1)
    first = build(layers, seed=3).state_dict()
    before = torch.get_rng_state()
    second = build(layers, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(layers, seed=4).state_dict()
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_pooling_early_changes_no_value_and_no_name() -> None:
    layers = load_preset("sevenconv").model.layers
    fast = build(layers).eval()
    names = [name for name, _ in fast.named_children()]
    assert names.index("7") < names.index("5"), "the pooling comes before ReLU and dropout"
    plain = nn.Sequential(*(fast[names.index(str(place))] for place in range(len(layers))))
    images = torch.randn(16, 1, 28, 28)
    assert torch.equal(fast(images), plain(images))
    fast.train()
    for model in (fast, plain):
        seed_dropout(model, torch.Generator().manual_seed(0))
        model(images).sum().backward()
    assert [name for name, _ in sorted(fast.named_children(), key=lambda one: int(one[0]))] == [
        str(place) for place in range(len(layers))
    ]


@pytest.mark.usefixtures("without_onednn")
@given(stacks)
@settings(max_examples=40)
def test_every_network_that_can_be_built_can_be_trained(stack: list[dict]) -> None:
    try:
        model = build(make(stack))
    except PresetError:
        assume(False)
    seed_dropout(model, torch.Generator().manual_seed(0))
    model.to(memory_format=torch.channels_last)(torch.randn(4, 1, 28, 28)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("before", ["relu", "global_max_pool", "global_average_pool", "flatten"])
def test_relu_may_follow_anything(before: str) -> None:
    layers = [{"kind": before}, {"kind": "relu"}, {"kind": "flatten"}]
    model = build(make([*layers, {"kind": "linear", "out_features": 10}]))
    images = torch.randn(4, 1, 28, 28, requires_grad=True)
    model(images).sum().backward()
    assert images.grad is not None
