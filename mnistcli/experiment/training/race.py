"""How many threads train fastest right now: a race before the training."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil

import torch

from mnistcli.datasets.examples import Examples
from mnistcli.engine.clock import Clock
from mnistcli.engine.device import choose_threads, drawing_from
from mnistcli.engine.loop import learn
from mnistcli.engine.network.contain import contain
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import build_network, list_sizes, make_learner, make_recipe
from mnistcli.preset.schema import Preset

SHARE = 0.02
"""Fraction of the training's steps that the race may take."""
STEPS = 2
"""Steps that are timed for each number of threads."""
MIN_SECONDS = 1.0
"""Training time below which there is no race."""
MAX_STEPS = 1 + 10 * STEPS
"""Steps of a race with up to 1,024 threads."""
CLEARLY = 0.9
"""Ratio of times below which fewer threads win."""


def race_threads(preset: Preset, examples: Examples, images: int, machine: Machine) -> Machine:
    """Return the machine with the number of threads that trains this network fastest right now.

    Threads wait for each other after every operation. Where another process keeps a core busy, all
    of them wait for the one that shares it, and fewer are faster. Steps of a network that is not
    needed any more are timed with all threads, and with half of them for as long as that is faster.

    Args:
        preset: what will be trained.
        examples: all training images, on the machine's device.
        images: number of images that an epoch learns from.
        machine: with as many threads as there may be.
    """
    allowed = count_allowed(preset, images)
    if machine.device.type != "cpu" or machine.threads == 1 or allowed < 1 + 2 * STEPS:
        return machine
    with contain(preset.model.code), drawing_from(0):
        step = _make_step(preset, examples, machine)
        step()
        threads = choose(step, machine.threads, (allowed - 1) // STEPS)
    return replace(machine, threads=choose_threads(threads))


def count_allowed(preset: Preset, images: int) -> int:
    """Return how many steps the race may take before a training from `images` images.

    How many steps a training by time takes is what the race decides: there, any number is worth it.
    """
    if (seconds := preset.train.within_seconds) is not None:
        return MAX_STEPS if seconds >= MIN_SECONDS else 0
    return int(SHARE * count_steps(preset, images))


def count_steps(preset: Preset, images: int) -> int:
    """Return the number of steps of a training that learns from `images` images, about."""
    return sum(ceil(size / preset.train.batch_size) for size in list_sizes(preset, images))


def choose(step: Callable[[], None], threads: int, tries: int) -> int:
    """Return `threads`, or a half, a quarter … of them if a step takes clearly less time so.

    Args:
        step: is called several times.
        threads: number to begin with.
        tries: max number of numbers of threads to try.
    """
    seconds = _time(step, threads)
    for _ in range(tries - 1):
        fewer = _time(step, threads // 2)
        if fewer > CLEARLY * seconds:
            break
        threads, seconds = threads // 2, fewer
        if threads == 1:
            break
    return threads


def _time(step: Callable[[], None], threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return time.perf_counter() - start


def _make_step(preset: Preset, examples: Examples, machine: Machine) -> Callable[[], None]:
    """Return a function that takes one step of a training which is not needed any more."""
    preset = preset.stages[0]
    recipe = make_recipe(preset, 0, machine)
    network = build_network(preset, 0, machine)
    learner = make_learner(preset, network, [recipe.batch_size], recipe)
    batch = examples.take(torch.arange(min(recipe.batch_size, len(examples))))
    learner.begin_training()
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        inputs, targets = recipe.prepare(batch, generator)
        try:
            learn(learner, inputs, targets, recipe, Clock())
        except FloatingPointError:
            pass  # its time is as good as any

    return step
