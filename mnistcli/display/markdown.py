"""Runs and summaries → Markdown, for a CI job's step summary or a pull request."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote

from mnistcli.display.budget import BudgetRow, check_rows, list_reasons, run_rows
from mnistcli.display.layers import draw_tree
from mnistcli.display.members import describe_members
from mnistcli.display.runs import advise, mean_line
from mnistcli.display.tables import count_notes
from mnistcli.display.text import count, of_dataset, overall_verdict, percent, seconds, size
from mnistcli.records.comparisons import RunsDocument
from mnistcli.records.documents import Check, RunRecord, Summary

BUDGET = (("budget", "name"), ("measured", "figure"), ("limit", "figure"), ("verdict", "name"))
PLAIN = re.compile(r"[\w ./:=+,×–-]+")
"""Text without characters that end a code span or a cell."""
UNSAFE = re.compile(r"<(?=[A-Za-z/!?])|(?<=\])[(\[:]|[|\\`&]")
"""Characters that begin a tag, end a link's text, or have a meaning in a cell."""

Columns = Sequence[tuple[str, str]]


def run_as_markdown(record: RunRecord) -> str:
    """Return a run's verdict, budget, accuracy, and the command that repeats it."""
    word = f"{record.verdict.upper()}: " if record.checks else ""
    low, high = record.test.interval
    machine = f"{record.device} in {record.precision} with {count(record.threads, 'thread')}"
    return _join(
        f"## {word}{literal(record.preset.name)}, seed {record.seed}",
        _budget_table(run_rows(record)),
        _list_reasons(record.checks),
        f"{record.data.evaluated_on.capitalize()} accuracy {percent(record.test.accuracy)}: "
        f"{record.test.correct:,} of {record.test.total:,}{of_dataset(record.data.dataset)}, "
        f"95 % interval {100 * low:.2f} – {percent(high)}.",
        f"{count(record.last_epoch, 'epoch')} in {seconds(record.train_seconds)} on "
        f"{literal(machine)}. Run {literal(record.run_id)}; repeat it with:",
        code_block(f"mnistcli train --from {quote(record.path)}"),
    )


def runs_as_markdown(document: RunsDocument, batch_file: Path) -> str:
    """Return the verdict on the mean of several runs, and one row per run."""
    word = "fail" if document.failed else overall_verdict(document.checks)
    advice = f"; {advise(document)}" if word == "inconclusive" else ""
    name, total = document.summary.preset, len(document.runs) + len(document.failed)
    return _join(
        f"## {word.upper()}: {literal(name)}, mean of {count(len(document.runs), 'seed')}",
        _budget_table(check_rows(document.checks)),
        _list_reasons(document.checks),
        f"Test accuracy: {' '.join(mean_line(document).split())}{advice}.",
        _run_table(document),
        f"{len(document.failed)} of {total} runs failed." if document.failed else "",
        "Compare them with others:",
        code_block(f"mnistcli compare {quote(str(batch_file))}"),
    )


def summary_as_markdown(summary: Summary) -> str:
    """Return a network's counts, countable checks and layers."""
    verdict = f"{overall_verdict(summary.checks).upper()}: " if summary.checks else ""
    name = summary.preset.name
    return _join(
        f"## {verdict}{literal(name)}, {count(summary.parameters, 'parameter')}",
        _budget_table(check_rows(summary.checks)) if summary.checks else "",
        _list_reasons(summary.checks),
        " ".join(count_notes(summary)),
        f"{summary.macs:,} multiply-accumulates (MACs) per image; parameters "
        f"{size(summary.memory.parameters)} in float32.",
        describe_members(summary.preset),
        _layer_table(summary),
    )


def literal(text: str) -> str:
    """Return text as code, in which nothing is Markdown or HTML, on one line."""
    shown = "".join(c if c.isprintable() else " " for c in text).strip()
    if PLAIN.fullmatch(shown):
        return f"`{shown}`"
    escaped = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in shown)
    return f"<code>{escaped}</code>"


def escape(text: str) -> str:
    """Return text for a cell, in which it can be neither HTML nor a link, an image or a cell."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return UNSAFE.sub(lambda found: f"&#{ord(found[0])};", shown)


def code_block(line: str) -> str:
    """Return one line of shell as a block that nothing in it can end."""
    shown = "".join(c if c.isprintable() else " " for c in line)
    return f"```sh\n{shown}\n```"


def markdown_table(columns: Columns, rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a column is a heading and whether it holds a "name" or a "figure"."""
    heads = [head for head, _ in columns]
    marks = ["--:" if kind == "figure" else "---" for _, kind in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _budget_table(rows: Iterable[BudgetRow]) -> str:
    return markdown_table(BUDGET, [[str(cell) for cell in row] for row in rows])


def _list_reasons(checks: Iterable[Check]) -> str:
    return "\n".join(f"- {escape(line)}" for line in list_reasons(checks))


def _run_table(document: RunsDocument) -> str:
    columns = [(head, "figure") for head in ("seed", "accuracy", "loss", "time")]
    rows = [
        [
            str(run.seed),
            percent(run.test.accuracy),
            f"{run.test.loss:.4f}",
            seconds(run.train_seconds),
            run.verdict.upper(),
            literal(run.run_id),
        ]
        for run in document.runs
    ]
    for failed in document.failed:
        word, folder = f"exit {failed.exit_code}", Path(failed.path).name
        rows.append([str(failed.seed), "", "", "", word, literal(folder)])
    return markdown_table([*columns, ("verdict", "name"), ("run", "name")], rows)


def _layer_table(summary: Summary) -> str:
    field = "receptive field" + ", measured" * summary.is_measured
    figures = ("output", "parameters", "MACs", field)
    columns = [("layer", "name"), ("kind", "name"), *((head, "figure") for head in figures)]
    return markdown_table(
        columns,
        [
            [
                literal(layer.name),
                literal(layer.kind),
                "×".join(map(str, layer.output_shape)),
                f"{layer.parameters:,}",
                f"{layer.macs:,}",
                str(layer.receptive_field) if layer.output_shape else "",
            ]
            for layer, *_ in draw_tree(summary.layers)
        ],
    )
