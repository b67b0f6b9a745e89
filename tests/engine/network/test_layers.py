import pytest
import torch
from torch import nn

from mnistcli.engine.network.build import seed_dropout
from mnistcli.engine.network.layers import Flatten, SeededDropout


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
