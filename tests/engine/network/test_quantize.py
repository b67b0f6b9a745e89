"""Training for integers: the simulation is the definition, and gradients pass the rounding."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.engine.network.build import count_parameters, seed_dropout
from mnistcli.engine.network.levels import GRIDS, RoundValues, round_to
from mnistcli.engine.network.quantize import Quantized
from mnistcli.errors import PresetError
from mnistcli.export.convert import convert
from mnistcli.export.integer import IntegerModel
from mnistcli.export.memory import pack
from mnistcli.preset.schema import Normalization
from mnistcli.preset.training import Quantize
from tests.engine.network.nested import build

CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
STEM = CONV | {"stride": 4}
NORM = {"kind": "batch_norm"}
RELU = {"kind": "relu"}
POOL = {"kind": "max_pool"}
SILU = {"kind": "silu"}
DROPOUT = {"kind": "dropout", "probability": 0.2}
CHANNELS = {"kind": "dropout2d", "probability": 0.2}
HEAD = [{"kind": "flatten"}, {"kind": "linear", "out_features": 10}]
AVERAGE = {"kind": "global_average_pool"}
LINEAR = HEAD[1]
PLAIN = [STEM, NORM, RELU, CONV, NORM, RELU, *HEAD]
NETWORKS = {
    "plain": PLAIN,
    "no_norm": [STEM, RELU, CONV, RELU, *HEAD],
    "linear": [{"kind": "flatten"}, {"kind": "linear", "out_features": 20}, RELU, LINEAR],
    "norm_last": [STEM, RELU, NORM, *HEAD],
    "pooled": [CONV | {"stride": 2}, POOL, NORM, RELU, CONV, {"kind": "average_pool"}, *HEAD],
    "pool_of_pool": [CONV | {"stride": 2}, RELU, POOL, POOL, *HEAD],
    "pool_first": [{"kind": "max_pool", "kernel_size": 4}, CONV, RELU, *HEAD],
    "global": [STEM, NORM, RELU, CONV, AVERAGE, LINEAR],
    "global_max": [STEM, RELU, {"kind": "global_max_pool"}, LINEAR],
    "separable": [STEM, {"kind": "separable_conv", "out_channels": 12, "kernel_size": 3}, *HEAD],
    "silu": [STEM, NORM, {"kind": "silu"}, CONV, {"kind": "gelu"}, *HEAD],
    "prelu": [STEM, {"kind": "prelu"}, CONV, {"kind": "leaky_relu"}, POOL, *HEAD],
    "curve_of_picked": [STEM, RELU, POOL, SILU, CONV, RELU, *HEAD],
    "curve_first": [STEM, RELU, {"kind": "residual", "layers": [SILU, CONV]}, RELU, *HEAD],
    "hard_swish": [STEM, {"kind": "hard_swish"}, AVERAGE, LINEAR],
    "residual": [STEM, RELU, {"kind": "residual", "layers": [CONV, NORM]}, RELU, *HEAD],
    "projection": [
        STEM, {"kind": "residual", "layers": [CONV | {"out_channels": 12, "stride": 2}]}, *HEAD,
    ],
    "pooled_residual": [
        STEM, NORM, RELU, {"kind": "residual", "layers": [POOL, CONV, NORM]}, RELU, *HEAD,
    ],
    "shared": [
        STEM,
        {"kind": "repeat", "times": 3, "shared": True, "layers": [
            {"kind": "residual", "layers": [CONV, NORM]}, RELU,
        ]},
        *HEAD,
    ],
    "dropout": [STEM, DROPOUT, NORM, RELU, DROPOUT, CONV, RELU, CHANNELS, AVERAGE, DROPOUT, LINEAR],
    "dropout_first": [
        CHANNELS, STEM, NORM, RELU, {"kind": "residual", "layers": [DROPOUT, CONV]},
        {"kind": "residual", "layers": [DROPOUT]}, CHANNELS, *HEAD,
    ],
}  # fmt: skip
NORMALIZATION = Normalization()


def draw_images(count: int) -> Tensor:
    """Draw pixels of all values, most of them 0, uint8 (n, 1, 28, 28)."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 1, 28, 28), generator=generator)
    return (pixels * (torch.rand(pixels.shape, generator=generator) > 0.6)).to(torch.uint8)


IMAGES = draw_images(60)
LABELS = torch.arange(60) % 10
INPUTS = normalize(to_inputs(IMAGES), NORMALIZATION)


def make(name: str, weights: int | str = 8, steps: int = 4) -> Quantized:
    """Return a network that has been trained for a few steps."""
    settings = Quantize.model_validate({"weights": weights})
    model = Quantized(build(NETWORKS[name]), settings, NORMALIZATION).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    seed_dropout(model, torch.Generator().manual_seed(4))
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(INPUTS), LABELS).backward()
        optimizer.step()
    return model


def convert_it(model: Quantized) -> IntegerModel:
    return convert(model, NORMALIZATION, IMAGES[:1])


@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_computes_the_integer_model(name: str) -> None:
    model = make(name, [8, 4, 2, "ternary"][len(name) % 4]).eval()
    definition = convert_it(model)
    logits = definition.compute_logits(IMAGES[:, 0].numpy())
    wanted = (logits * definition.logit_scale).astype(np.float32)
    assert np.array_equal(model(INPUTS).numpy(), wanted)
    assert len(np.unique(logits)) > 100


