"""Is a network as sure as it is right: confidences and hits → bins and their error."""

from collections.abc import Sequence

from mnistcli.records.evaluations import CalibrationBin

BINS = 15


def calibrate(confidences: Sequence[float], right: Sequence[bool]) -> tuple[CalibrationBin, ...]:
    """Bins of equal width over the confidences, in (0, 1].

    Source: Guo et al. 2017, section 2, with their 15 bins.
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
            accuracy=sum(right[p] for p in places) / len(places) if places else None,
        )
        for number, places in enumerate(members)
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance of confidence from accuracy, weighted by the images of a bin."""
    total = sum(one.total for one in bins)
    return sum(
        one.total * abs(one.confidence - one.accuracy)
        for one in bins
        if one.confidence is not None and one.accuracy is not None
    ) / max(1, total)
