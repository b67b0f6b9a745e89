"""Courses: which images a training learns from, epoch by epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES
from mnistcli.engine.device import make_generator
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.state import Recipe
from mnistcli.preset.coreset import Score
from mnistcli.preset.curriculum import Groups, Hardest, Paced, SelfPaced
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import EarlyStopping
from mnistcli.selection.curriculum import (
    count_share,
    divide_by_digits,
    draw,
    draw_hardest,
    order_evenly,
    split_steps,
)
from mnistcli.selection.stopping import count_epochs, list_figures

Rank = Callable[[int], Tensor]
"""Returns the order of the images for an epoch, int64 (k,), the first ones to be used first."""


@dataclass(frozen=True)
class Phase:
    """A part of a course: some epochs over the same images."""

    name: str
    digits: tuple[int, ...]
    images: int
    """Number of images in use; not all of them need come up."""
    steps: int
    last_epoch: int
    target: float | None


@dataclass
class PlannedCourse:
    """A course whose epochs have known sizes; their images may depend on the training so far."""

    sizes: Sequence[int]
    """Number of images of every epoch."""
    choose: Callable[[int, Tensor | None], Tensor]
    """Returns the indices of an epoch, from 1, int64 (size,), in any order, when it begins; its
    second argument is the last loss of every image, float32 (n,), if the recipe keeps them."""
    names: Sequence[str] = ()
    """Names of the epochs, if they have any."""
    passes: float = 0.0
    """Passes over all images that may be learned from: the epochs that a budget limits."""
    phases: tuple[Phase, ...] = ()
    """Phases of the curriculum, if there is one."""
    stopping: EarlyStopping | None = None
    """When it ends before its last epoch."""
    is_endless: bool = False
    """Whether epochs like the last one follow it for as long as the training goes."""
    place: int = 0
    """Number of epochs given out."""
    first: int = 0
    """Number of epochs before the present stage: 0, or those before a pruning."""
    planned: int | None = None
    """Number of epochs of the present stage; by default all."""

    def count_passes(self, epochs: int) -> float:
        """Return the passes over all images that the first `epochs` of its epochs make."""
        return self.passes * sum(self.list_sizes(epochs)) / sum(self.sizes)

    def list_sizes(self, epochs: int) -> Sequence[int]:
        """Return the number of images of each of the first `epochs` epochs."""
        further = epochs - len(self.sizes) if self.is_endless else 0
        return [*self.sizes[:epochs], *[self.sizes[-1]] * further]

    @classmethod
    def of(
        cls, epochs: Sequence[Tensor], names: Sequence[str] = (), passes: float = 0.0
    ) -> "PlannedCourse":
        """Return a course whose indices are all known from the beginning."""
        sizes = [len(indices) for indices in epochs]
        return cls(sizes, lambda epoch, _: epochs[min(epoch, len(epochs)) - 1], names, passes)

    @property
    def stage_sizes(self) -> Sequence[int]:
        """Number of images of every epoch of the present stage."""
        end = None if self.planned is None else self.first + self.planned
        return self.sizes[self.first : end]

    def next(self, history: Sequence[EpochFinished], losses: Tensor | None) -> Tensor | None:
        """Return the indices of the next epoch, or None after the last one."""
        figures = list_figures(self.stopping, history[self.first :])
        planned = self.place + 1 if self.is_endless else len(self.stage_sizes)
        if self.first + count_epochs(self.stopping, figures, planned) <= self.place:
            return None
        self.place += 1
        return self.choose(self.place, losses)


def plan_course(
    preset: Preset,
    indices: Tensor,
    labels: Tensor,
    recipe: Recipe,
    scores: Callable[[Score], Tensor],
    losses: Callable[[], Tensor],
) -> PlannedCourse:
    """Plan the preset's curriculum, or plain epochs without one.

    Args:
        preset: for its curriculum and epochs.
        indices: int64 (k,), all images that may be learned from.
        labels: int64 (k,), their digits, on the CPU.
        recipe: its seed decides what is random.
        scores: returns a score of these images by name, float (k,), if the curriculum needs one.
        losses: returns the network's present losses on them, float (k,), if it is self-paced.

    Raises:
        PresetError: a phase has no images, or there are more rounds than steps.
    """
    settings, epochs = preset.curriculum, preset.epochs
    generator = make_generator(recipe.seed, "curriculum")
    match settings:
        case None:
            return PlannedCourse.of([indices] * epochs, passes=epochs)
        case Groups():
            phases = divide_by_digits(settings, labels, generator)
            return _plan_phases(settings, indices, phases, epochs, recipe)
        case SelfPaced():
            return _plan_rounds(
                settings, indices, epochs, recipe, _rank_by_losses(losses, labels, recipe)
            )
        case Hardest():
            return _plan_hardest(settings, indices, epochs, recipe)
        case Paced():
            order = _order_by_score(settings, labels, scores, generator)
            return _plan_rounds(settings, indices, epochs, recipe, lambda epoch: order)


def _rank_by_losses(losses: Callable[[], Tensor], labels: Tensor, recipe: Recipe) -> Rank:
    def rank(epoch: int) -> Tensor:
        generator = make_generator(recipe.seed, "curriculum", epoch)
        return order_evenly(losses(), labels, generator)

    return rank


def _order_by_score(
    settings: Paced, labels: Tensor, scores: Callable[[Score], Tensor], generator: torch.Generator
) -> Tensor:
    rising = torch.rand(len(labels), generator=generator)
    if settings.order != "random":
        found = scores(settings.score)
        rising = -found if settings.order == "hard_first" else found
    return order_evenly(rising, labels, generator)


def _plan_phases(
    settings: Groups, indices: Tensor, phases: Sequence[Tensor], passes: int, recipe: Recipe
) -> PlannedCourse:
    """Plan `passes` epochs over the images of each phase in turn."""
    names = settings.names or tuple(f"phase {n}" for n in range(1, len(phases) + 1))
    epochs = [indices[positions] for positions in phases for _ in range(passes)]
    course = PlannedCourse.of(epochs, [name for name in names for _ in range(passes)])
    course.passes = sum(course.sizes) / len(indices)
    course.phases = tuple(
        Phase(
            name=names[number],
            digits=settings.groups[number],
            images=len(torch.unique(positions)),
            steps=passes * recipe.count_steps(len(positions)),
            last_epoch=(number + 1) * passes,
            target=settings.targets[number] if settings.targets else None,
        )
        for number, positions in enumerate(phases)
    )
    return course


def _plan_hardest(settings: Hardest, indices: Tensor, epochs: int, recipe: Recipe) -> PlannedCourse:
    """Plan epochs over the images with the highest last losses, and a share of random ones."""
    fractions = [settings.fraction(epoch) for epoch in range(1, epochs + 1)]
    sizes = [max(1, round(fraction * len(indices))) for fraction in fractions]

    def choose(epoch: int, losses: Tensor | None) -> Tensor:
        assert losses is not None, "the recipe keeps losses"
        generator = make_generator(recipe.seed, "curriculum", epoch)
        own = losses.cpu()[indices]
        size = sizes[min(epoch, epochs) - 1]
        drawn = draw_hardest(own, size, settings.random_share, generator)
        return indices[drawn.sort().values]  # an epoch over all images is a plain one

    names = [f"{100 * fraction:.0f} %" for fraction in fractions]
    return PlannedCourse(sizes, choose, names, passes=sum(sizes) / len(indices))


def _plan_rounds(
    settings: Paced | SelfPaced, indices: Tensor, epochs: int, recipe: Recipe, rank: Rank
) -> PlannedCourse:
    """Plan equal rounds, each over the fraction of the images that the pacing allows."""
    steps = split_steps(epochs * recipe.count_steps(len(indices)), settings.rounds)
    shares = [
        settings.pacing.fraction(number / settings.rounds) for number in range(settings.rounds)
    ]
    sizes = [count * recipe.batch_size for count in steps]

    def choose(epoch: int, _: Tensor | None) -> Tensor:
        generator = make_generator(recipe.seed, "round", epoch)
        return indices[draw(rank(epoch), shares[epoch - 1], sizes[epoch - 1], generator)]

    phases = tuple(
        Phase(
            name=f"{100 * share:.0f} %",
            digits=tuple(range(CLASSES)),
            images=count_share(share, len(indices)),
            steps=steps[number],
            last_epoch=number + 1,
            target=None,
        )
        for number, share in enumerate(shares)
    )
    passes = sum(sizes) / len(indices)  # a round has full batches only
    return PlannedCourse(sizes, choose, [phase.name for phase in phases], passes, phases)
