"""Examples → labels that networks which did not learn from them disagree with."""

import time
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mnistcli.datasets.examples import Examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.loop import train
from mnistcli.engine.stages import Stages
from mnistcli.engine.state import LoopState
from mnistcli.errors import FileError
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import build_network, make_learner, make_recipe
from mnistcli.preset.choices import Split
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.contents import LabelCheck, LabelErrors, SuspiciousLabel
from mnistcli.selection.course import PlannedCourse
from mnistcli.verdict.label_errors import find_suspects

PRESET = "dash"
"""Better at this, in the same time, than `proxy` with three epochs: of 1 % wrong labels in MNIST it
finds 94 % with a precision of 91 %, where `proxy` finds 93 % with 82 %."""
FOLDS = 3
MIN_IMAGES = 100
MIN_STEPS = 150
"""Fewer images come up several times: an epoch of MNIST has 157 steps."""

Found = tuple[dict[Split, LabelErrors], LabelCheck]


def check_labels(data: Mapping[Split, Examples], options: Options, stages: Stages) -> Found:
    """Look for wrong labels by confident learning, with one short training a fold.

    The networks predict the training images that they did not learn from, and all test images, of
    which their mean probability counts.

    Raises:
        FileError: there are too few training images.
        UsageError: the device is not available.
    """
    begin = time.perf_counter()
    count = len(data["train"]) if "train" in data else 0
    if count < MIN_IMAGES:
        raise FileError(
            f"--labels needs at least {MIN_IMAGES} training images: the data has {count}. "
            "Leave it out."
        )
    machine = choose_machine(options)
    placed = {split: examples.to(machine.device) for split, examples in data.items()}
    preset = load_preset(PRESET).model_copy(update={"curriculum": None})
    predictions = _predict(preset, placed, options.seed, machine, stages)
    errors = {split: _describe(predictions[split], data[split].labels) for split in data}
    seconds = time.perf_counter() - begin
    return errors, LabelCheck(preset=PRESET, folds=FOLDS, seed=options.seed, seconds=seconds)


def divide_into_folds(labels: Tensor, seed: int) -> Tensor:
    """Return a fold for every image, int64 (n,), at random and in proportion to the digits."""
    order = torch.randperm(len(labels), generator=make_generator(seed, "folds"))
    order = order[torch.argsort(labels.cpu()[order], stable=True)]
    folds = torch.empty(len(labels), dtype=torch.int64)
    folds[order] = torch.arange(len(labels)) % FOLDS
    return folds


def _predict(
    preset: Preset, data: Mapping[Split, Examples], seed: int, machine: Machine, stages: Stages
) -> dict[Split, Tensor]:
    """Return probabilities for every split, float32 (n, 10), on the CPU."""
    folds = divide_into_folds(data["train"].labels, seed)
    found = {split: torch.zeros(len(examples), 10) for split, examples in data.items()}
    for fold in range(FOLDS):
        with stages(f"label check {fold + 1} of {FOLDS}"):
            own = FOLDS * seed + fold
            network = build_network(preset, own, machine)
            recipe = make_recipe(preset, own, machine)
            (learned,), (held,) = torch.where(folds != fold), torch.where(folds == fold)
            epochs = max(1, -(-MIN_STEPS // recipe.count_steps(len(learned))))
            plan = PlannedCourse.of([learned] * epochs)
            state = LoopState(make_learner(preset, network, plan.sizes, recipe))
            train(state, data["train"], plan, recipe, None, lambda event: None)
            answer = partial(evaluate, network.model, normalization=preset.normalization)
            rest = data["train"].take(held.to(machine.device))
            found["train"][held] = answer(examples=rest).probabilities
            if "test" in data:
                found["test"] += answer(examples=data["test"]).probabilities / FOLDS
    return found


def _describe(probabilities: Tensor, labels: Tensor) -> LabelErrors:
    predictions = probabilities.argmax(dim=1)
    suspects = find_suspects(probabilities.numpy(), labels.numpy())
    confidences = probabilities.amax(dim=1).numpy()[suspects.indices]
    given = labels.numpy()[suspects.indices]
    columns = (suspects.indices, given, suspects.predicted, confidences, suspects.margins)
    return LabelErrors(
        estimated=suspects.estimated,
        accuracy=float((predictions == labels).double().mean()),
        suspicious=tuple(
            SuspiciousLabel(
                index=index, label=label, predicted=predicted, confidence=confidence, margin=margin
            )
            for index, label, predicted, confidence, margin in zip(
                *(np.asarray(column).tolist() for column in columns), strict=True
            )
        ),
    )
