"""The ledger's table in presets/README.md, from the presets."""

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import ClaimAudit, Summary

SIGNS = {"confirmed": "confirmed", "refuted": "**refuted**", "undecided": "undecided"}


def rows_of_ledger() -> str:
    """Return the table of all measured presets, and the plot."""
    head = (
        "| preset | parameters | claimed parameters | test accuracy, % | claimed accuracy, % "
        "| time | verdict |",
        "|---|---|---|---|---|---|---|",
    )
    rows = [_row(load_preset(name)) for name in list_presets() if load_preset(name).reference]
    picture = "![Wrong answers, in per cent, over the parameters of every preset](ledger.svg)\n"
    return "\n".join([*head, *rows]) + f"\n\n{picture}"


def _row(preset: Preset) -> str:
    reference, summary = preset.reference, summarize(preset)
    assert reference
    accuracy = f"{100 * reference.mean_test_accuracy:.2f} ± {100 * reference.sd_test_accuracy:.2f}"
    cells = [
        f"`{preset.name}`",
        f"{summary.parameters:,}",
        " / ".join(f"{audit.claimed:,}" for audit in _audits(summary, "parameters")),
        f"{accuracy} ({len(reference.seeds)})",
        " / ".join(f"{100 * audit.claimed:.2f}" for audit in _audits(summary, "test_accuracy")),
        f"{reference.seconds_alone:,.0f} s" if reference.seconds_alone else "",
        verdict_of(summary),
    ]
    return f"| {' | '.join(cells)} |"


def _audits(summary: Summary, figure: str) -> list[ClaimAudit]:
    return [audit for audit in summary.published if audit.figure == figure]


def verdict_of(summary: Summary) -> str:
    """Return the verdict on every claim about parameters and test accuracy."""
    words = []
    for figure, name in (("parameters", "parameters"), ("test_accuracy", "accuracy")):
        for audit in _audits(summary, figure):
            claimed = (
                f"{audit.claimed:,}" if figure == "parameters" else f"{100 * audit.claimed:g} %"
            )
            words.append(f"{name} {claimed} {SIGNS[audit.verdict]}")
    return "; ".join(words)
