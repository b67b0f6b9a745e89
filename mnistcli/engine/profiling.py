"""Measure the maximum speed of a network's training and inference on this machine."""

import time

import torch
from torch import nn

from mnistcli.datasets.examples import Examples
from mnistcli.engine.clock import Clock
from mnistcli.engine.evaluation import Normalization, normalize, to_inputs
from mnistcli.engine.loop import learn
from mnistcli.engine.state import Learner, Recipe
from mnistcli.engine.targets import Targets


def measure_ceiling(
    learner: Learner, examples: Examples, recipe: Recipe, seconds: float = 1.0
) -> float:
    """Measure images per second of forward, backward and optimizer alone, on one batch in memory.

    Args:
        learner: trained in place; not usable for anything else afterwards.
        examples: the first of them are the batch.
        recipe: defines the batch size and the precision.
        seconds: duration of the measurement, after an equally long warm-up.
    """
    images = examples.images[: recipe.batch_size]
    inputs = normalize(to_inputs(images), recipe.normalization)
    labels = examples.labels[: recipe.batch_size]
    learner.begin_training()
    for group in learner.optimizer.param_groups:
        group["lr"] = 0.0  # so many steps on one batch could diverge
    speed = 0.0
    for _ in ("warm-up", "measured"):
        begin, steps = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < seconds:
            for _ in range(recipe.look_steps):
                losses = learn(learner, inputs, Targets(labels), recipe, Clock())[0]
            losses.cpu()  # a GPU has only been told what to do until somebody waits for it
            steps += recipe.look_steps
        speed = steps * len(labels) / passed
    return speed


@torch.no_grad()
def measure_inference(
    model: nn.Module,
    examples: Examples,
    normalization: Normalization,
    batch: int,
    seconds: float = 0.3,
) -> float:
    """Measure images per second from bytes to logits in memory, `batch` at a time, in float32.

    Args:
        model: put into evaluation mode.
        examples: the first of them are the batch; with fewer examples it is smaller.
        normalization: mean and standard deviation that the network was trained with.
        batch: number of images at a time.
        seconds: duration of the measurement, after a warm-up of a third of it.
    """
    model.eval()
    images = examples.images[:batch]
    speed = 0.0
    for limit in (seconds / 3, seconds):
        begin, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < limit:
            model(normalize(to_inputs(images), normalization)).cpu()
            count += len(images)
        speed = count / passed
    return speed
