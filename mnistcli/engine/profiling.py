"""How fast a network can learn at most on this machine."""

import time

from mnistcli.engine.data import Examples
from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.engine.loop import Clock, Learner, Recipe, learn


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
