"""Run records and references → differences between their groups, and a journal."""

from collections.abc import Sequence
from typing import Literal

from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import (
    Comparison,
    Group,
    GroupDifference,
    Journal,
    JournalEntry,
)
from mnistcli.records.documents import RunRecord
from mnistcli.verdict.changes import list_image_changes, list_run_changes
from mnistcli.verdict.groups import make_groups
from mnistcli.verdict.stats import (
    LEVEL,
    ROUNDING_ERROR,
    Difference,
    Sample,
    holm_adjust,
    paired_difference,
    proportion_difference,
    welch_difference,
)

Test = Literal["paired t", "Welch t", "two proportions"]


def compare_members(members: Sequence[RunRecord | Preset]) -> Comparison:
    """Group runs by their preset, and compare every group with the first.

    Args:
        members: runs, and presets that stand for their [reference].

    Raises:
        UsageError: runs were tested on different images, or a preset has no [reference].
    """
    groups = _mark_front(make_groups(members))
    baseline, *others = groups
    found = [(group, *_test(group, baseline)) for group in others]
    adjusted = holm_adjust([difference.p_value for _, difference, _ in found])
    return Comparison(
        groups=tuple(groups),
        baseline=baseline.name,
        differences=tuple(
            GroupDifference(
                name=group.name,
                difference=difference.mean,
                interval=difference.interval,
                p_value=difference.p_value,
                adjusted_p_value=p_value,
                test=test,
                verdict=(
                    "no clear difference"
                    if p_value >= LEVEL
                    else "improved"
                    if difference.mean > 0
                    else "worse"
                ),
            )
            for (group, difference, test), p_value in zip(found, adjusted, strict=True)
        ),
    )


def keep_journal(members: Sequence[RunRecord | Preset]) -> Journal:
    """List all runs by their start, each with what changed since the previous; no presets.

    Accuracies on different test images are not subtracted.
    """
    runs = sorted(
        (one for one in members if isinstance(one, RunRecord)),
        key=lambda run: (run.started, run.run_id),
    )
    entries = [
        JournalEntry(
            run_id=run.run_id,
            started=run.started,
            preset=run.preset.name,
            seed=run.seed,
            parameters=run.parameters,
            accuracy=run.test.accuracy,
            evaluated_on=run.data.evaluated_on,
            change=_subtract(before, run) if before else None,
            changes=(
                (*list_run_changes(before, run), *list_image_changes(before, run)) if before else ()
            ),
        )
        for before, run in zip([None, *runs], runs, strict=False)
    ]
    return Journal(entries=tuple(entries))


def _subtract(before: RunRecord, after: RunRecord) -> float | None:
    if before.data.test_sha256 != after.data.test_sha256:
        return None
    return after.test.accuracy - before.test.accuracy


def _mark_front(groups: Sequence[Group]) -> list[Group]:
    return [
        group.model_copy(
            update={
                "pareto": not any(
                    other.mean_accuracy >= group.mean_accuracy
                    and other.parameters < group.parameters
                    or other.mean_accuracy > group.mean_accuracy
                    and other.parameters <= group.parameters
                    for other in groups
                )
            }
        )
        for group in groups
    ]


def _test(group: Group, baseline: Group) -> tuple[Difference, Test]:
    """Test with the strongest test that the data allows."""
    if group.seeds == baseline.seeds and group.accuracies and baseline.accuracies:
        paired = paired_difference(group.accuracies, baseline.accuracies)
        if paired and paired.interval[0] < paired.interval[1]:
            return paired, "paired t"
    pair = (group, baseline)
    if min(len(one.seeds) for one in pair) > 1 and any(one.sd > ROUNDING_ERROR for one in pair):
        samples = [Sample(one.mean_accuracy, one.sd, len(one.seeds)) for one in pair]
        return welch_difference(*samples), "Welch t"
    # Without a spread over seeds, only the sampling of the test images is left.
    accuracies, totals = zip(*((one.mean_accuracy, one.test_images) for one in pair), strict=True)
    return proportion_difference(accuracies, totals), "two proportions"
