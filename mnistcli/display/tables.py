"""Summaries, runs and presets → tables."""

from collections.abc import Iterator, Sequence
from shlex import quote
from textwrap import fill

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import budget_table, check_table, reason_views, run_rows
from mnistcli.display.claims import CLAIM_COLUMNS, CLAIM_FIGURES, CLAIM_NOTE, claim_cells
from mnistcli.display.layers import layer_table
from mnistcli.display.layout import new_table
from mnistcli.display.members import describe_members, member_table
from mnistcli.display.phases import phase_views
from mnistcli.display.text import (
    VERDICT_STYLE,
    count,
    figure_name,
    of_dataset,
    percent,
    seconds,
    size,
    verdict,
)
from mnistcli.preset.schema import Reference
from mnistcli.records.documents import ClaimAudit, Profile, RunRecord, Summary, Verdict
from mnistcli.records.earlier import Repetition
from mnistcli.records.presets import PresetList

NEXT: dict[Verdict, str] = {
    "pass": "evaluate {}",
    "fail": "report {}",
    "inconclusive": "export {} --to c --target DEVICE",
}
"""The command after a run."""


def _choose_next(record: RunRecord) -> str:
    """Return the command that comes next; no export decides what has no integer form."""
    has_form = record.integer_sizes is None or record.integer_sizes.fault is None
    is_open = record.verdict == "inconclusive" and not has_form
    return NEXT["fail" if is_open or record.data.evaluated_on == "held-out" else record.verdict]


def summary_view(summary: Summary) -> RenderableType:
    """Build the view of a network: layers, totals, published claims and countable checks."""
    parts: list[RenderableType] = [
        Text(f"{summary.preset.name} · {summary.preset.title}", style="bold"),
        Text(),
        layer_table(summary.layers, is_measured=summary.is_measured),
        Text(),
        *([Text(f" {note}")] if (note := describe_members(summary.preset)) else []),
        Text(
            f" {summary.parameters:,} parameters{_frozen(summary)}   "
            f"{summary.macs:,} multiply-accumulates (MACs) per image\n"
            f"{_pruned(summary)}"
            f" memory: parameters {size(summary.memory.parameters)}, per image "
            f"forward {size(summary.memory.forward)}, backward {size(summary.memory.backward)}"
        ),
    ]
    if summary.published:
        parts += [Text(), _claim_table(summary.published)]
        if any(audit.test == "one-sample t" for audit in summary.published):
            parts.append(Text(CLAIM_NOTE))
    if summary.preset.reference:
        parts += [Text(), Text(_measured(summary.preset.reference))]
    if summary.checks:
        parts += [Text(), check_table(summary.checks), *reason_views(summary.checks)]
    if later := _not_checked(summary):
        parts += [Text(), Text(later)]
    return Group(*parts)


def count_notes(summary: Summary) -> list[str]:
    """Return what the counts and checks of a network leave out, a sentence each."""
    frozen = summary.frozen_parameters
    first = f"{frozen:,} of the parameters are frozen" if frozen else ""
    notes = (first, _pruned(summary), _not_checked(summary))
    return [f"{note.strip()[0].upper()}{note.strip()[1:]}." for note in notes if note]


def _not_checked(summary: Summary) -> str:
    checked = {check.name for check in summary.checks}
    limits = [limit.figure for limit in summary.preset.budget.limits]
    later = [figure_name(name) for name in limits if name not in checked]
    return f" not checked before training: {', '.join(later)}" if later else ""


def _frozen(summary: Summary) -> str:
    frozen = summary.frozen_parameters
    return f" ({frozen:,} of them frozen)" if frozen else ""


def _pruned(summary: Summary) -> str:
    prune = summary.preset.prune
    if prune is None:
        return ""
    part = percent(prune.fraction, 0)
    if prune.kind == "weights":
        return f" {part} of the weights become zero after training, and count as parameters\n"
    return f" counted without {part} of the channels, which are pruned after training\n"


