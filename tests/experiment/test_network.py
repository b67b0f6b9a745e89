from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mnistcli.engine.optim import trace_rates
from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import build_network, check_batches, make_learner, make_recipe
from mnistcli.preset.loading import load_preset

CPU = Machine(torch.device("cpu"), torch.float32, 1)
ONE_PIXEL = (
    "model.layers=[{kind='conv', out_channels=8, kernel_size=28, padding=0},"
    "{kind='batch_norm'}, {kind='flatten'}, {kind='linear', out_features=10}]"
)


def test_only_the_seed_decides_the_initial_weights(tiny_preset: Path) -> None:
    preset = load_preset(str(tiny_preset))
    other_training = load_preset(str(tiny_preset), ["train.epochs=9", "train.batch_size=7"])
    states = [
        build_network(one, seed, CPU).model.state_dict()
        for one, seed in ((preset, 1), (other_training, 1), (preset, 2))
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["0.weight"], states[2]["0.weight"])


def test_a_network_knows_its_costs(tiny_preset: Path) -> None:
    network = build_network(load_preset(str(tiny_preset)), 0, CPU)
    assert network.parameters == 4_154
    assert network.macs == 8 * 25 * 49 + 392 * 10


def test_the_schedule_ends_with_the_last_step(tiny_preset: Path) -> None:
    preset = load_preset(str(tiny_preset))
    network = build_network(preset, 0, CPU)
    recipe = make_recipe(preset, 0, CPU)
    sizes = (100, 200)  # two and four batches of 64
    learner = make_learner(preset, network, sizes, recipe)
    rates = trace_rates(learner.schedule, learner.optimizer, [2, 4])
    assert len(rates) == 6
    assert max(rates) > 0.04
    assert rates[-1] == min(rates) < 1e-4


@pytest.mark.parametrize(
    ("sizes", "changes", "refused"),
    [
        ((128, 129), (), True),
        ((128, 129), ("train.drop_last=true",), False),
        ((128, 130), (), False),
        ((1,), ("train.drop_last=true",), True),
        ((5,), ("train.batch_size=1",), True),
    ],
)
def test_a_batch_of_one_image_is_refused_at_one_pixel(
    tiny_preset: Path, sizes: Sequence[int], changes: Sequence[str], refused: bool
) -> None:
    def is_refused(*overrides: str) -> bool:
        preset = load_preset(str(tiny_preset), [*overrides, *changes])
        try:
            check_batches(preset, build_network(preset, 0, CPU).layers, sizes)
        except PresetError as error:
            return "train.batch_size" in str(error)
        return False

    assert is_refused(ONE_PIXEL) is refused
    assert not is_refused(), "batch norm at 7 × 7 has 49 values a channel"
