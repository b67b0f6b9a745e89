"""Curricula: the order in which a network learns from the training images."""

from collections import Counter
from math import exp, floor, log, sqrt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistcli.preset.coreset import Score
from mnistcli.preset.values import Printable, StrictModel

Digit = Annotated[int, Field(ge=0, le=9)]
Unit = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[Printable, Field(min_length=1, max_length=20)]


class Pacing(StrictModel):
    """The growth of the fraction of the images in use.

    Source: Wu et al. 2021, table 1; `start` is their b, `full_at` their a.
    """

    shape: Literal["linear", "root", "quadratic", "exponential", "logarithmic", "step"] = "linear"
    start: Unit = 0.2
    """Fraction of the images in use at the start."""
    full_at: Unit = 0.5
    """Fraction of the training after which all images are in use."""

    def fraction(self, progress: float) -> float:
        """Return the fraction of the images in use, in (0, 1], at `progress` in [0, 1]."""
        done = progress / self.full_at
        if done >= 1:
            return 1.0
        growth = {
            "linear": done,
            "root": sqrt(done),
            "quadratic": done**2,
            "exponential": (exp(10 * done) - 1) / (exp(10) - 1),
            "logarithmic": 1 + log(done + exp(-10)) / 10,
            "step": 0.0,
        }[self.shape]
        return min(1.0, self.start + (1 - self.start) * max(0.0, growth))


class Groups(StrictModel):
    """Phases by digits, each of `train.epochs` passes over its images."""

    kind: Literal["groups"]
    mode: Literal["disjoint", "cumulative", "replay"]
    """Images of a phase: those of its own digits, those of its own and all earlier digits, or its
    own and `kept_per_digit` of each earlier digit."""
    groups: Annotated[tuple[tuple[Digit, ...], ...], Field(min_length=1, max_length=10)]
    names: tuple[Name, ...] = ()
    targets: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    """Min accuracy of each phase on its own digits, right after the phase."""
    kept_per_digit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    kept_repeats: Annotated[int, Field(ge=1, le=1_000)] = 1
    """How often a kept image occurs in a pass, to balance few kept images with many new ones."""

    @model_validator(mode="after")
    def _every_digit_in_one_group(self) -> Self:
        for number, group in enumerate(self.groups, start=1):
            if not group:
                raise ValueError(f"phase {number} has no digits")
        counts = Counter(digit for group in self.groups for digit in group)
        if twice := [digit for digit, count in counts.items() if count > 1]:
            raise ValueError(f"the digit {twice[0]} is in more than one group")
        if missing := [digit for digit in range(10) if digit not in counts]:
            raise ValueError(f"the digit {missing[0]} is in no group")
        return self

    @model_validator(mode="after")
    def _lists_fit_the_phases(self) -> Self:
        for field in ("names", "targets"):
            given = len(getattr(self, field))
            if given and given != len(self.groups):
                raise ValueError(f"{given} {field} for {len(self.groups)} phases")
        if (self.mode == "replay") != (self.kept_per_digit is not None):
            raise ValueError("the mode replay needs kept_per_digit, and no other mode accepts it")
        if self.mode != "replay" and self.kept_repeats > 1:
            raise ValueError("kept_repeats needs the mode replay")
        return self


class _Paced(StrictModel):
    """A curriculum in rounds with a growing fraction of the images."""

    pacing: Pacing = Pacing()
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Number of equal parts of the training, each with its own images in use."""

    @model_validator(mode="after")
    def _reaches_all_images(self) -> Self:
        if self.pacing.fraction((self.rounds - 1) / self.rounds) < 1:
            most = floor(1e4 * (self.rounds - 1) / self.rounds) / 1e4
            raise ValueError(
                f"pacing never reaches all images in {self.rounds} rounds. "
                + (f"Set pacing.full_at to {most:g} or less." if most else "Use more rounds.")
            )
        return self


class Paced(_Paced):
    """A curriculum in the order of a difficulty score from small networks."""

    kind: Literal["paced"]
    score: Score = "el2n"
    order: Literal["easy_first", "hard_first", "random"] = "easy_first"


class SelfPaced(_Paced):
    """A curriculum of the images with the lowest loss of the network itself.

    Source: Kumar et al. 2010, with a given fraction instead of a threshold of the loss.
    """

    kind: Literal["self_paced"]


class Hardest(StrictModel):
    """A curriculum of epochs over fewer images: mostly those with the highest last loss.

    Source: Jiang et al. 2019, "Accelerating deep learning by focusing on the biggest losers"
    (selective backprop), and Qin et al. 2024, "InfoBatch". Unlike the first, it computes no loss
    for the choice: it takes the one that each image had when it was last learned from. Unlike the
    second, it rescales no gradients.
    """

    kind: Literal["hardest"]
    fractions: Annotated[tuple[Unit, ...], Field(min_length=1, max_length=10_000)] = (1.0, 0.5)
    """Fraction of the images in every epoch; the last one is that of all later epochs, too. Images
    without a loss come first."""
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of an epoch's images that are drawn at random from those that are not the hardest."""

    def fraction(self, epoch: int) -> float:
        """Return the fraction of the images in an epoch, from 1."""
        return self.fractions[min(epoch, len(self.fractions)) - 1]


Curriculum = Annotated[Groups | Paced | SelfPaced | Hardest, Field(discriminator="kind")]
