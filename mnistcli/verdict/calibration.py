"""Confidences and whether they were correct → bins and the expected calibration error."""

from collections.abc import Sequence

from mnistcli.records.evaluations import CalibrationBin

BINS = 15


def calibrate(confidences: Sequence[float], correct: Sequence[bool]) -> tuple[CalibrationBin, ...]:
    """Divide predictions into 15 bins of equal width by their confidence, in (0, 1].

    Source: Guo et al. 2017, section 2.
    """
    members: list[list[int]] = [[] for _ in range(BINS)]
    for place, confidence in enumerate(confidences):
        members[min(BINS - 1, int(confidence * BINS))].append(place)
    return tuple(
        CalibrationBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            total=len(places),
            confidence=sum(confidences[p] for p in places) / len(places) if places else None,
            accuracy=sum(correct[p] for p in places) / len(places) if places else None,
        )
        for number, places in enumerate(members)
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean gap of confidence and accuracy, weighted by the images of a bin."""
    total = sum(each.total for each in bins)
    return sum(
        each.total * abs(each.confidence - each.accuracy)
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    ) / max(1, total)
