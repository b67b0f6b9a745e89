import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mnistcli.engine.optim import build_optimizer, build_schedule
from mnistcli.preset import training as spec

ADAM = spec.Adam(kind="adam", learning_rate=0.1)


def rates(
    schedule: spec.Schedule, epochs: int, steps: int, optimizer: spec.Optimizer = ADAM
) -> list:
    """The learning rate of every batch."""
    built = build_optimizer(optimizer, [nn.Parameter(torch.zeros(1))])
    stepping = build_schedule(schedule, built, epochs=epochs, total_steps=epochs * steps)
    found = []
    for _ in range(epochs):
        for _ in range(steps):
            found.append(built.param_groups[0]["lr"])
            built.step()
            if stepping.every == "batch":
                stepping.scheduler.step()
        if stepping.every == "epoch":
            stepping.scheduler.step()
    return found


def test_constant_stays() -> None:
    assert rates(spec.Constant(kind="constant"), 3, 2) == [0.1] * 6


def test_step_falls_after_every_so_many_epochs() -> None:
    found = rates(spec.Step(kind="step", every_epochs=2, factor=0.1), 5, 1)
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


def test_cosine_falls_by_epochs_to_its_end() -> None:
    found = rates(spec.Cosine(kind="cosine", epochs=None), 4, 2)
    expected = [0.05 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4) for _ in "ab"]
    assert found == pytest.approx(expected)
    assert rates(spec.Cosine(kind="cosine", epochs=8), 4, 1)[-1] > 0.05


def test_one_cycle_rises_to_its_peak_and_ends_near_zero() -> None:
    schedule = spec.OneCycle(kind="one_cycle", max_learning_rate=0.5, warmup_fraction=0.3)
    found = rates(schedule, 2, 50)
    assert found[0] == pytest.approx(0.5 / 25)
    assert max(found) == pytest.approx(0.5)
    assert found.index(max(found)) == 29
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)


@pytest.mark.parametrize(
    ("steps", "warmup"), [(1, 0.3), (2, 0.3), (3, 0.3), (10, 0.1), (5, 0.2), (3, 1 / 3)]
)
def test_one_cycle_bears_a_training_of_few_batches(steps: int, warmup: float) -> None:
    schedule = spec.OneCycle(kind="one_cycle", max_learning_rate=0.5, warmup_fraction=warmup)
    assert all(0 < rate <= 0.5 for rate in rates(schedule, 1, steps))


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        (
            spec.Adam(kind="adam", learning_rate=0.1, weight_decay=0.1, betas=(0.8, 0.9)),
            lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, betas=(0.8, 0.9)),
        ),
        (
            spec.AdamW(kind="adamw", learning_rate=0.1, weight_decay=0.1),
            lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
        ),
        (
            spec.SGD(kind="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.1),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        ),
        (
            spec.SGD(kind="sgd", learning_rate=0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        ),
    ],
)
def test_optimizers_move_as_their_plain_forms_do(settings: spec.Optimizer, reference) -> None:
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    mine, plain = build_optimizer(settings, [ours]), reference([theirs])
    for step in range(10):
        for parameter, optimizer in ((ours, mine), (theirs, plain)):
            parameter.grad = torch.sin(parameter.detach() * 3 + step)
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.slow
def test_training_does_not_import_pytorchs_compiler(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    """It would take longer than a training of the smallest networks."""
    code = (
        "import sys\nfrom mnistcli.cli.app import main\n"
        f"sys.argv = ['mnistcli', 'train', {str(tiny_preset)!r}, '--data', {str(tiny_data)!r},"
        f" '--out', {str(tmp_path)!r}, '--set', 'train.ema_decay=0.9']\n"
        "try:\n    main()\n"
        "except SystemExit as ending:\n    assert not ending.code, ending.code\n"
        "heavy = {'torch._dynamo', 'sympy', 'sklearn', 'matplotlib'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def test_sgd_without_momentum_may_get_it_from_its_schedule() -> None:
    early, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
    settings = spec.SGD(kind="sgd", learning_rate=0.1)
    optimizer = build_optimizer(settings, [early, late])
    cycle = spec.OneCycle(kind="one_cycle", max_learning_rate=0.1)
    schedule = build_schedule(cycle, optimizer, epochs=1, total_steps=8)
    for step in range(4):
        early.grad = torch.ones(3)
        late.grad = torch.ones(3) if step > 1 else None
        optimizer.step()
        schedule.scheduler.step()
    assert (late < 1).all()
