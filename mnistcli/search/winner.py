"""The winner of a search as a preset that anyone can train."""

from pathlib import Path
from shlex import quote

from mnistcli import __version__
from mnistcli.preset.budget_text import format_budget
from mnistcli.preset.schema import Preset, Reference
from mnistcli.records.comparisons import RunsDocument
from mnistcli.records.files import write_atomically
from mnistcli.records.searches import WINNER, SearchPlan
from mnistcli.records.store import CODE


def add_reference(preset: Preset, runs: RunsDocument) -> Preset:
    """Return the preset with what its confirmation measured as [reference]."""
    first, summary = runs.runs[0], runs.summary
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    reference = Reference(
        command=f"mnistcli train {WINNER} --seeds {','.join(map(str, summary.seeds))}",
        seeds=summary.seeds,
        parameters=first.parameters,
        macs=first.macs,
        mean_test_accuracy=summary.mean_test_accuracy,
        sd_test_accuracy=summary.sd_test_accuracy,
        test_accuracies=tuple(run.test.accuracy for run in runs.runs),
        test_losses=tuple(run.test.loss for run in runs.runs),
        median_train_seconds=summary.median_train_seconds,
        machine=f"{first.versions.get('cpu', first.device)}; {first.precision}, {threads}",
        version=__version__,
        date=first.started[:10],
    )
    return preset.model_copy(update={"reference": reference})


def describe_search(plan: SearchPlan, networks: int, seconds: float) -> str:
    """Return the command that found a network, and what that took."""
    length = f"--trials {plan.trials}" if plan.trials else f"--within {plan.within_seconds:g}s"
    minimize = f" --minimize {plan.minimize}" if plan.minimize else ""
    sampler = f" --sampler {plan.sampler}" if plan.sampler != "evolution" else ""
    budget = quote(format_budget(plan.budget))
    command = f"mnistcli search --budget {budget}{minimize}{sampler} {length}"
    return f"{command} --seed {plan.seed}: {networks:,} networks of {plan.name} in {seconds:,.0f} s"


def write_winner(preset: Preset, folder: Path) -> Path:
    """Write the preset as winner.toml, and return its path.

    Raises:
        WriteError: it cannot be written.
    """
    import tomlkit

    data = preset.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    data.pop("name", None)  # by default that of the file
    if preset.model.python is not None:
        model = data["model"]
        model.pop("sources", None)  # names relative to the code's own folder
        model["python"] = f"{CODE}/{preset.model.python}"
    budget = preset.budget.model_dump(exclude_none=True)
    text = tomlkit.dumps({**data, "budget": budget} if budget else data)
    write_atomically(folder / WINNER, text.encode())
    return folder / WINNER