@pytest.mark.parametrize("name", NETWORKS)
def test_training_rounds_the_network_and_nothing_else(name: str) -> None:
    """With 8 bits, logits are nearly those of the network itself, with the same dropout."""
    plain, model = build(NETWORKS[name]).train(), make(name, steps=0)
    found = list[Tensor]()
    for network in (plain, model):
        seed_dropout(network, torch.Generator().manual_seed(4))
        found.append(network(INPUTS).detach())
    error = (found[1] - found[0]).std() / found[0].std()
    assert 0 < error < 0.05


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_parameter(name: str) -> None:
    model = make(name, 4, steps=1)
    gradients = {key: each.grad for key, each in model.named_parameters()}
    assert not [key for key, each in gradients.items() if each is None or not each.any()]
    assert all(bool(torch.isfinite(each).all()) for each in gradients.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_keep_their_names_and_number(name: str) -> None:
    plain, model = build(NETWORKS[name]), make(name, steps=0)
    assert set(model.state_dict()) == {*plain.state_dict(), "scales"}
    assert count_parameters(model) == count_parameters(plain)


@pytest.mark.parametrize(
    ("weights", "levels"),
    [
        (8, range(-127, 128)), (4, range(-8, 8)), (2, [-3, -1, 1, 3]), ("ternary", [-1, 0, 1]),
    ],
)  # fmt: skip
def test_weights_are_of_the_levels_and_packed(weights: int | str, levels: list) -> None:
    integer_model = convert_it(make("plain", weights))
    for stage in integer_model.stages:
        convolution = stage.convolution
        assert convolution is not None
        assert set(np.unique(convolution.weights)) <= set(levels)
        bits = 2 if weights == "ternary" else weights
        packed = pack(convolution.weights, convolution.levels)
        assert convolution.levels.bits == bits
        assert len(packed) == -(-convolution.weights.size * int(bits) // 8)


@pytest.mark.parametrize("weights", GRIDS)
def test_a_grids_scale_is_better_than_others(weights: int | str) -> None:
    grid, values = GRIDS[weights], torch.randn(4, 500, generator=torch.Generator().manual_seed(5))
    integers, scales = round_to(grid, values)
    assert (int(integers.min()), int(integers.max())) == (grid.low, grid.high)

    def measure(factor: float) -> float:
        own = factor * scales[:, None]
        return float((grid.round(values.double() / own) * own - values).square().mean())

    assert measure(1) < min(measure(0.7), measure(1.4))


def test_weights_that_are_all_zero_stay_small() -> None:
    for grid in GRIDS.values():
        integers, scales = round_to(grid, torch.zeros(2, 3))
        assert (scales > 0).all()
        assert (integers.abs() * scales[:, None] <= 0.001).all()


def test_a_clamped_value_has_no_gradient() -> None:
    values = torch.tensor([-3.0, 0.26, 100.0, 300.0], requires_grad=True)
    rounded = RoundValues.apply(values, torch.tensor(0.5), 0, 255)
    rounded.sum().backward()
    assert rounded.tolist() == [0, 0.5, 100, 127.5]
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 0]


def test_parameters_that_are_not_finite_give_no_logits() -> None:
    model = make("plain", steps=1).eval()
    model.get_parameter("0.weight").data[0] = torch.inf
    assert model(INPUTS).isnan().all()


def test_an_untrained_network_has_finite_logits() -> None:
    assert make("plain", steps=0).eval()(INPUTS).isfinite().all()


@pytest.mark.parametrize("kind", [{"kind": "squeeze_excite"}, {"kind": "group_norm", "groups": 2}])
def test_a_layer_without_integers_is_named(kind: dict) -> None:
    with pytest.raises(PresetError, match=f"layer 1 {kind['kind']} cannot be computed in integers"):
        Quantized(build([STEM, kind, *HEAD]), Quantize(weights=8), NORMALIZATION)


@pytest.mark.parametrize("name", ["prelu", "hard_swish", "curve_of_picked", "curve_first"])
def test_evaluation_has_the_scales_of_the_training(name: str) -> None:
    """Networks without normalization, whose statistics are others in training."""
    model = make(name, steps=60)
    with torch.no_grad():
        trained, evaluated = model(INPUTS), model.eval()(INPUTS)
    assert (evaluated - trained).std() / trained.std() < 0.03


def test_an_older_run_has_the_scale_that_its_curve_read() -> None:
    model = make("curve_of_picked")
    number = next(place for place, stage in enumerate(model.stages) if stage.curve)
    with torch.no_grad():
        model.scales[number] = 0.0
    scales = model.read_scales()
    assert scales[number] == scales[model.stages[number].sources[0] - 1]


def test_a_layer_that_is_always_zero_ends_no_training() -> None:
    model = make("no_norm", steps=1)
    with torch.no_grad():
        model.get_submodule("2").bias.fill_(-100.0)
    for _ in range(400):
        model.train()(INPUTS)
    assert torch.isfinite(model.eval()(INPUTS)).all()


FLATTENED = [
    CONV | {"out_channels": 4, "kernel_size": 5, "stride": 4},
    {"kind": "flatten"},
    {"kind": "residual", "layers": [{"kind": "linear", "out_features": 4 * 7 * 7}]},
    LINEAR,
]


def test_a_residual_of_flattened_values_has_no_integer_form() -> None:
    model = build(FLATTENED)
    with pytest.raises(
        PresetError, match="layer 2 residual: right after flatten it has no integer form"
    ):
        convert(model.eval(), NORMALIZATION, IMAGES[:1])
    with pytest.raises(
        PresetError, match="layer 2 residual: right after flatten it has no integer form"
    ):
        Quantized(model, Quantize(weights=8), NORMALIZATION)
