import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mnistcli.engine.network import layers
from mnistcli.engine.network.build import seed_dropout
from mnistcli.engine.network.layers import BatchNorm, Flatten, SeededDropout


@pytest.mark.parametrize("shape", [(4_000, 7), (400, 50, 3, 3)])
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("probability", [0.05, 0.25, 0.9])
def test_dropout_drops_its_fraction_and_keeps_the_mean(
    shape: tuple[int, ...], channels: bool, probability: float
) -> None:
    dropout = SeededDropout(probability, channels=channels)
    values = torch.ones(shape)
    seed_dropout(dropout, torch.Generator().manual_seed(0))
    first = dropout(values)
    assert (first == 0).float().mean().item() == pytest.approx(probability, abs=0.02)
    assert first.max().item() == pytest.approx(1 / (1 - probability))
    if len(shape) == 4:
        whole = (first.flatten(2) == 0).float().mean(2)
        assert bool(((whole == 0) | (whole == 1)).all()) is channels
    seed_dropout(dropout, torch.Generator().manual_seed(0))
    assert torch.equal(dropout(values), first)
    assert torch.equal(dropout.eval()(values), values)


def test_dropout_is_even_over_places_and_passes_its_gradient() -> None:
    dropout = SeededDropout(0.5, channels=False)
    seed_dropout(dropout, torch.Generator().manual_seed(0))
    values = torch.ones(4_000, 8, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    kept = dropout(values)
    assert kept.is_contiguous(memory_format=torch.channels_last)
    assert (kept != 0).float().mean(dim=0).sub(0.5).abs().max() < 0.05
    (gradient,) = torch.autograd.grad(kept.sum(), values)
    assert torch.equal(gradient, kept)


def compare(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> dict[str, Tensor]:
    """Return the largest differences between this package's and PyTorch's batch normalization."""
    torch.manual_seed(seed)
    ours, theirs = BatchNorm(shape[1], momentum=0.3), nn.BatchNorm2d(shape[1], momentum=0.3)
    nn.init.uniform_(theirs.weight, -2, 2)
    nn.init.uniform_(theirs.bias, -1, 1)
    ours.load_state_dict(theirs.state_dict())
    offset = torch.arange(shape[1]).view(1, -1, 1, 1)
    values = (torch.randn(shape) * 2 + offset).to(dtype).to(memory_format=torch.channels_last)
    assert layers._can_fold(values)
    gradient = torch.randn_like(values)
    found = []
    for module in (ours, theirs):
        inputs = values.detach().requires_grad_()
        output = module(inputs)
        torch.autograd.backward(output, gradient)
        found.append(
            [output.detach(), inputs.grad, module.weight.grad, module.bias.grad,
             module.running_mean, module.running_var]
        )  # fmt: skip
    names = ("output", "gradient", "weight", "bias", "running_mean", "running_var")
    return {
        name: (mine.float() - other.float()).abs().max() / other.float().abs().max().clamp(min=1)
        for name, mine, other in zip(names, *found, strict=True)
    }


@given(
    channels=st.sampled_from([1, 2, 4, 8]), images=st.integers(1, 9),
    seed=st.integers(0, 1_000), wide=st.sampled_from([torch.float32, torch.bfloat16]),
)  # fmt: skip
@settings(max_examples=25)
def test_folded_batch_norm_is_pytorchs(
    channels: int, images: int, seed: int, wide: torch.dtype
) -> None:
    tolerance = 1e-4 if wide is torch.float32 else 2e-2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "WORTH_FOLDING", 1)
        differences = compare((images * 2, channels, 16, 12), wide, seed)
    assert all(difference < tolerance for difference in differences.values()), differences


def test_batch_norm_outside_training_or_elsewhere_is_pytorchs_own() -> None:
    ours, theirs = BatchNorm(8).eval(), nn.BatchNorm2d(8).eval()
    values = torch.randn(128, 8, 28, 28)
    assert torch.equal(ours(values), theirs(values))
    assert not layers._can_fold(values), "channels do not lie beside each other"
    assert layers._can_fold(values.to(memory_format=torch.channels_last))
    assert not layers._can_fold(torch.randn(64, 6, 28, 28).to(memory_format=torch.channels_last))


def test_flatten_is_pytorchs_and_keeps_the_order_of_the_memory() -> None:
    values = torch.randn(3, 4, 2, 2).contiguous(memory_format=torch.channels_last)
    values.requires_grad_()
    seen = []
    between = values * 1
    flat = Flatten()(between)
    between.register_hook(seen.append)
    assert flat.equal(nn.Flatten()(values))
    weights = torch.randn(3, 16)
    (flat * weights).sum().backward()
    assert values.grad.equal(weights.view(3, 4, 2, 2))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert Flatten()(torch.ones(2, 5)).shape == (2, 5)
