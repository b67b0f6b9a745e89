"""Every kind of layer, against formulas written by hand or another implementation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import SqueezeExcitation

from tests.engine.network.nested import HEAD, build

CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
STEM = CONV | {"stride": 2}
VALUES = torch.randn(5, 8, 14, 14, generator=torch.Generator().manual_seed(0))


def module(layer: dict) -> nn.Module:
    """The layer after a convolution to 8 × 14 × 14, with no weight as it is initialized."""
    made = build([STEM, layer, *HEAD])[1].eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def close(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and torch.allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        ({"kind": "relu"}, lambda x: x * (x > 0)),
        ({"kind": "leaky_relu"}, lambda x: torch.where(x > 0, x, 0.01 * x)),
        ({"kind": "leaky_relu", "slope": 0.2}, lambda x: torch.where(x > 0, x, 0.2 * x)),
        ({"kind": "silu"}, lambda x: x / (1 + torch.exp(-x))),
        ({"kind": "gelu"}, lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2),
        ({"kind": "hard_swish"}, lambda x: x * (x + 3).clamp(0, 6) / 6),
        ({"kind": "average_pool"}, lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))),
        (
            {"kind": "average_pool", "kernel_size": 4},
            lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5)),
        ),
        ({"kind": "global_average_pool"}, lambda x: x.flatten(2).mean(2)),
    ],
)
def test_a_layer_without_weights_is_its_formula(
    layer: dict, formula: Callable[[Tensor], Tensor]
) -> None:
    made = build([STEM, layer, {"kind": "flatten"}, HEAD[1]])[1].eval()
    assert close(made(VALUES), formula(VALUES))


def test_prelu_has_one_slope_a_quarter_at_first() -> None:
    made = build([STEM, {"kind": "prelu"}, *HEAD])[1]
    assert made.weight.tolist() == [0.25]
    assert close(made(VALUES), torch.where(VALUES > 0, VALUES, 0.25 * VALUES))


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_group_norm_normalizes_every_group_of_an_image(groups: int) -> None:
    made = module({"kind": "group_norm", "groups": groups})
    parts = VALUES.view(5, groups, -1)
    spread = (parts.var(dim=2, correction=0, keepdim=True) + 1e-5).sqrt()
    plain = ((parts - parts.mean(dim=2, keepdim=True)) / spread).view(VALUES.shape)
    assert close(made(VALUES), plain * made.weight.view(8, 1, 1) + made.bias.view(8, 1, 1))


@pytest.mark.parametrize("training", [False, True])
def test_instance_norm_normalizes_every_channel_of_an_image(training: bool) -> None:
    made = module({"kind": "instance_norm"}).train(training)
    spread = (VALUES.var(dim=(2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    plain = (VALUES - VALUES.mean(dim=(2, 3), keepdim=True)) / spread
    assert close(made(VALUES), plain * made.weight.view(8, 1, 1) + made.bias.view(8, 1, 1))


@pytest.mark.parametrize(("kernel", "dilation", "side"), [(3, 2, 14), (3, 3, 14), (2, 2, 14)])
def test_dilation_spreads_the_kernel(kernel: int, dilation: int, side: int) -> None:
    made = module(CONV | {"kernel_size": kernel, "dilation": dilation})
    extent = (kernel - 1) * dilation + 1
    spread = torch.zeros(8, 8, extent, extent)
    spread[:, :, ::dilation, ::dilation] = made.weight
    wanted = functional.conv2d(VALUES, spread, made.bias, padding=extent // 2)
    assert close(made(VALUES), wanted)
    assert wanted.shape[-1] == side


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_separable_conv_convolves_channels_and_then_mixes_them(
    bias: bool, stride: int, dilation: int
) -> None:
    layer = {
        "kind": "separable_conv", "out_channels": 12, "kernel_size": 3, "stride": stride,
        "dilation": dilation, "bias": bias,
    }  # fmt: skip
    made = module(layer)
    each = [
        functional.conv2d(
            VALUES[:, c : c + 1], made.depthwise.weight[c : c + 1], stride=stride,
            padding=dilation, dilation=dilation,
        )
        for c in range(8)
    ]  # fmt: skip
    mixed = torch.einsum("nchw,oc->nohw", torch.cat(each, 1), made.pointwise.weight[:, :, 0, 0])
    wanted = mixed + made.pointwise.bias.view(12, 1, 1) if bias else mixed
    assert close(made(VALUES), wanted)
    assert sum(p.numel() for p in made.parameters()) == 8 * 9 + 8 * 12 + 12 * bias


@pytest.mark.parametrize(("reduction", "hidden"), [(4, 2), (3, 2), (1, 8), (100, 1)])
def test_squeeze_excite_is_torchvisions(reduction: int, hidden: int) -> None:
    made = module({"kind": "squeeze_excite", "reduction": reduction})
    other = SqueezeExcitation(8, hidden)
    weights = [made.squeeze.weight, made.squeeze.bias, made.excite.weight, made.excite.bias]
    with torch.no_grad():
        for own, given in zip(other.parameters(), weights, strict=True):
            own.copy_(given.view(own.shape))
    assert close(made(VALUES), other(VALUES))


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_self_attention_is_pytorchs_over_the_positions(heads: int) -> None:
    made = module({"kind": "self_attention", "heads": heads})
    other = nn.MultiheadAttention(8, heads, batch_first=True)
    weights = [made.inputs.weight, made.inputs.bias, made.outputs.weight, made.outputs.bias]
    with torch.no_grad():
        for own, given in zip(other.parameters(), weights, strict=True):
            own.copy_(given)
    tokens = VALUES.flatten(2).transpose(1, 2)
    wanted = other(tokens, tokens, tokens, need_weights=False)[0].transpose(1, 2)
    assert close(made(VALUES), wanted.reshape(VALUES.shape))
    assert sum(p.numel() for p in made.parameters()) == sum(p.numel() for p in other.parameters())


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_adds_its_input_or_a_projection_of_it(stride: int) -> None:
    body = [CONV | {"stride": stride, "bias": False}, {"kind": "silu"}]
    made = module({"kind": "residual", "layers": body})
    wanted = functional.silu(
        functional.conv2d(VALUES, made.layers[0].weight, stride=stride, padding=1)
    )
    if stride == 1:
        wanted = wanted + VALUES
    else:
        kernel = made.projection.weight[:, :, 0, 0]
        wanted = wanted + torch.einsum("nchw,oc->nohw", VALUES[:, :, ::2, ::2], kernel)
    assert close(made(VALUES), wanted)


@pytest.mark.parametrize("shared", [False, True])
def test_a_repeat_applies_its_layers_again(shared: bool) -> None:
    body = [CONV | {"bias": False}, {"kind": "instance_norm"}, {"kind": "relu"}]
    made = module({"kind": "repeat", "times": 3, "shared": shared, "layers": body})
    wanted = VALUES
    for number in range(3):
        kernel = made[0 if shared else number][0].weight
        norm = made[number][1]
        wanted = functional.conv2d(wanted, kernel, padding=1)
        wanted = functional.instance_norm(wanted, weight=norm.weight, bias=norm.bias).relu()
    assert close(made(VALUES), wanted)


def test_shared_weights_get_the_gradients_of_all_repetitions() -> None:
    body = [CONV | {"bias": False}, {"kind": "relu"}]
    made = module({"kind": "repeat", "times": 3, "shared": True, "layers": body})
    made(VALUES).square().sum().backward()
    kernel = made[0][0].weight.detach().clone().requires_grad_()
    values = VALUES
    for _ in range(3):
        values = functional.conv2d(values, kernel, padding=1).relu()
    values.square().sum().backward()
    assert torch.allclose(made[0][0].weight.grad, kernel.grad, rtol=1e-4)
