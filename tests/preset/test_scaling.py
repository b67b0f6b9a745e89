"""Width and depth: what is scaled, how it is rounded, and that the network still fits together."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mnistcli.engine.network.build import describe_model
from mnistcli.errors import PresetError
from mnistcli.preset.layers import Conv, GroupNorm, Layer, Linear, Repeat, Residual
from mnistcli.preset.loading import load_preset, validate_preset
from mnistcli.preset.scaling import count_layers, measure_nesting, scale_layers
from mnistcli.preset.schema import Preset
from tests.engine.network.nested import HEAD, bodies, make

TRAIN = {
    "epochs": 1, "batch_size": 10, "optimizer": {"kind": "adam", "learning_rate": 0.1}
}  # fmt: skip
CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
GAP, LINEAR = HEAD


def preset(layers: list[dict], **model: object) -> Preset:
    content = {"title": "t", "model": {"layers": layers, **model}, "train": TRAIN}
    return validate_preset(content, "it")


def fault(layers: list[dict], **model: object) -> str:
    with pytest.raises(PresetError) as raised:
        preset(layers, **model)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix('invalid preset "it": ')


def flat(layers: Iterable[Layer]) -> list[Layer]:
    return [
        one
        for layer in layers
        for one in (flat(layer.layers) if isinstance(layer, Repeat | Residual) else [layer])
    ]


def widths(layers: list[dict], width: float) -> list[int]:
    return [
        layer.out_features if isinstance(layer, Linear) else layer.out_channels
        for layer in flat(scale_layers(make(layers), width, 1))
        if isinstance(layer, Conv | Linear)
    ]


@pytest.mark.parametrize(
    ("width", "scaled"),
    [(1, [7, 12, 20, 10]), (0.5, [4, 6, 10, 10]), (0.01, [1, 1, 1, 10]), (1.5, [11, 18, 30, 10])],
)
def test_width_scales_all_but_the_last_layer(width: float, scaled: list[int]) -> None:
    layers = [CONV | {"out_channels": 7}, CONV | {"out_channels": 12}, GAP]
    layers += [{"kind": "linear", "out_features": 20}, LINEAR]
    assert widths(layers, width) == scaled


def test_the_last_layer_with_channels_is_kept_wherever_it_is() -> None:
    layers = [CONV, {"kind": "residual", "layers": [CONV | {"out_channels": 10}]}, GAP]
    assert widths(layers, 0.5) == [4, 10]
    assert describe_model(scale_layers(make(layers), 0.5, 1))[-1].output_shape == (10,)
    depthwise = CONV | {"out_channels": 10, "groups": 10}
    assert widths([CONV, CONV | {"out_channels": 10}, depthwise, GAP], 0.5) == [4, 10, 10]


def test_groups_and_heads_still_divide_the_channels() -> None:
    layers = [CONV | {"out_channels": 24}, {"kind": "group_norm", "groups": 8}]
    assert widths([*layers, GAP, LINEAR], 0.5) == [16, 10], "12 rounds to a multiple of 8"
    layers = [CONV | {"out_channels": 16}, {"kind": "self_attention", "heads": 4}]
    assert widths([*layers, GAP, LINEAR], 0.6) == [8, 10], "9.6 rounds to a multiple of 4"
    layers = [CONV | {"out_channels": 16}, CONV | {"out_channels": 6, "groups": 2}]
    assert widths([*layers, GAP, LINEAR], 0.4) == [6, 2, 10]


def test_a_group_for_every_channel_stays_one_for_every_channel() -> None:
    layers = [CONV | {"out_channels": 16}, CONV | {"out_channels": 32, "groups": 16}]
    layers += [{"kind": "group_norm", "groups": 32}, GAP, LINEAR]
    scaled = flat(scale_layers(make(layers), 0.3, 1))
    assert (scaled[0].out_channels, scaled[1].groups, scaled[1].out_channels) == (5, 5, 10)
    assert isinstance(scaled[2], GroupNorm)
    assert scaled[2].groups == 10


@pytest.mark.slow
@given(bodies, st.floats(0.05, 2))
def test_a_scaled_network_fits_together_if_the_written_one_does(
    body: list[dict], width: float
) -> None:
    layers = make([*body, *HEAD])
    # One input channel's several outputs are rounded together: they may not equal others.
    assume(
        not any(
            layer.groups == 4 != layer.out_channels
            for layer in flat(layers)
            if isinstance(layer, Conv)
        )
    )
    try:
        before = describe_model(layers)
    except PresetError:
        assume(False)
    try:
        after = describe_model(scale_layers(layers, width, 1))
    except PresetError as error:
        assert "one value per group" in str(error)  # fewer channels in a group of one position
        return
    assert [(row.name, row.kind) for row in after] == [(row.name, row.kind) for row in before]
    assert [row.output_shape[1:] for row in after] == [row.output_shape[1:] for row in before]
    # Equal numbers of channels stay equal: no residual needs a projection that it did not need.
    for one, other in zip(before, after, strict=True):
        assert one.kind != "residual" or (one.parameters > 0) >= (other.parameters > 0)
    assert scale_layers(layers, 1, 1) == layers


@pytest.mark.parametrize(
    ("times", "depth", "scaled"),
    [(3, 1.5, 5), (3, 0.5, 2), (1, 0.1, 1), (10, 1.1, 11), (4, 2, 8), (3, 1e-10, 1)],
)
def test_depth_scales_repetitions_and_rounds_up(times: int, depth: float, scaled: int) -> None:
    inner = {"kind": "repeat", "times": times, "layers": [CONV]}
    found = preset([{"kind": "residual", "layers": [inner]}, GAP, LINEAR], depth=depth)
    assert found.model.layers[0].layers[0].times == times, "the preset stays as written"
    assert found.model.scaled_layers[0].layers[0].times == scaled
    assert count_layers(found.model.layers, depth) == count_layers(found.model.scaled_layers)


def test_depth_needs_a_repeat() -> None:
    assert fault([CONV, GAP, LINEAR], depth=2.0) == (
        'model: depth is 2, but no layer is repeated. Use a layer of kind "repeat", or leave '
        "depth out."
    )
    assert preset([CONV, GAP, LINEAR], depth=1.0)


def test_width_and_depth_can_be_overridden() -> None:
    half = load_preset("sprint", ["model.width=0.5"])
    assert half.model.layers == load_preset("sprint").model.layers
    assert half.published is half.reference is None
    outputs = [layer.out_channels for layer in half.model.scaled_layers if layer.kind == "conv"]
    assert outputs == [8, 16, 16]
    for wrong in ("0", "-1", "101", "wide", "nan"):
        with pytest.raises(PresetError, match=r"model\.width"):
            load_preset("sprint", [f"model.width={wrong}"])


def nest(levels: int) -> dict:
    layer = CONV
    for _ in range(levels):
        layer = {"kind": "residual", "layers": [layer]}
    return layer


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nest(7), None),
        (nest(8), "model: layers: nested more than 8 deep. Nest them less."),
        (nest(50), "model: layers: nested more than 8 deep. Nest them less."),
        (nest(150), "values are nested too deeply. Nest them less."),
        (nest(3_000), "values are nested too deeply. Nest them less."),
        (
            {"kind": "repeat", "times": 10**9, "layers": [CONV]},
            "model.layers.0.times: input should be less than or equal to 1000, got 1000000000",
        ),
        ({"kind": "repeat", "times": 999, "layers": [CONV]}, "model: layers: 1,002 with all"),
        (
            {
                "kind": "repeat", "times": 1_000,
                "layers": [{"kind": "repeat", "times": 1_000, "layers": [CONV]}],
            },
            "model: layers: 1,001,003 with all repetitions, more than 1,000. Repeat fewer layers, "
            "or fewer times.",
        ),
        ({"kind": "repeat", "times": 2, "layers": []}, "model.layers.0.layers: needs at least 1"),
        ({"kind": "repeat", "layers": [CONV]}, "model.layers.0.times: required, but missing"),
        (
            {"kind": "residual", "layers": [{"kind": "residual", "layers": [CONV | {"bais": 1}]}]},
            'model.layers.0.layers.0.layers.0.bais: unknown key. Did you mean "bias"?',
        ),
        (
            {"kind": "repeat", "times": 2, "layers": [{"kind": "seperable_conv"}]},
            'model.layers.0.layers.0: unknown kind: "seperable_conv". Did you mean '
            '"separable_conv"?',
        ),
        ({"kind": "leaky_relu", "slope": -0.1}, "model.layers.0.slope: input should be greater"),
    ],
)  # fmt: skip
def test_what_is_nested_is_bounded_and_checked(layer: dict, words: str | None) -> None:
    layers = [layer, GAP, LINEAR]
    if words is None:
        assert measure_nesting(preset(layers).model.layers) == 8
    else:
        assert fault(layers).startswith(words)


def test_depth_is_bounded_too() -> None:
    layers = [{"kind": "repeat", "times": 400, "layers": [CONV, GAP]}]
    assert preset(layers)
    assert fault(layers, depth=2.0).startswith("model: layers: 1,601 with all repetitions")


def test_a_width_is_bounded() -> None:
    layers = [CONV | {"out_channels": 10_000}, GAP, LINEAR]
    assert fault(layers, width=50.0) == (
        "model: width is 50: a layer has 500,000 channels or features, more than 65,536. "
        "Use a smaller width."
    )


def test_the_schema_describes_nested_layers() -> None:
    import jsonschema

    schema = json.loads(json.dumps(Preset.model_json_schema()))
    found = preset([nest(3), GAP, LINEAR], width=0.5).model_dump(mode="json")
    jsonschema.validate(found, schema)
    found["model"]["layers"][0]["layers"][0]["layers"][0]["kind"] = "unheard"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema)
