import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnistcli.engine.muon import orthogonalize
from mnistcli.engine.optim import build_optimizer, build_schedule
from mnistcli.errors import PresetError
from mnistcli.preset import training as spec

OTHERS = spec.AdamW(kind="adamw", learning_rate=0.02, betas=(0.7, 0.9))
MUON = spec.Muon(kind="muon", learning_rate=0.2, momentum=0.8, others=OTHERS)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(96, 10)
    )


def move(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    inputs = torch.linspace(-1, 1, 128).view(2, 1, 8, 8)
    for _ in range(steps):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()


@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 2**31))
def test_orthogonalizing_keeps_directions_and_evens_their_lengths(
    rows: int, columns: int, seed: int
) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    found = orthogonalize(matrix)
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    turned = left.T @ found.double() @ right.T
    assert torch.allclose(turned, torch.diag(turned.diagonal()), atol=1e-4)
    assert (turned.diagonal() > -1e-4).all()
    assert turned.diagonal().max() < 1.3
    # A direction a tenth as long as the longest comes out no less than half as long.
    long = values > 0.1 * values.norm()
    assert (turned.diagonal()[long] > 0.5).all()


def test_all_but_kernels_over_channels_move_as_adamw_moves_them() -> None:
    ours, theirs = network(), network()
    optimizer = build_optimizer(MUON, ours.parameters())
    kernel = theirs[2].weight
    plain = torch.optim.AdamW(
        [p for p in theirs.parameters() if p is not kernel], lr=0.02, betas=(0.7, 0.9)
    )
    move(ours, optimizer, 1)
    move(theirs, plain, 1)
    before = network()[2].weight
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6) == (name != "2.weight"), name
    assert kernel.equal(before)


def test_a_kernel_moves_by_the_rate_along_every_direction() -> None:
    model = network()
    before = model[2].weight.detach().clone()
    move(model, build_optimizer(MUON, model.parameters()), 1)
    lengths = torch.linalg.svdvals((model[2].weight.detach() - before).flatten(1))
    assert lengths.max() < 0.2 * 1.3
    assert lengths.max() > 0.2 * 0.5


def test_one_schedule_moves_both_rates_in_their_proportion() -> None:
    optimizer = build_optimizer(MUON, network().parameters())
    one_cycle = spec.OneCycle(kind="one_cycle", max_learning_rate=0.4, cycle_momentum=False)
    schedule = build_schedule(one_cycle, optimizer, epochs=1, total_steps=20)
    peaks = [0.0, 0.0]
    for _ in range(20):
        optimizer.step()
        rates = [group["lr"] for group in optimizer.param_groups]
        peaks = [max(pair) for pair in zip(peaks, rates, strict=True)]
        assert rates[1] == pytest.approx(rates[0] / 10)
        schedule.scheduler.step()
    assert peaks == pytest.approx([0.4, 0.04])


def test_its_state_can_be_taken_over_in_mid_training() -> None:
    whole, parted = network(), network()
    move(whole, build_optimizer(MUON, whole.parameters()), 6)
    first = build_optimizer(MUON, parted.parameters())
    move(parted, first, 3)
    second = build_optimizer(MUON, parted.parameters())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    move(parted, second, 3)
    for one, other in zip(whole.parameters(), parted.parameters(), strict=True):
        assert one.equal(other)


def test_a_network_without_such_kernels_is_refused() -> None:
    with pytest.raises(PresetError, match="Use adamw"):
        build_optimizer(MUON, nn.Linear(3, 4).parameters())
