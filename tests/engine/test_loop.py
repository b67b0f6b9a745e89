import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.load import load_examples
from mnistcli.engine.augment import build_augment
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit, EpochFinished, Event, StepFinished
from mnistcli.engine.loop import train as run_loop
from mnistcli.engine.network.build import build_model
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.engine.profiling import measure_ceiling
from mnistcli.engine.snapshot import is_finite
from mnistcli.engine.state import Learner, LoopState, Recipe
from mnistcli.errors import DivergedError
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import Adam, Constant
from mnistcli.selection.course import PlannedCourse


def ignore(event: Event) -> None:
    pass


def train(
    learner: Learner,
    examples: Examples,
    course: PlannedCourse,
    recipe: Recipe,
    validation: Examples | None,
    emit: Emit,
) -> list[EpochFinished]:
    state = LoopState(learner)
    run_loop(state, examples, course, recipe, validation, emit)
    assert state.epoch is None
    return state.history


@pytest.fixture
def preset(tiny_preset: Path) -> Preset:
    return load_preset(str(tiny_preset))


@pytest.fixture(scope="session")
def examples(tiny_data: Path) -> Examples:
    return load_examples("train", tiny_data)


def make(preset: Preset, seed: int = 0, **changes: object) -> tuple[Learner, Recipe]:
    model = build_model(preset.model.layers, make_generator(seed, "weights"))
    optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    schedule = build_schedule(preset.train.schedule, optimizer, epochs=2, total_steps=80)
    settings: dict = {
        "batch_size": 64,
        "drop_last": False,
        "label_smoothing": 0.0,
        "clip_gradient_norm": None,
        "normalization": preset.normalization,
        "augment": build_augment(preset.augment),
        "precision": torch.float32,
        "seed": seed,
    }
    return Learner(model, optimizer, schedule), Recipe(**(settings | changes))


def run(
    preset: Preset, examples: Examples, plan: list[Tensor], seed: int = 0, **changes: object
) -> tuple[dict[str, Tensor], list[EpochFinished], list[Event]]:
    learner, recipe = make(preset, seed, **changes)
    events: list[Event] = []
    history = train(learner, examples, PlannedCourse.of(plan), recipe, None, events.append)
    return learner.model.state_dict(), history, events


def test_it_learns(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)
    before = evaluate(learner.model, examples, preset.normalization)
    history = train(
        learner, examples, PlannedCourse.of([torch.arange(600)] * 8), recipe, None, ignore
    )
    after = evaluate(learner.model, examples, preset.normalization)
    assert before.accuracy < 0.3
    assert after.accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss


def test_events_tell_what_happened(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(600), torch.arange(100)]
    _, history, events = run(preset, examples, plan)
    assert len(events) == 12 + 2
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [step.images for step in steps] == [64] * 9 + [24, 64, 36]
    assert [event for event in events if isinstance(event, EpochFinished)] == history
    assert [epoch.images for epoch in history] == [600, 100]


def test_drop_last_leaves_only_full_batches(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(600), torch.arange(50)]
    _, history, _ = run(preset, examples, plan, drop_last=True)
    assert [epoch.images for epoch in history] == [576, 50]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_same_seed_gives_the_same_bits(
    preset: Preset, examples: Examples, precision: torch.dtype
) -> None:
    plan = [torch.arange(600)] * 2
    first, history, _ = run(preset, examples, plan, precision=precision)
    torch.manual_seed(99)
    second, again, _ = run(preset, examples, plan, precision=precision)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [epoch.train_loss for epoch in history] == [epoch.train_loss for epoch in again]
    other, _, _ = run(preset, examples, plan, seed=1, precision=precision)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_only_the_planned_examples_are_seen(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(100, 164)]
    first, _, _ = run(preset, examples, plan)
    changed = Examples(examples.images.clone(), examples.labels.clone())
    changed.images[:100], changed.images[164:] = 0, 255
    second, _, _ = run(preset, changed, plan)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_clock_stops_while_listeners_work(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)

    def slow(event: Event) -> None:
        if isinstance(event, StepFinished):
            time.sleep(0.2)

    (epoch,) = train(learner, examples, PlannedCourse.of([torch.arange(320)]), recipe, None, slow)
    assert epoch.seconds < 0.9


def test_validation_is_measured_and_changes_nothing(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(300)] * 2
    without, _, _ = run(preset, examples, plan)
    learner, recipe = make(preset)
    held = examples.take(torch.arange(300, 600))
    history = train(learner, examples, PlannedCourse.of(plan), recipe, held, ignore)
    found = evaluate(learner.model, held, preset.normalization)
    assert history[-1].validation_accuracy == found.accuracy
    assert history[-1].validation_loss == found.loss
    assert all(torch.equal(without[k], v) for k, v in learner.model.state_dict().items())


