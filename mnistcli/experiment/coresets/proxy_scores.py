"""Examples → scores and features, from small networks trained on them for that purpose."""

import json
import time
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

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
    """What the small networks make of every example."""

    scores: dict[str, Floats]
    """By name, float32 (n,) each: greater is harder."""
    features: Floats
    """Float32 (n, d): what the last layer of the first of them sees."""
    seconds: float
    """That training and asking them took."""


def score_difficulty(examples: Examples, seed: int, machine: Machine, stages: Stages) -> Difficulty:
    """Trains the preset `proxy` from three seeds, or reads what that gave the last time.

    It is asked for its answers after every quarter of an epoch. They are kept under a hash of all
    that decides them: preset, data, seed, precision, threads and versions.
    """
    preset = load_preset(PRESET)
    content = json.dumps(
        [
            preset.model_dump_json(), fingerprint(examples), seed, TRAININGS, PARTS,
            machine.device.type, machine.precision_name, machine.threads,
            __version__, version("torch"),
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
            recipe = make_recipe(preset, own, machine)
            everything = torch.arange(len(examples))
            parts = [everything[part::PARTS] for part in range(PARTS)]
            plan = PlannedCourse.of(parts * preset.train.epochs)
            state = LoopState(make_learner(preset, network, plan.sizes, recipe))
            collector = Collector(network.model, examples, preset.normalization)
            train(state, examples, plan, recipe, None, collector)
            trainings.append(collector.answers)
    scores = score(trainings, examples.labels.cpu())
    features = trainings[0][-1].features.numpy()
    seconds = time.perf_counter() - begin
    cache.write(content, scores | {"features": features, "seconds": np.array(seconds)})
    return Difficulty(scores, features, seconds)
