"""What can only be seen where there is a GPU."""

from pathlib import Path

import pytest
import torch

from mnistcli.datasets.load import load_examples
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.loop import train
from mnistcli.engine.state import LoopState, Recipe
from mnistcli.errors import DivergedError
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import build_network, make_learner, make_recipe
from mnistcli.preset.loading import load_preset
from mnistcli.selection.course import PlannedCourse

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
STEPS = 9


def begin(name: str, epochs: int) -> tuple[LoopState, PlannedCourse, Recipe]:
    preset = load_preset(name, ["train.batch_size=64", "train.clip_gradient_norm=1"])
    machine = Machine(torch.device("cuda"), torch.float32, 1)
    recipe = make_recipe(preset, 0, machine)
    plan = PlannedCourse.of([torch.arange(64 * STEPS)] * epochs)
    network = build_network(preset, 0, machine)
    return LoopState(make_learner(preset, network, plan.sizes, recipe)), plan, recipe


@pytest.mark.parametrize("name", ["sprint", "onebyone"])
def test_no_step_waits_for_the_gpu(tiny_data: Path, name: str) -> None:
    examples = load_examples("train", tiny_data).to(torch.device("cuda"))
    state, plan, recipe = begin(name, 2)

    def listen(event: Event) -> None:
        # The first epoch makes what is made once; the end of an epoch may wait.
        waits = not isinstance(event, StepFinished) or event.epoch == 1 or event.step == STEPS
        torch.cuda.set_sync_debug_mode("default" if waits else "error")

    try:
        train(state, examples, plan, recipe, None, listen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(state.history) == 2


def test_a_network_learns_on_a_gpu(tiny_data: Path) -> None:
    examples = load_examples("train", tiny_data).to(torch.device("cuda"))
    state, plan, recipe = begin("sprint", 8)
    train(state, examples, plan, recipe, None, lambda event: None)
    found = evaluate(state.learner.result, examples, load_preset("sprint").normalization)
    assert found.accuracy > 0.9


def test_a_divergence_is_found_with_its_step(tiny_data: Path) -> None:
    examples = load_examples("train", tiny_data).to(torch.device("cuda"))
    state, plan, recipe = begin("sprint", 2)
    events = []

    def spoil(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepFinished) and (event.epoch, event.step) == (2, 3):
            with torch.no_grad():
                next(state.learner.model.parameters()).fill_(float("inf"))

    with pytest.raises(DivergedError, match="the loss is not finite: epoch 2, step 4"):
        train(state, examples, plan, recipe, None, spoil)
    assert sum(isinstance(event, EpochFinished) for event in events) == 1
