"""Run records and references → groups, their differences, and a journal. No torch."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, median
from typing import Any, Literal

from mnistcli.errors import UsageError
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import (
    Comparison,
    Group,
    GroupDifference,
    Journal,
    JournalEntry,
)
from mnistcli.records.documents import RunRecord
from mnistcli.verdict.changes import list_changes
from mnistcli.verdict.claims import judge_claim
from mnistcli.verdict.stats import (
    LEVEL,
    Difference,
    Sample,
    adjust,
    deviation,
    paired_difference,
    proportion_difference,
    student_interval,
    student_quantile,
    welch_difference,
    wilson_interval,
)

TEST_IMAGES = 10_000
Test = Literal["paired t", "Welch t", "two proportions"]


def compare_members(members: Sequence[RunRecord | Preset]) -> Comparison:
    """Groups runs by their preset, and holds every group against the first.

    Args:
        members: runs, and presets that stand for their [reference].

    Raises:
        UsageError: runs were tested on different images, or a preset has no [reference].
    """
    tested = {one.data.test_sha256 for one in members if isinstance(one, RunRecord)}
    if len(tested) > 1:
        raise UsageError("these runs were tested on different images; compare runs on the same")
    groups = _mark_front(_group(members))
    baseline, *others = groups
    found = [(group, *_difference(group, baseline)) for group in others]
    adjusted = adjust([difference.p_value for _, difference, _ in found])
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
    """All runs by their beginning, each with what changed since the one before; no presets."""
    runs = [one for one in members if isinstance(one, RunRecord)]
    entries = []
    before: RunRecord | None = None
    for run in sorted(runs, key=lambda run: (run.started, run.run_id)):
        entries.append(
            JournalEntry(
                run_id=run.run_id,
                started=run.started,
                preset=run.preset.name,
                seed=run.seed,
                parameters=run.parameters,
                accuracy=run.test.accuracy,
                change=run.test.accuracy - before.test.accuracy if before else None,
                changes=_all_changes(before, run) if before else (),
            )
        )
        before = run
    return Journal(entries=tuple(entries))


def _all_changes(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    settings = [
        f"{name}: {getattr(before, name)} → {getattr(after, name)}"
        for name in ("seed", "precision", "threads", "device")
        if getattr(before, name) != getattr(after, name)
    ]
    return (*list_changes(before.preset, after.preset), *settings)


def _group(members: Sequence[RunRecord | Preset]) -> list[Group]:
    """Groups in the order in which their first member came."""
    runs: dict[Preset, list[RunRecord]] = {}
    order: list[Preset | tuple[Preset, str]] = []
    for member in members:
        if isinstance(member, RunRecord):
            # What was measured of a preset since then makes no other preset of it.
            preset = member.preset.model_copy(update={"reference": None})
            if preset not in runs:
                order.append(preset)
            runs.setdefault(preset, []).append(member)
        else:
            order.append((member, "reference"))
    groups: list[Group] = []
    firsts: dict[str, Preset] = {}
    for entry in order:
        if isinstance(entry, Preset):
            name = _tell_apart(entry, firsts)
            groups.append(_group_of_runs(name, entry, runs[entry]))
        else:
            groups.append(_group_of_reference(entry[0]))
    return groups


def _tell_apart(preset: Preset, firsts: dict[str, Preset]) -> str:
    """The preset's name; for a second one of that name, with what is different."""
    first = firsts.setdefault(preset.name, preset)
    changes = list_changes(first, preset)
    return f"{preset.name} ({', '.join(changes)})" if changes else preset.name


def _group_of_runs(name: str, preset: Preset, runs: Sequence[RunRecord]) -> Group:
    runs = sorted(runs, key=lambda run: (run.seed, run.run_id))
    accuracies = [run.test.accuracy for run in runs]
    single = wilson_interval(runs[0].test.correct, runs[0].test.total)
    return Group(
        name=name,
        source="runs",
        runs=tuple(run.run_id for run in runs),
        seeds=tuple(run.seed for run in runs),
        parameters=runs[0].parameters,
        macs=runs[0].macs,
        train_examples=runs[0].train_examples,
        test_images=runs[0].test.total,
        accuracies=tuple(accuracies),
        mean_accuracy=mean(accuracies),
        sd=deviation(accuracies),
        interval=student_interval(accuracies) or single,
        train_seconds=median(run.train_seconds for run in runs),
        **_claims(preset, accuracies),
        pareto=False,
    )


def _group_of_reference(preset: Preset) -> Group:
    reference = preset.reference
    if reference is None:
        raise UsageError(f"preset {preset.name} has no [reference]; give runs of it instead")
    count, spread = len(reference.seeds), reference.sd_test_accuracy
    average = reference.mean_test_accuracy
    half = student_quantile(count - 1) * spread / sqrt(count) if count > 1 else None
    return Group(
        name=f"{preset.name} [reference]",
        source="reference",
        runs=(),
        seeds=reference.seeds,
        parameters=reference.parameters,
        macs=reference.macs,
        train_examples=None,
        test_images=TEST_IMAGES,
        accuracies=reference.test_accuracies,
        mean_accuracy=average,
        sd=spread,
        interval=None if half is None else (average - half, average + half),
        train_seconds=reference.seconds_alone or reference.median_train_seconds,
        **_claims(preset, reference.test_accuracies),
        pareto=False,
    )


def _claims(preset: Preset, accuracies: Sequence[float]) -> dict[str, Any]:
    """What is published of the preset, and whether its highest accuracy holds."""
    claims = preset.published.claims if preset.published else ()
    highest = max((float(c.value) for c in claims if c.figure == "test_accuracy"), default=None)
    verdict = None
    if highest is not None:
        verdict, _ = judge_claim("test_accuracy", highest, tuple(accuracies))
    return {
        "published_parameters": tuple(int(c.value) for c in claims if c.figure == "parameters"),
        "published_accuracy": highest,
        "claim_verdict": verdict,
    }


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


def _difference(group: Group, baseline: Group) -> tuple[Difference, Test]:
    """By the strongest test that the data allows."""
    if group.seeds == baseline.seeds and group.accuracies and baseline.accuracies:
        paired = paired_difference(group.accuracies, baseline.accuracies)
        if paired:
            return paired, "paired t"
    pair = (group, baseline)
    if min(len(one.seeds) for one in pair) > 1:
        samples = [Sample(one.mean_accuracy, one.sd, len(one.seeds)) for one in pair]
        return welch_difference(*samples), "Welch t"
    # A single run says nothing of its spread over seeds: only the test images' chance is left.
    shares, totals = zip(*((one.mean_accuracy, one.test_images) for one in pair), strict=True)
    return proportion_difference(shares, totals), "two proportions"
