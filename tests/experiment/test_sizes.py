"""Bytes of the integer model, before any training."""

import pytest
import torch

from mnistcli.experiment.network import build_plain
from mnistcli.experiment.sizes import count_sizes
from mnistcli.experiment.summary import summarize
from mnistcli.export.c_header import count_memory
from mnistcli.export.convert import convert
from mnistcli.export.memory import count_constants
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset

BUDGET = "flash<=16KiB, ram<=4KiB"
TINY = (
    "model.layers=[{kind='conv', out_channels=4, kernel_size=3, stride=2, bias=false},"
    "{kind='batch_norm'}, {kind='relu'}, {kind='global_average_pool'},"
    "{kind='linear', out_features=10}]"
)


def load(*overrides: str, name: str = "sprint") -> Preset:
    return load_preset(name, overrides, BUDGET)


def test_sizes_are_those_counted_by_hand() -> None:
    """Weights have a byte, biases 4, multipliers 2; an average has multipliers, too.

    Row by row, there are three rows of the image, one of the layer, four sums of 4 bytes and their
    means; and for how far the image is a byte, one for each of three stages, and two for each of
    the four values.
    """
    sizes = count_sizes(load(TINY))
    assert sizes is not None
    assert sizes.constants == 4 * 9 + 4 * 6 + 4 * 2 + 4 * 10 + 10 * 6
    assert sizes.memory == 3 * 28 + 4 * 14 + 4 * 4 + 4 + (1 + 3 + 2 * 4)


@pytest.mark.parametrize("name", ["sprint", "dash", "journey-v3"])
def test_they_are_those_of_other_weights(name: str) -> None:
    preset = load(name=name)
    torch.manual_seed(5)
    model = build_plain(preset)
    with torch.no_grad():
        for values in model.parameters():
            values += 0.05 * torch.randn(values.shape)
    images = torch.randint(256, (8, 1, 28, 28), dtype=torch.uint8)
    converted = convert(model, preset.normalization, images)  # type: ignore[arg-type]
    sizes = count_sizes(preset)
    assert sizes is not None
    memory = [count_memory(converted, stream=stream) for stream in (False, True)]
    assert sizes.constants == count_constants(converted)
    assert (sizes.memory, sizes.stream) == (min(memory), memory[1] < memory[0])


def test_without_an_integer_form_they_are_unknown() -> None:
    layers = TINY.replace("{kind='relu'}", "{kind='squeeze_excite'}")
    summary = summarize(load(layers))
    assert [(check.value, check.verdict) for check in summary.checks] == [
        (None, "inconclusive"),
        (None, "inconclusive"),
    ]
    assert "squeeze_excite cannot be computed in integers" in (summary.checks[0].reason or "")


def test_they_are_counted_only_for_a_budget_that_limits_them() -> None:
    assert count_sizes(load_preset("sprint")) is None


def test_a_deep_network_has_sizes() -> None:
    conv = "{kind='conv', out_channels=16, kernel_size=3}"
    deep = (
        "model.layers=[{kind='conv', out_channels=16, kernel_size=4, stride=4}, {kind='repeat',"
        f"times=60, shared=true, layers=[{conv}, {{kind='batch_norm'}}, {{kind='relu'}}]}},"
        "{kind='global_average_pool'}, {kind='linear', out_features=10}]"
    )
    sizes = count_sizes(load(deep))
    assert sizes is not None
    assert sizes.fault is None
