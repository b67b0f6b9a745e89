"""Which channels can be pruned, and that the network that is left fits together."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnistcli.engine.network.build import describe_model
from mnistcli.errors import PresetError
from mnistcli.preset.channels import plan_channels
from mnistcli.preset.layers import Conv, SeparableConv
from mnistcli.preset.loading import load_preset, validate_preset
from mnistcli.preset.schema import Preset
from tests.engine.network.nested import HEAD, bodies, make
from tests.preset.test_scaling import flat

TRAIN = {"epochs": 3, "batch_size": 10, "optimizer": {"kind": "adam", "learning_rate": 0.1}}
CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
NORM, POOL = {"kind": "batch_norm"}, {"kind": "max_pool"}
PRUNE = {"kind": "channels", "fraction": 0.5, "epochs": 2}


def preset(layers: list[dict], prune: dict = PRUNE, **sections: object) -> Preset:
    content = {"title": "t", "model": {"layers": layers}, "train": TRAIN, "prune": prune}
    return validate_preset(content | sections, "it")


def fault(layers: list[dict], **sections: object) -> str:
    with pytest.raises(PresetError) as raised:
        preset(layers, **sections)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix('invalid preset "it": ')


def widths(layers: list[dict], fraction: float = 0.5) -> list[int]:
    """The output channels of the pruned convolutions."""
    return [
        layer.out_channels
        for layer in flat(plan_channels(make([*layers, *HEAD]), fraction).layers)
        if isinstance(layer, Conv | SeparableConv)
    ]


@pytest.mark.parametrize(
    ("fraction", "left"), [(0.3, [6, 8, 1]), (0.5, [4, 6, 1]), (0.9, [1, 1, 1]), (0.06, [8, 11, 1])]
)
def test_every_convolution_loses_the_same_fraction(fraction: float, left: list[int]) -> None:
    layers = [CONV, CONV | {"out_channels": 12}, CONV | {"out_channels": 1}]
    assert widths(layers, fraction) == left


def test_what_is_added_keeps_its_channels_and_what_is_inside_loses_some() -> None:
    block = {"kind": "residual", "layers": [CONV, NORM, CONV]}
    assert widths([CONV, block, CONV]) == [8, 4, 8, 4]
    wider = {"kind": "residual", "layers": [CONV, CONV | {"out_channels": 16}]}
    assert widths([CONV, wider]) == [8, 4, 16]


def test_a_layer_in_the_place_of_its_input_follows() -> None:
    depthwise = CONV | {"groups": 8}
    separable = CONV | {"kind": "separable_conv"}
    squeeze = {"kind": "squeeze_excite", "reduction": 2}
    each = {"kind": "group_norm", "groups": 8}
    assert widths([CONV, depthwise, each, squeeze, separable]) == [4, 4, 4]
    left = flat(plan_channels(make([CONV, depthwise, each, *HEAD]), 0.5).layers)
    assert left[1].groups == left[2].groups == 4


@pytest.mark.parametrize(
    "reader",
    [
        {"kind": "group_norm", "groups": 2},
        {"kind": "self_attention", "heads": 2},
        CONV | {"groups": 2},
        CONV | {"groups": 8, "out_channels": 16},
        {"kind": "repeat", "times": 2, "shared": True, "layers": [CONV]},
    ],
)
def test_groups_heads_and_shared_weights_keep_what_they_read(reader: dict) -> None:
    assert widths([CONV, CONV, reader])[:2] == [4, 8]


def test_all_repetitions_lose_as_many() -> None:
    free = {"kind": "repeat", "times": 3, "layers": [CONV, NORM]}
    assert widths([CONV, free]) == [4, 4]
    # The last repetition's output is added, and the others are built alike.
    assert widths([CONV, {"kind": "residual", "layers": [free]}, CONV]) == [8, 8, 4]
    depthwise = {"kind": "repeat", "times": 2, "layers": [CONV | {"groups": 8}, CONV]}
    assert widths([CONV, depthwise]) == [4, 4, 4]
    assert widths([CONV, {"kind": "residual", "layers": [depthwise]}, CONV]) == [8, 8, 8, 4]


def test_the_outputs_are_kept_and_hidden_features_too() -> None:
    layers = [CONV, CONV | {"out_channels": 10}, {"kind": "global_average_pool"}]
    assert [each.out_channels for each in plan_channels(make(layers), 0.5).layers[:2]] == [4, 10]
    hidden = [CONV, {"kind": "flatten"}, {"kind": "linear", "out_features": 20}, HEAD[1]]
    assert [row.parameters for row in describe_model(plan_channels(make(hidden), 0.5).layers)] == [
        40, 0, 4 * 784 * 20 + 20, 210,
    ]  # fmt: skip


@settings(max_examples=25)
@given(bodies, st.floats(0.05, 0.95))
def test_a_pruned_network_fits_together_if_the_written_one_does(
    body: list[dict], fraction: float
) -> None:
    layers = make([*body, *HEAD])
    try:
        before, plan = describe_model(layers), plan_channels(layers, fraction)
    except (PresetError, ValueError):
        assume(False)
    after = describe_model(plan.layers)
    assert [(row.name, row.kind) for row in after] == [(row.name, row.kind) for row in before]
    assert [row.output_shape[1:] for row in after] == [row.output_shape[1:] for row in before]
    assert sum(row.parameters for row in after) < sum(row.parameters for row in before)
    assert sum(row.macs for row in after) < sum(row.macs for row in before)
    for one, other in zip(before, after, strict=True):
        assert one.kind != "residual" or one == other


def test_a_preset_says_what_cannot_be_pruned() -> None:
    shared = {"kind": "repeat", "times": 2, "shared": True, "layers": [CONV]}
    words = "prune: no convolution has channels that can be removed"
    assert fault([CONV, shared, *HEAD]).startswith(words)
    assert fault([{"kind": "flatten"}, HEAD[1]]).startswith(words)
    few = {"kind": "channels", "fraction": 0.05, "epochs": 1}
    assert fault([CONV, *HEAD], prune=few) == (
        "prune.fraction is 0.05: no convolution loses a channel, the largest has 8. Use a larger "
        "fraction."
    )
    phases = {"kind": "paced", "order": "random"}
    assert fault([CONV, *HEAD], curriculum=phases) == (
        "prune cannot follow a curriculum in phases. Set curriculum=none."
    )
    for wrong in ({"fraction": 0.0}, {"fraction": 1.0}, {"epochs": 0}, {"rate_factor": 0.0}):
        (name,) = wrong
        assert fault([CONV, *HEAD], prune=PRUNE | wrong).startswith(f"prune.{name}: input")


def test_a_stage_is_a_preset_of_its_own() -> None:
    sprint = load_preset("sprint", [f"prune={json.dumps(PRUNE)}", "prune.rate_factor=0.5"])
    first, second = sprint.stages
    assert first == sprint.model_copy(update={"prune": None})
    assert first.final_layers == sprint.model.scaled_layers
    assert second.final_layers == sprint.final_layers != first.final_layers
    assert (first.train.epochs, second.train.epochs) == (4, 2)
    assert sprint.epochs == 6
    before, after = first.train, second.train
    assert after.optimizer.learning_rate == 0.5 * before.optimizer.learning_rate
    assert after.optimizer.others.learning_rate == 0.5 * before.optimizer.others.learning_rate
    assert after.schedule.max_learning_rate == 0.5 * before.schedule.max_learning_rate
    assert after.optimizer.momentum == before.optimizer.momentum
    assert load_preset("sprint").stages == (load_preset("sprint"),)
