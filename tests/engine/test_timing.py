import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim

from mnistcli.engine.optim import build_optimizer, build_schedule, plan_schedule, trace_settings
from mnistcli.engine.timing import Settings, Timing, read_settings
from mnistcli.preset import training as spec

ADAMW = spec.AdamW(kind="adamw", learning_rate=0.01)
OPTIMIZERS: list[spec.Optimizer] = [
    ADAMW,
    spec.SGD(kind="sgd", learning_rate=0.1, momentum=0.9),
    spec.Muon(kind="muon", learning_rate=0.1, others=ADAMW),
]
SCHEDULES: list[spec.Schedule] = [
    spec.Constant(kind="constant"),
    spec.Step(kind="step", every_epochs=2, factor=0.1),
    spec.Cosine(kind="cosine"),
    spec.OneCycle(kind="one_cycle", max_learning_rate=0.2),
    spec.OneCycle(kind="one_cycle", max_learning_rate=0.2, anneal="linear", cycle_momentum=False),
]
EPOCH_STEPS = [100, 50, 50, 50]
STEPS = sum(EPOCH_STEPS)


def make_optimizer(settings: spec.Optimizer) -> optim.Optimizer:
    return build_optimizer(
        settings, [nn.Parameter(torch.zeros(2, 2, 3, 3)), nn.Parameter(torch.zeros(1))]
    )


def make_train(schedule: spec.Schedule, seconds: float | None) -> spec.Train:
    return spec.Train(
        epochs=4, batch_size=1, optimizer=ADAMW, schedule=schedule, within_seconds=seconds
    )


def flatten(settings: Settings) -> list[float]:
    values = [value for group in settings for value in group.values()]
    return [each for value in values for each in (value if isinstance(value, tuple) else (value,))]


def follow(timing: Timing, optimizer: optim.Optimizer, durations: list[float]) -> list[Settings]:
    """Return the settings of every step until the time is over, if steps take so long."""
    elapsed, found = 0.0, []
    for duration in durations:
        if found and timing.is_over(elapsed):
            break
        timing.begin_step(elapsed)
        found.append(read_settings(optimizer))
        elapsed += duration
    return found


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=lambda each: each.kind)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda each: each.kind)
def test_equal_steps_that_just_fit_see_the_schedule_of_as_many_steps(
    schedule: spec.Schedule, settings: spec.Optimizer
) -> None:
    plain = make_optimizer(settings)
    wanted = trace_settings(
        build_schedule(schedule, plain, epochs=4, total_steps=STEPS), plain, EPOCH_STEPS, [None] * 4
    )
    optimizer = make_optimizer(settings)
    timed = plan_schedule(make_train(schedule, STEPS / 64), optimizer, EPOCH_STEPS)
    assert flatten(read_settings(optimizer)) == flatten(wanted[0])
    assert timed.timing
    found = follow(timed.timing, optimizer, [1 / 64] * 1_000)
    assert len(found) == STEPS
    by_epochs = schedule.kind in ("step", "cosine")  # where a step may be one beside its epoch
    for place, (own, other) in enumerate(zip(found, wanted, strict=True)):
        if not by_epochs or place % 50 > 1:
            assert flatten(own) == pytest.approx(flatten(other), abs=2e-3)
    assert flatten(found[-1]) == flatten(wanted[-1])


@given(pattern=st.lists(st.floats(0.01, 0.2), min_size=1, max_size=9), seconds=st.floats(1e-6, 5))
def test_only_the_last_step_may_end_late(pattern: list[float], seconds: float) -> None:
    durations = (pattern * 600)[:600]
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    table = [[{"lr": float(number)}] for number in range(1_001)]
    timing = Timing(seconds, optimizer, table)
    found = [settings[0]["lr"] for settings in follow(timing, optimizer, durations)]
    ends = torch.tensor(durations[: len(found)], dtype=torch.float64).cumsum(0).tolist()
    assert len(found) == 1 or ends[-2] <= seconds  # so the last begins in time
    assert ends[-1] >= 0.9 * seconds
    assert all(0 <= rate <= 1_000 for rate in found)
    if ends[-1] <= seconds:
        assert found[-1] == 1_000


def test_a_slow_first_step_does_not_count_as_the_measure_of_the_others() -> None:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    table = [[{"lr": float(number)}] for number in range(1_001)]
    timing = Timing(1.0, optimizer, table)
    found = follow(timing, optimizer, [0.5] + [1 / 64] * 100)
    assert len(found) == 1 + 32
    rates = [settings[0]["lr"] for settings in found[2:]]  # the second step knows only the first
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(520, abs=20)
    assert rates[-1] == 1_000


def test_machines_of_any_speed_end_at_the_end() -> None:
    for count in (2, 3, 4, 7, 40, 3_000):
        optimizer = make_optimizer(ADAMW)
        schedule = plan_schedule(make_train(SCHEDULES[3], 5.0), optimizer, EPOCH_STEPS)
        assert schedule.timing
        found = follow(schedule.timing, optimizer, [5.0 / count * 0.9999] * 10_000)
        assert len(found) == count
        assert found[-1][0]["lr"] == pytest.approx(0.2 / 25 / 1e4)


def test_a_machine_on_which_a_step_takes_long_ends_near_the_time() -> None:
    for step, count in ((4.0, 2), (2.6, 2), (1.6, 3), (1.0, 5), (0.96, 5), (0.8, 6), (0.6, 8)):
        optimizer = make_optimizer(ADAMW)
        schedule = plan_schedule(make_train(SCHEDULES[3], 5.0), optimizer, EPOCH_STEPS)
        assert schedule.timing
        found = follow(schedule.timing, optimizer, [step] * 99)
        assert len(found) == count, step
        assert 4.5 <= count * step < 5.0 + step
        assert found[-1][0]["lr"] == pytest.approx(0.2 / 25 / 1e4)
