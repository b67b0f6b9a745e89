from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mnistcli.engine.optim import trace_settings
from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import (
    advise_after_divergence,
    build_network,
    check_batches,
    make_learner,
    make_recipe,
)
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
    found = trace_settings(learner.schedule, learner.optimizer, [2, 4], [None, None])
    rates = [first["lr"] for first, *_ in found]
    assert len(rates) == 6
    assert max(rates) > 0.04
    assert rates[-1] == min(rates) < 1e-4


@pytest.mark.parametrize(
    ("sizes", "changes", "words"),
    [
        ((128, 129), (), "129 images in batches of 64 leave one. Change the batch size or set"),
        ((128, 129), ("train.drop_last=true",), None),
        ((128, 130), (), None),
        ((1,), ("train.drop_last=true",), "there is only one image to learn from. Use more"),
        ((1,), ("train.batch_size=1",), "there is only one image to learn from. Use more"),
        ((5,), ("train.batch_size=1",), "batches have one image. Use larger ones."),
        ((5,), ("train.batch_size=1", "train.drop_last=true"), "batches have one image."),
    ],
)
def test_a_batch_of_one_image_is_refused_at_one_pixel_with_advice_that_helps(
    tiny_preset: Path, sizes: Sequence[int], changes: Sequence[str], words: str | None
) -> None:
    def refusal(*overrides: str) -> str:
        preset = load_preset(str(tiny_preset), [*overrides, *changes])
        try:
            check_batches(preset, build_network(preset, 0, CPU).layers, sizes)
        except PresetError as error:
            return str(error)
        return ""

    said = "train.batch_size: batch_norm cannot normalize one image at 1 × 1, and "
    assert refusal(ONE_PIXEL).startswith(f"{said}{words}" if words else "")
    assert bool(refusal(ONE_PIXEL)) == bool(words)
    assert not refusal(), "batch norm at 7 × 7 has 49 values a channel"


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("kind", ["constant", "one_cycle"])
def test_advice_after_a_divergence_is_about_settings_that_have_an_effect(
    tiny_preset: Path, clip: float | None, kind: str
) -> None:
    changes = [f"train.clip_gradient_norm={clip}"]
    if kind == "constant":
        changes.append("train.schedule=none")
    rate = {"constant": "optimizer.learning_rate", "one_cycle": "schedule.max_learning_rate"}[kind]
    advice = advise_after_divergence(load_preset(str(tiny_preset), changes))
    verb = "" if clip else "set "
    assert advice == f"Lower train.{rate}, or {verb}train.clip_gradient_norm."
