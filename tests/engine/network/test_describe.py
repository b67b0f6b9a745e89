"""The description of any module, against PyTorch's own counters and the formula of the fields."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mnistcli.engine.network.build import build_described
from mnistcli.engine.network.describe import OUTSIDE, UNUSED, describe_module, measure_reach
from mnistcli.preset.loading import load_preset

CHANNELS = 4
SIMPLE = ["conv", "depthwise", "norm", "relu", "own weight", "functional pool", "buffer", "spare"]
steps = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: st.tuples(
        st.sampled_from(["sequence", "residual", "list", "twice"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


class Step(nn.Module):
    """A step of a random network; float (n, 4, h, w) to the same channels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        if kind == "conv":
            self.layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        elif kind == "depthwise":
            self.layer = nn.Conv2d(CHANNELS, CHANNELS, 2, padding=1, groups=CHANNELS, bias=False)
        elif kind == "norm":
            self.layer = nn.BatchNorm2d(CHANNELS)
        elif kind == "own weight":
            self.weight = nn.Parameter(torch.randn(CHANNELS, CHANNELS, 1, 1))
        elif kind == "buffer":
            self.register_buffer("shift", torch.ones(1), persistent=False)
        elif kind == "spare":
            self.spare = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        match self.kind:
            case "own weight":
                return F.conv2d(x, self.weight)
            case "functional pool":
                return F.max_pool2d(x, 2) if x.shape[-1] > 3 else x
            case "buffer":
                return x + self.shift
            case "spare":
                return x
            case "relu":
                return F.relu(x)
        return self.layer(x)


class Group(nn.Module):
    """Steps in a Sequential, in a ModuleList, with a sum around them, or all run twice."""

    def __init__(self, kind: str, inner: list) -> None:
        super().__init__()
        self.kind = kind
        parts = [make(each) for each in inner]
        self.parts = nn.Sequential(*parts) if kind == "sequence" else nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "sequence":
            return self.parts(x)
        y = x
        for _ in range(2 if self.kind == "twice" else 1):
            for part in self.parts:
                y = part(y)
        if self.kind == "residual":
            return F.adaptive_avg_pool2d(x, y.shape[-1]) + y
        return y


class Net(nn.Module):
    def __init__(self, body: list, *, tied: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS, 3, stride=2)
        self.body = nn.ModuleList(make(each) for each in body)
        self.again = self.body[0]  # the same module under a second name
        self.head = nn.Linear(CHANNELS, 10)
        self.out = nn.Linear(10, 10)
        self.last = nn.Linear(10, 10)
        if tied:
            self.last.weight = self.out.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for each in self.body:
            x = each(x)
        x = self.again(x)
        x = self.out(self.head(x.mean(dim=(2, 3))))
        return self.last(x) @ torch.ones(10, 10)


def make(step: str | tuple) -> nn.Module:
    return Step(step) if isinstance(step, str) else Group(*step)


@pytest.mark.slow
@given(st.lists(steps, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60)
def test_the_description_of_any_module_is_what_pytorch_says(body: list, tied: bool) -> None:
    module = Net(body, tied=tied).eval()
    names = {each: name for name, each in module.named_modules()}
    shapes: dict[str, tuple[int, ...]] = {}
    for each in names:
        each.register_forward_hook(lambda own, _, y: shapes.update({names[own]: (*y.shape[1:],)}))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 1, 28, 28))
    rows = {row.name: row for row in describe_module(module)}
    assert sum(row.macs for row in rows.values()) * 2 == counter.get_total_flops()
    unique = {id(each): each.numel() for each in module.parameters()}
    assert sum(row.parameters for row in rows.values()) == sum(unique.values())
    assert {name: row.output_shape for name, row in rows.items() if name not in {OUTSIDE, UNUSED}
            } == {name: shape for name, shape in shapes.items() if name}  # fmt: skip
    spare = sum(isinstance(each, Step) and each.kind == "spare" for each in names)
    assert (rows[UNUSED].parameters if UNUSED in rows else 0) == spare * 20
    # Of modules with a single name, what PyTorch counts in them is in their row and those in it.
    counted = counter.get_flop_counts()
    for name in ("stem", "head", "out", "last"):
        assert 2 * rows[name].macs == sum(counted[f"Net.{name}"].values())
    for number in range(1, len(body)):
        prefix = f"body.{number}"
        own = sum(r.macs for n, r in rows.items() if n == prefix or n.startswith(f"{prefix}."))
        assert 2 * own == sum(counted.get(f"Net.{prefix}", {}).values())


@pytest.mark.slow
def test_the_measured_field_is_that_of_the_formula() -> None:
    """At the kinds of layers that stay in their place when the network is built."""
    compared = 0
    for name in ("dualblock", "journey-v3", "onebyone", "sevenconv", "optimizednet", "sprint"):
        preset = load_preset(name)
        model, rows = build_described(preset.model.scaled_layers, torch.Generator())
        found = measure_reach(model)
        for row in rows:
            if row.name in found and row.kind not in {"relu", "dropout2d"}:
                # A stride may leave the last column of pixels out.
                short = name.startswith("sprint") and row.kind in {"flatten", "linear"}
                assert found[row.name] == min(28, row.receptive_field) - short, (name, row)
                compared += 1
    assert compared > 50


def field(*layers: nn.Module) -> int:
    """The measured field of the last of these layers, with the usual head after them."""
    torch.manual_seed(0)
    module = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.LazyLinear(10))
    module(torch.zeros(1, 1, 28, 28))
    return measure_reach(module)[str(len(layers) - 1)]


class Sum(nn.Module):
    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def zero(layer: nn.Conv2d | nn.BatchNorm2d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    return layer


def test_the_measured_field_sees_what_training_will_see() -> None:
    assert field(nn.Conv2d(1, 4, 4), nn.Conv2d(4, 4, 2)) == 5
    assert field(nn.Conv2d(1, 4, 3, dilation=3), nn.Conv2d(4, 4, 3, dilation=2)) == 11
    assert field(nn.Conv2d(1, 4, 5, stride=3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 2)) == 14
    assert field(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(2)) == 28
    stem = nn.Conv2d(1, 4, 3, padding=1)
    branch = [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    assert field(stem, Sum(*branch, zero(nn.Conv2d(4, 4, 3, padding=1)))) == 7
    assert field(stem, Sum(*branch, zero(nn.BatchNorm2d(4)))) == 5


def test_the_measured_field_finds_the_corners_behind_three_max_poolings() -> None:
    layers: list[nn.Module] = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    for _ in range(2):
        layers += [nn.Conv2d(4, 4, 1), nn.ReLU(), nn.MaxPool2d(2)]
    assert field(*layers) == 10


def test_describing_changes_no_setting_of_pytorch() -> None:
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    flash = torch.backends.cuda.flash_sdp_enabled()
    describe_module(nn.Sequential(nn.Flatten(2), nn.Flatten(1), nn.Linear(784, 10)))
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled)
    assert flash == torch.backends.cuda.flash_sdp_enabled()