def run_view(record: RunRecord) -> RenderableType:
    """Build the view of a run: test result, budget, path, and the command that comes next."""
    test = record.test
    low, high = test.interval
    path = quote(record.path)
    command = _choose_next(record)
    ending = Text(" ")
    if record.checks:
        ending.append_text(verdict(record.verdict)).append("  ")
    ending.append(f"written to {path}\n next: mnistcli {command.format(path)}")
    images = of_dataset(record.data.dataset)
    parts: list[RenderableType] = [
        Text(
            f" {record.data.evaluated_on} {percent(test.accuracy)}   "
            f"{test.correct:,} of {test.total:,} correct   "
            f"95 % interval {100 * low:.2f} – {percent(high)}"
        ),
        *([Text(f" images{images}")] if images else []),
        *_earlier(record),
        Text(),
    ]
    if record.members:
        parts += [member_table(record.members), Text()]
    if record.phases:
        parts += [*phase_views(record), Text()]
    if record.profile:
        parts += [_profile_table(record.profile), Text(), Text(_speed(record)), Text()]
    if record.repeats:
        parts += [_repetition(record.repeats, is_expected=not record.is_bit_reproducible), Text()]
    if not record.is_bit_reproducible:
        parts += [
            Text(" the time decided the number of steps: not reproducible bit by bit"),
            Text(),
        ]
    reasons = reason_views(record.checks)
    return Group(*parts, budget_table(run_rows(record)), *reasons, Text(), ending)


def _earlier(record: RunRecord) -> Iterator[Text]:
    """Yield a line on the run it started from, and one on its teachers."""
    if first := record.init:
        yield Text(
            f" started from {first.run_id}: {first.evaluated_on} {percent(first.test_accuracy)}"
        )
    if teachers := record.teachers:
        parameters = count(sum(each.parameters for each in teachers), "parameter")
        spent = seconds(sum(each.train_seconds for each in teachers))
        names = ", ".join(dict.fromkeys(each.preset for each in teachers))
        yield Text(f" learned from {count(len(teachers), 'run')} of {names}: {parameters}, {spent}")


def _repetition(repeats: Repetition, *, is_expected: bool) -> Text:
    if repeats.matches:
        return Text(f" weights equal to {repeats.run_id}, bit for bit")
    known = "; ".join(repeats.differences) or "none"
    line = f" weights differ from {repeats.run_id}; recorded differences: {known}"
    return Text(line, style="" if is_expected else VERDICT_STYLE["fail"])


def presets_view(presets: PresetList) -> RenderableType:
    """Build the table of presets and their titles."""
    table = new_table("preset", "title", right=())
    for row in presets.presets:
        table.add_row(row.name, Text(row.title))
    return table


def _claim_table(audits: Sequence[ClaimAudit]) -> Table:
    table = new_table(*CLAIM_COLUMNS, "where", right=CLAIM_FIGURES, gap=1)
    for audit in audits:
        table.add_row(*claim_cells(audit), Text(audit.where, style="dim"))
    return table


def _measured(reference: Reference) -> str:
    time = f"{seconds(reference.median_train_seconds)} of training"
    if reference.seconds_alone:
        time += f" ({seconds(reference.seconds_alone)} alone with two threads)"
    origin = f"({reference.machine}; mnistcli {reference.version}, {reference.date})"
    return (
        f" measured: test {percent(reference.mean_test_accuracy)}, "
        f"sd {100 * reference.sd_test_accuracy:.2f}, over {count(len(reference.seeds), 'seed')}\n"
        f" {time}\n"
        f"{fill(origin, 79, initial_indent=' ', subsequent_indent=' ')}"
    )


def _profile_table(profile: Profile) -> Table:
    table = new_table("stage", "time", "fraction", right=("time", "fraction"))
    total = sum(profile.stages.values())
    for stage, spent in profile.stages.items():
        table.add_row(Text(stage), f"{spent:.2f} s", percent(spent / total, 1))
    return table


def _speed(record: RunRecord) -> str:
    profile = record.profile
    if profile is None:
        return ""
    memory = "" if record.peak_memory is None else f"; peak memory {size(record.peak_memory)}"
    fraction, ceiling = percent(profile.fraction_of_ceiling, 0), profile.ceiling_images_per_second
    return (
        f" {profile.images_per_second:,.0f} images/s, {fraction} of the {ceiling:,.0f} "
        f"of the network alone{memory}"
    )
