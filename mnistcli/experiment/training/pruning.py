"""Between the two stages of a training: the network is pruned, and its fine-tuning begins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mnistcli.engine.events import NetworkPruned
from mnistcli.engine.network.contain import contain
from mnistcli.engine.prune import (
    clear_smallest,
    copy_values,
    count_weights,
    keep_zero,
    list_weights,
)
from mnistcli.engine.state import LoopState
from mnistcli.experiment.network import make_learner
from mnistcli.records.pruning import PruningRecord

if TYPE_CHECKING:  # it resumes what was pruned
    from mnistcli.experiment.training.state import TrainingState

ZEROS = "zeros."
"""What the names of masks begin with among the tensors of a saved state."""


def prune(state: "TrainingState") -> NetworkPruned | None:
    """Prune the trained network and begin its fine-tuning, if the preset says so, and only once."""
    setup, preset = state.setup, state.setup.preset
    if preset.prune is None or state.loop.first:
        return None
    with contain(preset.model.code):
        copy_values(state.loop.learner.result, setup.network.model, preset.channel_plan)
    if preset.prune.kind == "weights":
        state.zeros = clear_smallest(setup.network.model, preset.prune.fraction)
    begin_fine_tuning(state, len(state.loop.history))
    record = record_pruning(state)
    return NetworkPruned(
        parameters_before=record.parameters_before,
        parameters=setup.network.parameters,
        macs_before=record.macs_before,
        macs=setup.network.macs,
        weights=record.weights,
        non_zero_weights=record.non_zero_weights,
    )


def begin_fine_tuning(state: "TrainingState", first: int) -> None:
    """Let the pruned network learn on, with a new optimizer and schedule.

    Args:
        state: its `zeros` stay zero.
        first: number of epochs before the pruning.
    """
    setup, network = state.setup, state.setup.network
    weights = list_weights(network.model)
    if state.zeros:
        keep_zero(network.optimizer, [(weights[name], mask) for name, mask in state.zeros.items()])
    state.course.first, state.course.planned = first, setup.preset.stages[-1].train.epochs
    learner = make_learner(setup.preset.stages[-1], network, state.course.stage_sizes, state.recipe)
    before = state.loop
    state.loop = LoopState(learner, before.history, losses=before.losses, first=first)


def take_zeros(state: "TrainingState", tensors: dict[str, Tensor]) -> None:
    """Take the masks of a saved state out of its tensors.

    Raises:
        ValueError: they belong to another network.
    """
    weights = list_weights(state.setup.network.model)
    names = [name for name in tensors if name.startswith(ZEROS)]
    zeros = {name.removeprefix(ZEROS): tensors.pop(name) for name in names}
    prunes = state.setup.preset.prune
    wanted = weights if prunes and prunes.kind == "weights" else {}
    shapes = {name: (mask.shape, mask.dtype) for name, mask in zeros.items()}
    if shapes != {name: (weight.shape, torch.bool) for name, weight in wanted.items()}:
        raise ValueError("it belongs to another network: its pruned weights differ")
    state.zeros = {name: mask.to(weights[name].device) for name, mask in zeros.items()}


def name_zeros(zeros: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the masks by their names in a saved state."""
    return {f"{ZEROS}{name}": mask for name, mask in zeros.items()}


def record_pruning(state: "TrainingState") -> PruningRecord:
    """Return what is recorded of the pruning that the state is behind."""
    weights = non_zero = None
    if state.zeros:
        weights, non_zero = count_weights(state.loop.learner.result)
    return PruningRecord(
        epochs=state.loop.first,
        parameters_before=state.setup.unpruned.parameters,
        macs_before=state.setup.unpruned.macs,
        weights=weights,
        non_zero_weights=non_zero,
    )