def test_a_loss_that_is_not_finite_stops_the_training(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)
    steps = 0

    def spoil(event: Event) -> None:
        nonlocal steps
        steps += isinstance(event, StepFinished)
        if steps == 12 and isinstance(event, StepFinished):
            with torch.no_grad():
                learner.model[-1].bias[3] = float("inf")

    with pytest.raises(DivergedError, match="the loss is not finite: epoch 2, step 3") as found:
        train(learner, examples, PlannedCourse.of([torch.arange(600)] * 2), recipe, None, spoil)
    assert steps == 12
    place = found.value.divergence
    assert (place.epoch, place.step) == (2, 3)
    assert place.learning_rate == learner.optimizer.param_groups[0]["lr"]
    order = torch.randperm(600, generator=make_generator(0, "order", 2))
    assert place.batch == tuple(order[128:192].tolist())
    # The batch moved nothing: only what was spoilt is not finite.
    assert all(
        bool(torch.isfinite(value).all()) or name.endswith("bias")
        for name, value in learner.model.state_dict().items()
    )


@pytest.mark.parametrize(("look_steps", "told"), [(5, 4), (50, 10)])
def test_a_late_look_finds_the_same_divergence_before_the_epoch_is_told(
    preset: Preset, examples: Examples, look_steps: int, told: int
) -> None:
    found, events = [], list[Event]()
    for looks in (1, look_steps):
        learner, recipe = make(preset, look_steps=looks)
        events.clear()

        def spoil(event: Event, learner: Learner = learner) -> None:
            events.append(event)
            if (getattr(event, "epoch", 0), getattr(event, "step", 0)) == (2, 2):
                with torch.no_grad():
                    learner.model[-1].bias[3] = float("inf")

        with pytest.raises(DivergedError) as error:
            train(learner, examples, PlannedCourse.of([torch.arange(600)] * 2), recipe, None, spoil)
        found.append(error.value.divergence)
    assert found[0] == found[1]
    assert [event.epoch for event in events if isinstance(event, EpochFinished)] == [1]
    # Nothing is emitted after the step in which the losses were looked at.
    assert len(events) == 11 + told


def test_a_late_look_changes_no_bits(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(600)] * 2
    at_once, history, _ = run(preset, examples, plan, keeps_losses=True)
    late, again, _ = run(preset, examples, plan, keeps_losses=True, look_steps=7)
    assert all(torch.equal(at_once[name], late[name]) for name in at_once)
    assert [epoch.train_loss for epoch in history] == [epoch.train_loss for epoch in again]


def test_a_state_whose_losses_are_not_finite_is_not_kept(
    preset: Preset, examples: Examples
) -> None:
    """A loss may overflow with gradients that are finite: the weights alone do not tell."""
    learner, recipe = make(preset, look_steps=50)
    state, kept = LoopState(learner), []

    def spoil(event: Event) -> None:
        if state.epoch:
            kept.append(is_finite(state))
            if len(kept) == 3:
                state.epoch.loss_sum += float("inf")

    with pytest.raises(DivergedError):
        run_loop(state, examples, PlannedCourse.of([torch.arange(600)]), recipe, None, spoil)
    assert kept == [True] * 3 + [False] * 7


