"""Accuracies of several arms, paired by seed → a summary of each arm."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from mnistcli.records.comparisons import PairedDifference
from mnistcli.records.documents import Interval
from mnistcli.verdict.stats import LEVEL, Sample, accuracy_interval, holm_adjust, paired_difference

Key = TypeVar("Key", bound=Hashable)


class ArmSummary(NamedTuple):
    """What an arm of a study reached over all seeds."""

    accuracies: tuple[float | None, ...]
    """In the order of the seeds; None where the training diverged."""
    mean_accuracy: float | None
    """None if all trainings diverged, as `sd`."""
    sd: float | None
    interval: Interval | None
    difference: PairedDifference | None
    """None for an arm that is compared with no other, and for fewer than two pairs."""


def summarize_arms(
    accuracies: Mapping[Key, Sequence[float | None]], pairs: Mapping[Key, tuple[Key, Key]]
) -> dict[Key, ArmSummary]:
    """Summarize every arm; a seed at which one of two arms diverged is no pair of them.

    Args:
        accuracies: of every arm, in the order of the seeds; None where the training diverged.
        pairs: whose accuracy less whose is an arm's difference; p-values are adjusted for all.
    """
    differences = compare_pairs(
        {key: _match(accuracies[one], accuracies[other]) for key, (one, other) in pairs.items()}
    )
    summaries = {}
    for key, values in accuracies.items():
        reached = [value for value in values if value is not None]
        sample = Sample.of(reached) if reached else None
        summaries[key] = ArmSummary(
            accuracies=tuple(values),
            mean_accuracy=sample and sample.mean,
            sd=sample and sample.standard_deviation,
            interval=accuracy_interval(sample) if sample else None,
            difference=differences.get(key),
        )
    return summaries


def _match(
    values: Sequence[float | None], baseline: Sequence[float | None]
) -> tuple[list[float], list[float]]:
    """Return the values of the seeds at which there are both."""
    pairs = zip(values, baseline, strict=True)
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    return [one for one, _ in both], [other for _, other in both]


def compare_pairs(
    pairs: Mapping[Key, tuple[Sequence[float], Sequence[float]]],
) -> dict[Key, PairedDifference]:
    """Return the first values of each pair less the second, with p-values adjusted for all pairs.

    A pair of fewer than two seeds is left out.
    """
    tested = {key: paired_difference(*pair) for key, pair in pairs.items()}
    found = {key: difference for key, difference in tested.items() if difference is not None}
    adjusted = holm_adjust([difference.p_value for difference in found.values()])
    return {
        key: PairedDifference(
            mean=difference.mean,
            interval=difference.interval,
            p_value=difference.p_value,
            adjusted_p_value=p_value,
            verdict=decide(difference.mean, p_value),
        )
        for (key, difference), p_value in zip(found.items(), adjusted, strict=True)
    }


def decide(difference: float, p_value: float) -> Literal["better", "worse", "no clear difference"]:
    """Return the verdict on a difference at the 5 % level."""
    if p_value >= LEVEL:
        return "no clear difference"
    return "better" if difference > 0 else "worse"


def name_effect(
    summary: ArmSummary,
) -> Literal["helps", "hurts", "no clear difference", "diverges"] | None:
    """Return in a word what an arm does to the base; None without a difference to tell."""
    if None in summary.accuracies:
        return "diverges"
    if summary.difference is None:
        return None
    match summary.difference.verdict:
        case "better":
            return "helps"
        case "worse":
            return "hurts"
        case "no clear difference":
            return "no clear difference"
