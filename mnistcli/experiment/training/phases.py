"""A preset's [curriculum] → a plan, and what each of its phases leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import CLASSES, Examples, split_validation
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import accuracy_on, evaluate, measure_losses
from mnistcli.engine.events import Emit, EpochFinished, Event, PhaseFinished, PhasePlanned
from mnistcli.engine.loop import Plan, Recipe
from mnistcli.experiment.coresets.select import SelectionInputs
from mnistcli.preset.curriculum import Groups, Paced, SelfPaced
from mnistcli.preset.schema import Normalization, Preset
from mnistcli.records.documents import PhaseRecord
from mnistcli.selection.curriculum import divide_by_digits, draw, order_evenly, split_steps

JUDGED_IMAGES = 10_000


@dataclass(frozen=True)
class Phase:
    """A part of a course: some epochs of its plan over the same images."""

    name: str
    digits: tuple[int, ...]
    images: int
    """In use; not all of them need come up."""
    steps: int
    last_epoch: int
    target: float | None


@dataclass(frozen=True)
class Course:
    """What is learned from, epoch by epoch."""

    plan: Plan
    passes: float
    """Over all that may be learned from."""
    phases: tuple[Phase, ...]
    """None without a curriculum."""


def plan_course(
    preset: Preset,
    indices: Tensor,
    examples: Examples,
    recipe: Recipe,
    inputs: SelectionInputs,
    model: nn.Module,
) -> Course:
    """The preset's curriculum over the examples at `indices`, or plain epochs without one.

    Args:
        preset: says which curriculum.
        indices: int64 (k,): all that may be learned from.
        examples: all training images.
        recipe: its seed decides what is left to chance.
        inputs: the scores of small networks, if the curriculum goes by one.
        model: asked for its losses, if the curriculum is self-paced.

    Raises:
        PresetError: a phase has no images, or there are more rounds than steps.
    """
    settings = preset.curriculum
    labels = examples.labels.cpu()[indices]
    match settings:
        case None:
            epochs = preset.train.epochs
            return Course(Plan.of([indices] * epochs), epochs, ())
        case Groups():
            generator = make_generator(recipe.seed, "curriculum")
            phases = divide_by_digits(settings, labels, generator)
            return _phased_course(settings, indices, phases, preset, recipe)
        case SelfPaced():
            own = examples.take(indices.to(examples.labels.device))

            def rank(epoch: int) -> Tensor:
                losses = measure_losses(model, own, preset.normalization)
                return order_evenly(
                    losses, labels, make_generator(recipe.seed, "curriculum", epoch)
                )

            return _paced_course(settings, indices, preset, recipe, rank)
        case Paced():
            generator = make_generator(recipe.seed, "curriculum")
            scores = torch.rand(len(indices), generator=generator)
            if settings.order != "random":
                scores = torch.from_numpy(inputs.difficulty.scores[settings.score])[indices]
                scores = -scores if settings.order == "hard_first" else scores
            order = order_evenly(scores, labels, generator)
            return _paced_course(settings, indices, preset, recipe, lambda epoch: order)


def _phased_course(
    settings: Groups, indices: Tensor, phases: Sequence[Tensor], preset: Preset, recipe: Recipe
) -> Course:
    """`train.epochs` passes over the images of each phase in turn."""
    passes = preset.train.epochs
    names = settings.names or tuple(f"phase {n}" for n in range(1, len(phases) + 1))
    described = tuple(
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
    epochs = [indices[positions] for positions in phases for _ in range(passes)]
    plan = Plan.of(epochs, [name for name in names for _ in range(passes)])
    return Course(plan, sum(plan.sizes) / len(indices), described)


def _paced_course(
    settings: Paced | SelfPaced,
    indices: Tensor,
    preset: Preset,
    recipe: Recipe,
    rank: Callable[[int], Tensor],
) -> Course:
    """Equal rounds, each from the share of the images that the pacing allows."""
    steps = split_steps(preset.train.epochs * recipe.count_steps(len(indices)), settings.rounds)
    shares = [settings.pacing.share(number / settings.rounds) for number in range(settings.rounds)]
    sizes = [count * recipe.batch_size for count in steps]

    def choose(epoch: int) -> Tensor:
        generator = make_generator(recipe.seed, "round", epoch)
        share, size = shares[epoch - 1], sizes[epoch - 1]
        return indices[draw(rank(epoch), share, size, generator)]

    names = [f"{100 * share:.0f} %" for share in shares]
    phases = tuple(
        Phase(
            name=names[number],
            digits=tuple(range(CLASSES)),
            images=max(1, round(share * len(indices))),
            steps=steps[number],
            last_epoch=number + 1,
            target=None,
        )
        for number, share in enumerate(shares)
    )
    return Course(Plan(sizes, choose, names), preset.train.epochs, phases)


def announce(course: Course, recipe: Recipe, emit: Emit) -> None:
    """Tells of every phase to come, in real numbers."""
    for phase in course.phases:
        size = course.plan.sizes[phase.last_epoch - 1]
        taken = min(size, recipe.count_steps(size) * recipe.batch_size)
        emit(
            PhasePlanned(
                name=phase.name,
                digits=phase.digits,
                images=phase.images,
                steps=phase.steps,
                batch_size=recipe.batch_size,
                left_out=size - taken,
                target=phase.target,
            )
        )


@dataclass(frozen=True)
class PhaseEvaluationSet:
    """Images that phases are judged on: never test images."""

    examples: Examples
    kind: str
    """As in "validation images"."""


def choose_phase_evaluation_set(
    examples: Examples, indices: Tensor, validation: Examples | None, seed: int, course: Course
) -> PhaseEvaluationSet | None:
    """Held-out images, or training images that are not learned from, if there are phases at all.

    Only where there are neither, those that are learned from.
    """
    if not course.phases:
        return None
    if validation:
        return PhaseEvaluationSet(validation, "validation images")
    unused = torch.ones(len(examples), dtype=torch.bool)
    unused[indices] = False
    rest, kind = torch.nonzero(unused)[:, 0], "training images not learned from"
    if len(torch.unique(examples.labels.cpu()[rest])) < CLASSES:
        rest, kind = indices, "training images"
    pool = examples.take(rest.to(examples.labels.device))
    if len(pool) > JUDGED_IMAGES:
        _, pool = split_validation(pool, JUDGED_IMAGES, make_generator(seed, "judges"))
    return PhaseEvaluationSet(pool.to(examples.labels.device), kind)


class PhaseJudge:
    """Listens to a training, and judges the network at the end of every phase."""

    def __init__(
        self,
        model: Callable[[], nn.Module],
        course: Course,
        judges: PhaseEvaluationSet | None,
        normalization: Normalization,
        emit: Emit,
        confusions: Sequence[Tensor] = (),
    ) -> None:
        self._model, self._course, self._judges = model, course, judges
        self._normalization, self._emit = normalization, emit
        self.confusions = list(confusions)
        """Of every phase that has ended, int64 (10, 10)."""

    def __call__(self, event: Event) -> None:
        """Passes the event on, and adds one of its own after the last epoch of a phase."""
        self._emit(event)
        number = len(self.confusions)
        if self._judges is None or number >= len(self._course.phases):
            return
        phase = self._course.phases[number]
        if isinstance(event, EpochFinished) and event.epoch == phase.last_epoch:
            judged = evaluate(self._model(), self._judges.examples, self._normalization)
            self.confusions.append(judged.confusion)
            own = accuracy_on(judged.confusion, phase.digits)
            seen = accuracy_on(judged.confusion, self._seen(number))
            self._emit(PhaseFinished(number + 1, phase.name, own, seen, phase.target))

    def _seen(self, number: int) -> tuple[int, ...]:
        return tuple({d for phase in self._course.phases[: number + 1] for d in phase.digits})

    def records(self, history: Sequence[EpochFinished]) -> tuple[PhaseRecord, ...]:
        """What every phase left, once the training has ended with that history."""
        records, first = [], 0
        for number, (phase, confusion) in enumerate(
            zip(self._course.phases, self.confusions, strict=True)
        ):
            epochs = history[first : phase.last_epoch]
            first = phase.last_epoch
            records.append(
                PhaseRecord(
                    phase=number + 1,
                    name=phase.name,
                    digits=phase.digits,
                    images=phase.images,
                    steps=phase.steps,
                    seconds=sum(epoch.seconds for epoch in epochs),
                    train_loss=epochs[-1].train_loss,
                    train_accuracy=epochs[-1].train_accuracy,
                    own_accuracy=accuracy_on(confusion, phase.digits),
                    seen_accuracy=accuracy_on(confusion, self._seen(number)),
                    final_own_accuracy=accuracy_on(self.confusions[-1], phase.digits),
                    digit_accuracies=tuple(accuracy_on(confusion, (d,)) for d in range(CLASSES)),
                    target=phase.target,
                )
            )
        return tuple(records)
