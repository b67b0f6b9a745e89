"""The description of networks in every style equals what PyTorch, torchinfo and a pencil say."""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torchinfo
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mnistcli.engine.network.own import build_own
from mnistcli.experiment.code import find_code
from mnistcli.experiment.network import describe_network
from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset
from tests.networks.names import DOCUMENTS, EVERYTHING, HERE, NETWORKS, STYLES, load

LSTM = 28 * 4 * 48 * (28 + 48)
BY_HAND = {
    "unusual.py:Rows": LSTM + 48 * 10,
    "unusual.py:Attention": (
        49 * 32 * 16  # patches
        + 49 * 4 * 32 * 32  # queries, keys, values and outputs
        + 2 * 49 * 49 * 32  # all pairs of positions, twice
        + 2 * 49 * 32 * 64  # the two linear layers
        + 32 * 10
    ),
    "unusual.py:Tied": 64 * 8 * 25 + 512 * 16 + 16 * 512 + 512 * 16 + 2 * 16 * 16 + 16 * 10,
    "unusual.py:Functions": 24 * 24 * 8 * 25 + 8 * 12 * 12 * 10,
    "unusual.py:OwnWeights": 784 * 5 * 10 + 784 * 10,
    "unusual.py:Frozen": 12 * 12 * 16 * 25 + 576 * 10,
    "styles.py:SameModuleTwice": 28 * 28 * 16 * 9 + 2 * 14 * 14 * 16 * 16 * 9 + 784 * 10,
    "styles.py:DropoutByMode": 12 * 12 * 16 * 25 + 576 * 24 + 24 * 10,
}


def build(network: str) -> nn.Module:
    return build_own(find_code(load(network)), 0)


def count_macs(network: str) -> int:
    return sum(row.macs for row in describe_network(load(network), measured=False))


@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_are_those_that_pytorch_has(network: str) -> None:
    summary = summarize(load(network))
    own = list(build(network).parameters())
    assert summary.parameters == sum(each.numel() for each in own)
    assert summary.parameters == sum(row.parameters for row in summary.layers)
    assert summary.macs == sum(row.macs for row in summary.layers)
    assert summary.frozen_parameters == sum(e.numel() for e in own if not e.requires_grad)
    assert summary.is_measured


@pytest.mark.parametrize("network", EVERYTHING)
def test_multiply_accumulates_are_half_of_the_flops_that_pytorch_counts(network: str) -> None:
    module = build(network).eval()
    with torch.no_grad(), _plain_operators(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 1, 28, 28))
    assert count_macs(network) == counter.get_total_flops() // 2


@contextmanager
def _plain_operators() -> Iterator[None]:
    """Of attention and LSTM too, instead of single ones without a formula."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            yield
        torch.backends.mha.set_fastpath_enabled(fast)


@pytest.mark.parametrize("network", BY_HAND)
def test_multiply_accumulates_are_those_of_a_pencil(network: str) -> None:
    assert count_macs(network) == BY_HAND[network]


@pytest.mark.parametrize("name", STYLES)
def test_torchinfo_agrees(name: str) -> None:
    """It counts a bias and a normalization as multiply-accumulates, which these take off again."""
    module = build(f"styles.py:{name}").eval()
    for each in module.modules():
        if getattr(each, "bias", None) is not None:
            each.bias = None
        if isinstance(each, nn.BatchNorm2d):
            each.weight = None
    info = torchinfo.summary(module, (1, 1, 28, 28), verbose=0)
    assert count_macs(f"styles.py:{name}") == info.total_mult_adds


def test_the_table_of_the_command_shows_nested_modules_as_a_tree(cli: Callable) -> None:
    answer = cli("summary", HERE / "unusual.py:Encoder")
    assert answer.code == 0
    lines = answer.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("encoder "))
    assert [line[:11] for line in lines[place + 1 : place + 3]] == ["  self_attn", "  dropout1 "]
    assert any(line.startswith("  linear1    Linear  ") and "1,200" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_what_a_network_computes_itself_and_what_it_forgets_have_rows() -> None:
    rows = {row.name: row for row in summarize(load("unusual.py:Unused")).layers}
    assert rows["(unused)"].parameters == 12 * 12 * 9 + 12 + 5
    assert rows["(unused)"].output_shape == ()
    assert "(outside)" not in rows
    (row,) = summarize(load("unusual.py:Functions")).layers
    assert (row.name, row.kind, row.output_shape) == ("(outside)", "Functions", (10,))


def test_attention_has_the_parameters_that_it_uses() -> None:
    """It never calls its output layer, but computes with its weights."""
    rows = {row.name: row for row in summarize(load("unusual.py:Attention")).layers}
    assert rows["attention"].parameters == 4 * 32 * 32 + 4 * 32
    assert rows["(outside)"].parameters == 49 * 32
    assert "(unused)" not in rows


def test_warnings_and_frozen_parameters_are_said(cli: Callable) -> None:
    def warned(name: str) -> str:
        answer = cli("summary", HERE / name, "--json")
        (*found,) = json.loads(answer.out)["warnings"]
        assert answer.err == "".join(f"mnistcli: warning: {each}\n" for each in found)
        return " ".join(found)

    assert "returns probabilities. Return logits" in warned("styles.py:Softmax")
    assert "does not use 3 of its parameters: forgotten.bias" in warned("unusual.py:Unused")
    for quiet in ("styles.py:LogSoftmax", "unusual.py:Seldom", "unusual.py:Cached"):
        assert warned(quiet) == ""
    assert "(416 of them frozen)" in cli("summary", HERE / "unusual.py:Frozen").out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_documents_listing_has_the_counts_of_its_preset(name: str) -> None:
    preset, parameters = DOCUMENTS[name]
    listing, own = summarize(load(f"documents.py:{name}")), summarize(load_preset(preset))
    assert listing.parameters == own.parameters == parameters
    assert listing.macs == own.macs


def test_sevenconv_as_code_is_the_preset_layer_by_layer() -> None:
    kinds = {"Conv2d": "conv", "BatchNorm2d": "batch_norm", "ReLU": "relu", "MaxPool2d": "max_pool",
             "Dropout2d": "dropout2d", "Flatten": "flatten", "Linear": "linear"}  # fmt: skip
    code = summarize(load("documents.py:SevenConv")).layers
    preset = summarize(load_preset("sevenconv")).layers
    for one, other in zip(code, preset, strict=True):
        assert kinds[one.kind] == other.kind
        assert one.receptive_field == min(28, other.receptive_field), one.name
        for field in ("output_shape", "parameters", "macs"):
            assert getattr(one, field) == getattr(other, field), one.name
