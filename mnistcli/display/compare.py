"""A comparison or a journal → tables, Markdown, CSV, and a plot in plain characters."""

import csv
from collections.abc import Sequence
from io import StringIO

from rich.console import Group as Parts
from rich.console import RenderableType
from rich.text import Text

from mnistcli.display.claims import CLAIM_COLUMNS, CLAIM_FIGURES, CLAIM_NOTE, claim_cells
from mnistcli.display.layout import new_table
from mnistcli.display.markdown import escape
from mnistcli.display.text import p_value, percent
from mnistcli.records.comparisons import Comparison, Group, GroupDifference, Journal

VERDICT_STYLE = {"improved": "green", "worse": "red", "no clear difference": ""}
REFERENCE = " [reference]"
FRONT_NOTE = " * on the Pareto front: no other is both as small and as accurate"
PLOT_WIDTH, PLOT_HEIGHT = 60, 12
COLUMNS = (
    "preset", "runs", "parameters", "parameters published", "macs", "accuracy", "sd", "low",
    "high", "accuracy published", "claim", "seconds", "images", "difference", "from", "to", "p",
    "test", "verdict",
)  # fmt: skip
NON_ZERO = "non-zero weights"
CLAIMS = ("preset", *CLAIM_COLUMNS, "test", "p")


def comparison_view(comparison: Comparison) -> RenderableType:
    """Build tables of groups, differences and claims, and a plot if the sizes differ."""
    parts: list[RenderableType] = [_group_table(comparison.groups)]
    if any(group.source == "reference" for group in comparison.groups):
        parts.append(Text(" * figures of the preset's [reference]"))
    if comparison.differences:
        parts += [Text(), _difference_table(comparison)]
    if any(group.claims for group in comparison.groups):
        parts += [Text(), _claim_table(comparison.groups)]
        if any(audit.runs for group in comparison.groups for audit in group.claims):
            parts.append(Text(CLAIM_NOTE))
    if len({group.parameters for group in comparison.groups}) > 1:
        parts += [Text(), Text(_plot(comparison.groups))]
    return Parts(*parts)


def journal_view(journal: Journal) -> RenderableType:
    """Build the table of runs in order, with what changed since the previous one."""
    figures = ("accuracy", "change")
    table = new_table("started", "preset", *figures, "changed since", right=figures, gap=1)
    for number, entry in enumerate(journal.entries):
        table.add_row(
            Text(entry.started[:16].replace("T", " ")),
            Text(entry.preset + " (held-out)" * (entry.evaluated_on == "held-out")),
            percent(entry.accuracy),
            "" if entry.change is None else f"{100 * entry.change:+.2f}",
            Text("\n".join(entry.changes) or ("nothing" if number else "")),
        )
    return table


def as_markdown(comparison: Comparison) -> str:
    """Return Markdown tables, in per cent: of the groups, and of all claims about them."""
    lines = _markdown(_columns(comparison), _rows(comparison))
    if claims := _claim_rows(comparison.groups):
        lines += ["", *_markdown(CLAIMS, claims)]
    return "\n".join(lines) + "\n"


def as_csv(comparison: Comparison) -> str:
    """Return the table of the groups as CSV, in per cent."""
    page = StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(_columns(comparison))
    writer.writerows(_rows(comparison))
    return page.getvalue()


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_markdown_row(columns), f"|{'---|' * len(columns)}", *map(_markdown_row, rows)]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _columns(comparison: Comparison) -> list[str]:
    return [*COLUMNS, *[NON_ZERO] * _has_pruned(comparison.groups)]


def _has_pruned(groups: Sequence[Group]) -> bool:
    """Return whether weights of any group were pruned: there is a column for it then."""
    return any(group.non_zero_weights is not None for group in groups)


def _rows(comparison: Comparison) -> list[list[str]]:
    differences = {difference.name: difference for difference in comparison.differences}
    groups = comparison.groups
    return [
        [*_row(group, differences.get(group.name)), *_pruned_cells(group, groups)]
        for group in groups
    ]


def _pruned_cells(group: Group, groups: Sequence[Group], form: str = "d") -> list[str]:
    """Return the cell of the non-zero weights, if the groups' table has a column for them."""
    count = group.non_zero_weights
    return ["" if count is None else format(count, form)] * _has_pruned(groups)


def _row(group: Group, difference: GroupDifference | None) -> list[str]:
    ends = [f"{100 * end:.2f}" for end in group.interval] if group.interval else ["", ""]
    sizes = [audit for audit in group.claims if audit.figure == "parameters"]
    accuracies = [audit for audit in group.claims if audit.figure == "test_accuracy"]
    highest = max(accuracies, key=lambda audit: audit.claimed, default=None)
    return [
        group.name,
        str(len(group.seeds)),
        str(group.parameters),
        " / ".join(str(audit.claimed) for audit in sizes),
        str(group.macs),
        f"{100 * group.mean_accuracy:.2f}",
        _spread(group),
        *ends,
        f"{100 * highest.claimed:.2f}" if highest else "",
        highest.verdict if highest else "",
        f"{group.train_seconds:.1f}",
        "" if group.train_examples is None else str(group.train_examples),
        *_difference_cells(difference),
    ]


