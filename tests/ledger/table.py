"""The ledger's table in presets/README.md and the README's results, from the presets."""

from mnistcli.experiment.summary import summarize
from mnistcli.preset.curriculum import Hardest
from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import ClaimAudit, Summary

RESULTS = (
    "dash",
    "sprint",
    "mile",
    "sprint-coreset",
    "sevenconv-fixed",
    "cortex-m0-16k",
    "atmega328p",
    "nano-5k",
)
"""Presets of this project that the README shows."""
DOCUMENTED = (
    "dualblock",
    "journey-v1",
    "journey-v2",
    "onebyone",
    "optimizednet-published",
    "sevenconv",
)
"""Networks built and trained as their documents describe."""
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


def count_passes(preset: Preset) -> float:
    """Return how often the training learns from an image on average."""
    epochs = range(1, preset.train.epochs + 1)
    if isinstance(preset.curriculum, Hardest):
        return sum(map(preset.curriculum.fraction, epochs))
    return len(epochs)


def rows_of_results() -> str:
    """Return the README's table, and how many of the published figures were confirmed."""
    lines = [
        "| preset | parameters | training images | epochs | test accuracy, % | time |",
        "|---|---|---|---|---|---|",
    ]
    for name in RESULTS:
        preset = load_preset(name)
        images = preset.coreset.size if preset.coreset else 60_000
        cells = [
            f"`{name}`",
            f"{summarize(preset).parameters:,}",
            f"{images:,}",
            f"{count_passes(preset):g}",
            *_measured(preset),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    verdicts = [
        audit.verdict for name in DOCUMENTED for audit in summarize(load_preset(name)).published
    ]
    confirmed, refuted, undecided = map(verdicts.count, ("confirmed", "refuted", "undecided"))
    lines += [
        "",
        f"Five documents published {confirmed + refuted + undecided} parameter counts, accuracies",
        f"and losses of {len(DOCUMENTED)} networks (coresets and curricula apart). {confirmed}",
        f"were confirmed, {refuted} refuted, and {undecided} are undecided.",
    ]
    return "\n".join(lines) + "\n"


def _row(preset: Preset) -> str:
    summary = summarize(preset)
    accuracy, time = _measured(preset)
    cells = [
        f"`{preset.name}`",
        f"{summary.parameters:,}",
        " / ".join(f"{audit.claimed:,}" for audit in _audits(summary, "parameters")),
        accuracy,
        " / ".join(f"{100 * audit.claimed:.2f}" for audit in _audits(summary, "test_accuracy")),
        time,
        verdict_of(summary),
    ]
    return f"| {' | '.join(cells)} |"


def _measured(preset: Preset) -> tuple[str, str]:
    reference = preset.reference
    assert reference
    mean, spread = 100 * reference.mean_test_accuracy, 100 * reference.sd_test_accuracy
    time = f"{reference.seconds_alone:,.0f} s" if reference.seconds_alone else ""
    return f"{mean:.2f} ± {spread:.2f} ({len(reference.seeds)})", time


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
