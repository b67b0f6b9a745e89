"""Studies: paired differences as cells of a table, and the view of a study of presets."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import count, of_dataset, p_value
from mnistcli.records.comparisons import DivergedTrial, PairedDifference
from mnistcli.records.studies import StudyArm, StudyDocument

DIFFERENCE_COLUMNS = ("diff.", "95 % interval", "p")
PAIRED_NOTE = (
    "paired by seed, in percentage\n"
    " points; p from a paired t-test, adjusted for all comparisons (Holm)"
)
VERDICT_STYLE = {"better": "green", "worse": "red", "no clear difference": ""}
EFFECT_STYLE = {"helps": "green", "hurts": "red", "diverges": "red", "no clear difference": ""}


def difference_cells(difference: PairedDifference | None) -> tuple[str, str, str, Text]:
    """Fill DIFFERENCE_COLUMNS and the verdict; leave them empty where there is no difference."""
    if difference is None:
        return "", "", "", Text()
    low, high = difference.interval
    return (
        f"{100 * difference.mean:+.2f}",
        f"{100 * low:+.2f} {100 * high:+.2f}",
        p_value(difference.adjusted_p_value),
        Text(
            difference.verdict.replace("no clear difference", "unclear"),
            style=VERDICT_STYLE[difference.verdict],
        ),
    )


def percent_points(fraction: float | None) -> str:
    """Return a figure in per cent without its sign, or a dash where all trainings diverged."""
    return "–" if fraction is None else f"{100 * fraction:.2f}"


def diverged_lines(diverged: Sequence[DivergedTrial]) -> list[RenderableType]:
    """Return a line on the trials that diverged, if there are any."""
    if not diverged:
        return []
    names = "; ".join(f"{each.arm}, seed {each.seed}" for each in diverged)
    return [Text(f" diverged: {names}", style="red")]


def study_view(document: StudyDocument) -> RenderableType:
    """Build the view of a study: what every arm gains, what it costs, and how it was measured."""
    arms = (document.base, *document.arms)
    reads = count(document.test_set_reads, "time")
    measured = (
        f"{document.evaluated_images:,} test images; the test set was read {reads}, once a trial"
        if document.evaluated_on == "test"
        else f"{document.evaluated_images:,} held-out training images, the same for all trials;\n "
        "the test set was not read"
    )
    return Group(
        Text(
            f"{document.preset.name} · {count(len(document.arms), 'arm')} · "
            f"{count(len(document.seeds), 'seed')} · {document.evaluated_on} accuracy"
            f"{of_dataset(document.dataset)}",
            style="bold",
        ),
        Text(),
        _gain_table(arms),
        Text(),
        _cost_table(arms),
        Text(),
        *diverged_lines(document.diverged),
        Text(" difference from the base, paired by seed, in percentage points; p from a paired"),
        Text(" t-test, Holm p adjusted for all arms"),
        Text(f" measured on {measured}"),
        Text(f" written to {document.path}"),
    )


def _gain_table(arms: Sequence[StudyArm]) -> Table:
    figures = ("n", "mean %", "sd", *DIFFERENCE_COLUMNS, "Holm p")
    table = new_table("arm", *figures, "effect", right=figures, gap=1)
    for arm in arms:
        difference, interval, adjusted, _ = difference_cells(arm.difference)
        effect = arm.verdict or ""
        table.add_row(
            Text(arm.name),
            str(arm.n),
            percent_points(arm.mean_accuracy),
            percent_points(arm.sd),
            difference,
            interval,
            p_value(arm.difference.p_value) if arm.difference else "",
            adjusted,
            Text(
                effect.replace("no clear difference", "unclear"),
                style=EFFECT_STYLE.get(effect, ""),
            ),
        )
    return table


def _cost_table(arms: Sequence[StudyArm]) -> Table:
    figures = ("parameters", "MACs", "time", "ratio")
    table = new_table("arm", *figures, "overrides", right=figures, gap=1)
    for arm in arms:
        table.add_row(
            Text(arm.name),
            f"{arm.parameters:,}",
            f"{arm.macs:,}",
            "–" if arm.train_seconds is None else f"{arm.train_seconds:,.1f} s",
            "–" if arm.seconds_ratio is None else f"{arm.seconds_ratio:.2f}",
            Text(" ".join(arm.overrides)),
        )
    return table
