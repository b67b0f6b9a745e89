"""Examples → scores of difficulty and features, from small networks trained on them."""

import json
import time
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from mnistcli import __version__
from mnistcli.datasets.examples import Examples, fingerprint
from mnistcli.engine.loop import train
from mnistcli.engine.stages import Stages
from mnistcli.engine.state import LoopState
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import build_network, make_learner, make_recipe
from mnistcli.preset.loading import load_preset
from mnistcli.records.arrays import Cache
from mnistcli.selection.coreset.groups import Floats
from mnistcli.selection.course import PlannedCourse
from mnistcli.selection.scoring import Collector, score

PRESET = "proxy"
TRAININGS = 3
PARTS = 4


@dataclass(frozen=True)
class Difficulty:
    """Scores and features of every example."""

    scores: dict[str, Floats]
    """Scores by name, float32 (n,) each: greater is harder."""
    features: Floats
    """Input of the last layer of the first network, float32 (n, d)."""
    seconds: float
    """Time that training and evaluating the networks took."""


def score_difficulty(examples: Examples, seed: int, machine: Machine, stages: Stages) -> Difficulty:
    """Train the preset `proxy` from three seeds, or read its scores from the cache.

    The networks predict all examples after every quarter of an epoch. The cache key is a hash of
    preset, data, seed, device, kind of processor, precision, threads and versions.
    """
    preset = load_preset(PRESET)
    content = json.dumps(
        [
            preset.model_dump_json(), fingerprint(examples), seed, TRAININGS, PARTS,
            machine.device.type, machine.precision_name, machine.threads,
            __version__, version("torch"), torch.backends.cpu.get_cpu_capability(),
        ]
    )  # fmt: skip
    cache = Cache()
    if found := cache.read(content):
        features, seconds = found.pop("features"), float(found.pop("seconds"))
        return Difficulty(found, features, seconds)
    trainings = []
    begin = time.perf_counter()
    for number in range(TRAININGS):
        with stages(f"proxy {number + 1} of {TRAININGS}"):
            own = TRAININGS * seed + number
            network = build_network(preset, own, machine)
            assert isinstance(network.model, nn.Sequential), "the proxy is made of layers"
            recipe = make_recipe(preset, own, machine)
            everything = torch.arange(len(examples))
            parts = [everything[part::PARTS] for part in range(min(PARTS, len(examples)))]
            plan = PlannedCourse.of(parts * preset.train.epochs)
            state = LoopState(make_learner(preset, network, plan.sizes, recipe))
            collector = Collector(network.model, examples, preset.normalization)
            train(state, examples, plan, recipe, None, collector)
            trainings.append(collector.predictions)
    scores = score(trainings, examples.labels.cpu())
    features = trainings[0][-1].features.numpy()
    seconds = time.perf_counter() - begin
    cache.write(content, scores | {"features": features, "seconds": np.array(seconds)})
    return Difficulty(scores, features, seconds)
