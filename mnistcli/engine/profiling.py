"""How fast a network can learn at most on this machine."""

import time

import torch
from torch import nn

from mnistcli.datasets.examples import Examples
from mnistcli.engine.clock import Clock
from mnistcli.engine.evaluation import Normalization, normalize, to_inputs
from mnistcli.engine.loop import learn
from mnistcli.engine.state import Learner, Recipe


def measure_ceiling(
    learner: Learner, examples: Examples, recipe: Recipe, seconds: float = 1.0
) -> float:
    """Images a second of forward, backward and optimizer on one resident batch, and nothing else.

    Args:
        learner: is moved in place; nothing it has learned is of use afterwards.
        examples: the first of them make the batch.
        recipe: for its batch size and precision.
        seconds: to measure for, after as long a warm-up.
    """
    images = examples.images[: recipe.batch_size]
    inputs = normalize(to_inputs(images), recipe.normalization)
    labels = examples.labels[: recipe.batch_size]
    learner.model.train()
    speed = 0.0
    for _ in ("warm-up", "measured"):
        begin, steps = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < seconds:
            learn(learner, inputs, labels, recipe, Clock())
            steps += 1
        speed = steps * len(labels) / passed
    return speed


@torch.inference_mode()
def measure_inference(
    model: nn.Module,
    examples: Examples,
    normalization: Normalization,
    batch: int,
    seconds: float = 0.3,
) -> float:
    """Images a second from bytes to logits, `batch` at a time, in float32.

    Args:
        model: is put into evaluation mode.
        examples: the first of them make the batch; where there are fewer, it is smaller.
        normalization: the network's.
        batch: images at a time.
        seconds: to measure for, after a warm-up a third as long.
    """
    model.eval()
    images = examples.images[:batch]
    speed = 0.0
    for limit in (seconds / 3, seconds):
        begin, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < limit:
            model(normalize(to_inputs(images), normalization))
            count += len(images)
        speed = count / passed
    return speed