def _difference_cells(found: GroupDifference | None) -> list[str]:
    if found is None:
        return [""] * 6
    points = [f"{100 * value:+.2f}" for value in (found.difference, *found.interval)]
    return [*points, p_value(found.adjusted_p_value), found.test, found.verdict]


def _group_table(groups: Sequence[Group]) -> RenderableType:
    non_zero = ["non-zero"] * _has_pruned(groups)
    figures = ("runs", "parameters", *non_zero, "mean %", "sd", "95 % interval", "time")
    table = new_table("preset", *figures, right=figures, gap=1)
    for group in groups:
        low, high = group.interval or (None, None)
        table.add_row(
            Text(_short_name(group.name)),
            str(len(group.seeds)),
            f"{group.parameters:,}",
            *_pruned_cells(group, groups, ","),
            f"{100 * group.mean_accuracy:.2f}",
            _spread(group),
            "" if low is None or high is None else f"{100 * low:.2f}–{100 * high:.2f}",
            f"{group.train_seconds:,.0f} s",
        )
    return table


def _spread(group: Group) -> str:
    """Return the standard deviation in per cent, and nothing for a single run."""
    return f"{100 * group.sd:.2f}" if len(group.seeds) > 1 else ""


def _claim_table(groups: Sequence[Group]) -> RenderableType:
    table = new_table("preset", *CLAIM_COLUMNS, right=CLAIM_FIGURES, gap=1)
    for group in groups:
        for number, audit in enumerate(group.claims):
            table.add_row(Text("" if number else _short_name(group.name)), *claim_cells(audit))
    return table


def _claim_rows(groups: Sequence[Group]) -> list[list[str]]:
    return [
        [
            group.name,
            *map(str, claim_cells(audit)),
            audit.test or "",
            "" if audit.p_value is None else p_value(audit.p_value),
        ]
        for group in groups
        for audit in group.claims
    ]


def _short_name(name: str) -> str:
    """Shorten the mark of a preset's [reference] to an asterisk."""
    return f"{name.removesuffix(REFERENCE)}*" if name.endswith(REFERENCE) else name


def _difference_table(comparison: Comparison) -> RenderableType:
    figures = ("difference", "95 % interval", "p")
    first = f"against {_short_name(comparison.baseline)}"
    table = new_table(first, *figures, "test", "verdict", right=figures, gap=1)
    for found in comparison.differences:
        low, high = found.interval
        table.add_row(
            Text(_short_name(found.name)),
            f"{100 * found.difference:+.2f}",
            f"{100 * low:+.2f} {100 * high:+.2f}",
            p_value(found.adjusted_p_value),
            found.test,
            Text(found.verdict, style=VERDICT_STYLE[found.verdict]),
        )
    return table


def _plot(groups: Sequence[Group]) -> str:
    """Plot accuracy over parameters; an asterisk in the legend marks the Pareto front."""
    x = [group.parameters for group in groups]
    y = [group.mean_accuracy for group in groups]
    cells = [[" "] * PLOT_WIDTH for _ in range(PLOT_HEIGHT)]
    for number, group in enumerate(groups):
        column = _place(group.parameters, min(x), max(x), PLOT_WIDTH)
        row = _place(group.mean_accuracy, min(y), max(y), PLOT_HEIGHT)
        line = cells[PLOT_HEIGHT - 1 - row]
        free = [place for place in range(PLOT_WIDTH) if line[place] == " "]
        # Beside the place that another group has; a full row keeps its letters.
        if free:
            line[min(free, key=lambda place: (abs(place - column), place))] = _letter(number)
    labels = [percent(max(y)), *[""] * (PLOT_HEIGHT - 2), percent(min(y))]
    lines = [
        f"{label:>9} |{''.join(row).rstrip()}" for label, row in zip(labels, cells, strict=True)
    ]
    low, high = f"{min(x):,}", f"{max(x):,} parameters"
    lines.append(f"{'':>9} +{'-' * PLOT_WIDTH}")
    lines.append(f"{'':>11}{low}{high:>{PLOT_WIDTH - len(low)}}")
    for number, group in enumerate(groups):
        lines.append(f" {_letter(number)}{'*' if group.pareto else ' '} {group.name}")
    return "\n".join([*lines, FRONT_NOTE])


def _letter(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 52]


def _place(value: float, low: float, high: float, extent: int) -> int:
    return round((value - low) / (high - low) * (extent - 1)) if high > low else 0
