"""Pruning computes what the trained network computes without its removed channels or weights."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mnistcli.engine.network.build import build_model
from mnistcli.engine.optim import build_optimizer
from mnistcli.engine.prune import (
    clear_smallest,
    copy_values,
    count_weights,
    find_largest,
    keep_zero,
    list_weights,
)
from mnistcli.errors import PresetError
from mnistcli.preset.channels import ChannelPlan, plan_channels
from mnistcli.preset.training import SGD, AdamW, Muon, Optimizer
from tests.engine.network.nested import HEAD, bodies, build, make

pytestmark = pytest.mark.usefixtures("without_onednn")
ADAMW = AdamW(kind="adamw", learning_rate=0.1)
CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3, "stride": 2}


def shake(model: nn.Module) -> nn.Module:
    """Give biases, scales and statistics random values too, and compute in float64."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.dim() == 1:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return model.double().eval()


def mask_removed(model: nn.Module, plan: ChannelPlan, kept: dict[int, Tensor]) -> None:
    """Let every layer read zeros from the channels that a plan removes."""
    for place in plan.places:
        if place.inputs not in kept:
            continue
        count = plan.counts[place.inputs]
        mask = torch.zeros(count, dtype=torch.float64)
        mask[kept[place.inputs]] = 1

        def clear(module: nn.Module, inputs: tuple[Tensor], mask: Tensor = mask) -> tuple[Tensor]:
            (values,) = inputs
            own = mask.repeat_interleave(values.shape[1] // len(mask))
            return (values * own.view(1, -1, *[1] * (values.dim() - 2)),)

        model.get_submodule(place.name).register_forward_pre_hook(clear)


@settings(max_examples=25)
@given(bodies, st.sampled_from([0.2, 0.5, 0.8]))
def test_a_pruned_network_computes_the_same_without_the_removed_channels(
    body: list[dict], fraction: float
) -> None:
    # Of squeeze and excitation, inner features are removed too.
    text = str(body)
    assume("squeeze_excite" not in text and "Attention" not in text)
    layers = make([*body, *HEAD])
    try:
        plan = plan_channels(layers, fraction)
        trained = shake(build([*body, *HEAD]))
    except (PresetError, ValueError):
        assume(False)
    pruned = build_model(plan.layers, torch.Generator()).double().eval()
    copy_values(trained, pruned, plan)
    kept: dict[int, Tensor] = {}
    weights = trained.state_dict()
    for place in plan.places:
        if place.outputs in plan.kept and place.outputs not in kept:
            part = "" if place.layer.kind == "conv" else ".pointwise"
            filters = weights[f"{place.name}{part}.weight"]
            columns = kept.get(place.inputs, torch.arange(filters.shape[1]))
            kept[place.outputs] = find_largest(filters[:, columns], plan.kept[place.outputs])
    mask_removed(trained, plan, kept)
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(pruned(images), trained(images))


def test_squeeze_and_excitation_follows_its_channels() -> None:
    layers = [CONV, {"kind": "squeeze_excite", "reduction": 2}, *HEAD]
    plan = plan_channels(make(layers), 0.5)
    trained = shake(build(layers))
    with torch.no_grad():
        trained[1].excite.bias.copy_(torch.arange(8))
    pruned = build_model(plan.layers, torch.Generator()).double()
    copy_values(trained, pruned, plan)
    channels = find_largest(trained[0].weight, 4)
    hidden = find_largest(trained[1].squeeze.weight[:, channels], 2)
    assert torch.equal(pruned[1].excite.bias, channels.double())
    assert torch.equal(pruned[1].excite.weight, trained[1].excite.weight[channels][:, hidden])
    assert torch.equal(pruned[1].squeeze.weight, trained[1].squeeze.weight[hidden][:, channels])
    assert torch.equal(pruned[1].squeeze.bias, trained[1].squeeze.bias[hidden])


def test_the_filters_with_the_largest_norms_are_kept_in_their_order() -> None:
    filters = torch.tensor([1.0, -3.0, 2.0, 3.0, 2.0])[:, None, None, None].expand(5, 2, 3, 3)
    assert find_largest(filters, 3).tolist() == [1, 2, 3]
    assert find_largest(filters, 5).tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=20)
@given(st.floats(0, 1))
def test_the_smallest_weights_of_all_layers_become_zero(fraction: float) -> None:
    model = build([CONV, {"kind": "batch_norm"}, *HEAD])
    before = {name: weight.detach().clone() for name, weight in list_weights(model).items()}
    masks = clear_smallest(model, fraction)
    total, non_zero = count_weights(model)
    assert total == 72 + 80
    assert total - non_zero == round(fraction * total)
    cut = torch.cat([before[name][mask].abs() for name, mask in masks.items()])
    left = torch.cat([before[name][~mask].abs() for name, mask in masks.items()])
    assert not len(cut) or not len(left) or cut.max() <= left.min()
    for name, weight in list_weights(model).items():
        assert torch.equal(weight == 0, masks[name])
        assert torch.equal(weight[~masks[name]], before[name][~masks[name]])


@pytest.mark.parametrize(
    "optimizer_settings",
    [
        ADAMW,
        SGD(kind="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.1),
        Muon(kind="muon", learning_rate=0.1, others=ADAMW),
    ],
)
def test_a_step_keeps_pruned_weights_at_zero_and_moves_all_others(
    optimizer_settings: Optimizer,
) -> None:
    model = build([CONV, CONV, *HEAD])
    masks = clear_smallest(model, 0.5)
    weights = list_weights(model)
    optimizer = build_optimizer(optimizer_settings, model.parameters())
    keep_zero(optimizer, [(weights[name], mask) for name, mask in masks.items()])
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    for _ in range(2):
        model(torch.rand(4, 1, 28, 28)).square().sum().backward()
        optimizer.step()
    for name, weight in weights.items():
        assert torch.equal(weight == 0, masks[name])
        assert (weight != before[name])[~masks[name]].all()
