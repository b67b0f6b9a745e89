"""Summaries, runs and presets → tables."""

from collections.abc import Sequence
from shlex import quote
from textwrap import fill

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import budget_table, check_table, run_rows
from mnistcli.display.claims import CLAIM_COLUMNS, CLAIM_FIGURES, CLAIM_NOTE, claim_cells
from mnistcli.display.layers import layer_table
from mnistcli.display.layout import new_table
from mnistcli.display.phases import phase_views
from mnistcli.display.text import (
    VERDICT_STYLE,
    count,
    figure_name,
    percent,
    seconds,
    size,
    verdict,
)
from mnistcli.preset.schema import Reference
from mnistcli.records.documents import (
    ClaimAudit,
    PresetList,
    Profile,
    Repetition,
    RunRecord,
    Summary,
)


def summary_view(summary: Summary) -> RenderableType:
    """Build the view of a network: layers, totals, published claims and countable checks."""
    parts: list[RenderableType] = [
        Text(f"{summary.preset.name} · {summary.preset.title}", style="bold"),
        Text(),
        layer_table(summary.layers, is_measured=summary.is_measured),
        Text(),
        Text(
            f" {summary.parameters:,} parameters{_frozen(summary)}   "
            f"{summary.macs:,} multiply-accumulates (MACs) per image\n"
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
        parts += [Text(), check_table(summary.checks)]
    checked = {check.name for check in summary.checks}
    limits = [limit.figure for limit in summary.preset.budget.limits]
    if later := [figure_name(name) for name in limits if name not in checked]:
        parts += [Text(), Text(f" not checked before training: {', '.join(later)}")]
    return Group(*parts)


def _frozen(summary: Summary) -> str:
    frozen = summary.frozen_parameters
    return f" ({frozen:,} of them frozen)" if frozen else ""


def run_view(record: RunRecord) -> RenderableType:
    """Build the view of a run: test result, budget, path, and the command that comes next."""
    test = record.test
    low, high = test.interval
    path = quote(record.path)
    ending = Text.assemble(
        " ",
        verdict("pass" if record.passed else "fail"),
        f"  written to {path}\n next: mnistcli {'evaluate' if record.passed else 'report'} {path}",
    )
    parts: list[RenderableType] = [
        Text(
            f" test {percent(test.accuracy)}   {test.correct:,} of {test.total:,} correct   "
            f"95 % interval {100 * low:.2f} – {percent(high)}"
        ),
        Text(),
    ]
    if record.phases:
        parts += [*phase_views(record), Text()]
    if record.profile:
        parts += [_profile_table(record.profile), Text(), Text(_speed(record)), Text()]
    if record.repeats:
        parts += [_repetition(record.repeats), Text()]
    return Group(*parts, budget_table(run_rows(record)), Text(), ending)


def _repetition(repeats: Repetition) -> Text:
    if repeats.matches:
        return Text(f" weights equal to {repeats.run_id}, bit for bit")
    known = "; ".join(repeats.differences) or "none"
    line = f" weights differ from {repeats.run_id}; recorded differences: {known}"
    return Text(line, style=VERDICT_STYLE["fail"])


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
        table.add_row(stage, f"{spent:.2f} s", percent(spent / total, 1))
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