class Reads(TorchDispatchMode):
    """Counts the operators after which a GPU would have to be waited for."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += name in {"_local_scalar_dense", "nonzero", "masked_select", "unique"}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("looks", [1, 50])
@pytest.mark.parametrize("name", ["sprint", "dualblock", "sevenconv"])
def test_with_a_late_look_no_step_reads_what_was_computed(
    examples: Examples, name: str, looks: int
) -> None:
    preset = load_preset(name)
    reads = []
    for images in (64, 256):
        changes: dict = {"keeps_losses": True, "clip_gradient_norm": 1.0, "look_steps": looks}
        learner, recipe = make(
            preset, augment=build_augment(preset.augment), batch_size=32, **changes
        )
        with Reads() as mode:
            plan = PlannedCourse.of([torch.arange(images)])
            train(learner, examples, plan, recipe, None, ignore)
        reads.append(mode.count)
    assert reads[1] - reads[0] == (6 if looks == 1 else 0)


def test_clipping_shortens_the_gradients(preset: Preset, examples: Examples) -> None:
    lengths = []
    for limit in (None, 1e-3):
        learner, recipe = make(preset, clip_gradient_norm=limit)
        train(learner, examples, PlannedCourse.of([torch.arange(64)]), recipe, None, ignore)
        gradients = [parameter.grad for parameter in learner.model.parameters()]
        lengths.append(float(torch.cat([one.flatten() for one in gradients]).norm()))
    assert lengths[0] > 1e-2
    assert lengths[1] == pytest.approx(1e-3, rel=1e-3)


def test_stages_add_up_to_the_time(preset: Preset, examples: Examples) -> None:
    _, (epoch,), _ = run(preset, examples, [torch.arange(600)])
    assert set(epoch.stages) == {"data", "forward", "backward", "optimizer", "other"}
    assert sum(epoch.stages.values()) <= epoch.seconds
    assert sum(epoch.stages.values()) == pytest.approx(epoch.seconds, abs=0.02)


def test_averaged_weights_are_the_moving_average(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)
    learner = replace(learner, average=build_average(learner.model, 0.9))
    seen: list[Tensor] = []

    def remember(event: Event) -> None:
        if isinstance(event, StepFinished):
            seen.append(learner.model.state_dict()["0.weight"].clone())

    train(learner, examples, PlannedCourse.of([torch.arange(600)]), recipe, None, remember)
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.9 * expected + 0.1 * weights
    assert torch.allclose(learner.result.state_dict()["0.weight"], expected, atol=1e-6)
    assert not torch.allclose(seen[-1], expected, atol=1e-4)


def test_the_ceiling_is_not_below_the_loop(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)
    (epoch,) = train(learner, examples, PlannedCourse.of([torch.arange(600)]), recipe, None, ignore)
    weights = [each.detach().clone() for each in learner.model.parameters()]
    assert measure_ceiling(learner, examples, recipe, 0.05) > 0.5 * epoch.images / epoch.seconds
    # Hundreds of steps on one batch could diverge: nothing is learned from it.
    assert all(map(torch.equal, weights, learner.model.parameters()))


def test_label_smoothing_is_the_loss_reported(preset: Preset, examples: Examples) -> None:
    plan = [torch.arange(600)] * 4
    _, plain, _ = run(preset, examples, plan)
    _, smooth, _ = run(preset, examples, plan, label_smoothing=0.3)
    assert smooth[-1].train_loss > plain[-1].train_loss + 0.2


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.1)])
@pytest.mark.parametrize("name", ["onebyone", "sprint"])
def test_losses_are_those_of_plain_pytorch(
    examples: Examples, name: str, precision: str, tolerance: float
) -> None:
    """Fifty steps of this loop against the textbook's in float32, on the same batches."""
    preset = load_preset(name)
    layers = tuple(layer for layer in preset.model.layers if layer.kind != "dropout")
    batches = list(torch.arange(600).split(12))
    model = build_model(layers, make_generator(0, "weights")).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(Adam(kind="adam", learning_rate=0.001), model.parameters())
    schedule = build_schedule(Constant(kind="constant"), optimizer, epochs=50, total_steps=50)
    _, recipe = make(
        preset, batch_size=12, augment=build_augment([]), precision=getattr(torch, precision)
    )
    learner = Learner(model, optimizer, schedule)
    history = train(learner, examples, PlannedCourse.of(batches), recipe, None, ignore)

    plain = build_model(layers, make_generator(0, "weights"))
    textbook = torch.optim.Adam(plain.parameters(), lr=0.001)
    losses = []
    for batch in batches:
        inputs = (examples.images[batch].float() / 255 - 0.1307) / 0.3081
        loss = torch.nn.functional.cross_entropy(plain(inputs), examples.labels[batch])
        textbook.zero_grad()
        loss.backward()
        textbook.step()
        losses.append(loss.item())
    found = [epoch.train_loss for epoch in history]
    assert found == pytest.approx(losses, rel=tolerance, abs=tolerance / 10)
    assert losses[-1] < losses[0] - 1


def test_the_course_steers_by_what_has_happened(preset: Preset, examples: Examples) -> None:
    """A course that stops at a loss, which the loop knows nothing of."""
    seen: list[int] = []

    class UntilLearned:
        def next(self, history: Sequence[EpochFinished], losses: Tensor | None) -> Tensor | None:
            assert losses is None
            seen.append(len(history))
            is_learned = bool(history) and history[-1].train_accuracy > 0.9
            return None if is_learned else torch.arange(600)

    learner, recipe = make(preset)
    state = LoopState(learner)
    run_loop(state, examples, UntilLearned(), recipe, None, ignore)
    assert seen == [*range(len(state.history) + 1)]
    assert [epoch.train_accuracy > 0.9 for epoch in state.history].index(True) == seen.index(
        seen[-1]
    ) - 1


def test_whenever_an_event_comes_the_state_is_complete(preset: Preset, examples: Examples) -> None:
    learner, recipe = make(preset)
    state = LoopState(learner)
    places = []

    def look(event: Event) -> None:
        if isinstance(event, StepFinished):
            assert state.epoch is not None
            assert (event.epoch, event.step) == (state.number, state.epoch.step)
        else:
            assert state.history[-1] is event
            assert state.epoch is None
        places.append(type(event))

    course = PlannedCourse.of([torch.arange(100), torch.arange(64)])
    run_loop(state, examples, course, recipe, None, look)
    assert places == [StepFinished, StepFinished, EpochFinished, StepFinished, EpochFinished]
