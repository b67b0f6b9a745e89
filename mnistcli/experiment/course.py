"""A preset's course over real examples: scores and losses handed to the curriculum."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import Examples
from mnistcli.engine.evaluation import measure_losses
from mnistcli.engine.state import Recipe
from mnistcli.preset.coreset import Score
from mnistcli.preset.schema import Preset
from mnistcli.selection.coreset.groups import Floats
from mnistcli.selection.course import PlannedCourse, plan_course


def make_course(
    preset: Preset,
    indices: Tensor,
    examples: Examples,
    recipe: Recipe,
    scores: Callable[[Score], Floats],
    model: nn.Module,
) -> PlannedCourse:
    """Plan the preset's curriculum over the examples at `indices`, or plain epochs without one.

    Args:
        preset: for its curriculum and epochs.
        indices: int64 (k,), all images that may be learned from.
        examples: all training images.
        recipe: its seed decides what is random.
        scores: returns a score of all images by name, if the curriculum goes by one.
        model: its losses are measured before every round if the curriculum is self-paced.

    Raises:
        PresetError: a phase has no images, or there are more rounds than steps.
    """
    own = examples.take(indices.to(examples.labels.device))

    def own_scores(name: Score) -> Tensor:
        return torch.from_numpy(scores(name))[indices]

    def losses() -> Tensor:
        return measure_losses(model, own, preset.normalization)

    course = plan_course(preset, indices, own.labels.cpu(), recipe, own_scores, losses)
    planned = preset.train.epochs if preset.prune else None
    is_endless = preset.train.within_seconds is not None
    stopping = preset.train.early_stopping
    return replace(course, stopping=stopping, is_endless=is_endless, planned=planned)
