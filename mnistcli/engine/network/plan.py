"""What a network computes in integers: its stages, and what they round by; of several, together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnistcli.engine.network.calibrate import Scales
from mnistcli.engine.network.fold import Weights
from mnistcli.engine.network.stages import Stage


@dataclass(frozen=True)
class Plan:
    """The stages of a network."""

    stages: Sequence[Stage]
    scales: Sequence[Scales]
    """Scales of every stage."""
    weights: Sequence[Weights | None]
    """Integer weights of the stages' layers; None where there is no layer, or to round it."""


def join(plans: Sequence[Plan]) -> Plan:
    """Return the plan of several networks for the same image, whose last stage adds their logits.

    The sum is as many times the mean as there are networks. A single plan stays as it is.
    """
    if len(plans) == 1:
        return plans[0]
    stages, ends = list[Stage](), list[int]()
    for number, plan in enumerate(plans, start=1):
        stages += [_move(stage, len(ends) and ends[-1], number) for stage in plan.stages]
        ends.append(len(stages))
    return Plan(
        stages=[*stages, Stage(tuple(ends), names=["sum of the members' logits"])],
        scales=[*(scale for plan in plans for scale in plan.scales), Scales(None, None)],
        weights=[*(weights for plan in plans for weights in plan.weights), None],
    )


def _move(stage: Stage, places: int, number: int) -> Stage:
    """Return a stage whose network comes after `places` others; value 0 stays the image."""
    sources = tuple(source and source + places for source in stage.sources)
    names = [f"member {number}, {stage.name}"]
    return replace(stage, sources=sources, names=names)
