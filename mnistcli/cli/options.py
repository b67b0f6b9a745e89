"""The options that commands share, each defined once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from mnistcli.errors import UsageError
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice, Split

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options

SEED_LIMIT = 2**63 - 1
SHOWING = {"as_json", "form", "junit", "quiet", "no_fail", "allow_code", "traceback"}
RESUME_ALLOWS = {"resume", "jobs", "cluster", "data", "dataset", *SHOWING}
REPEAT_ALLOWS = {"repeat", "device", "precision", "threads", "data", "dataset", "out", *SHOWING}

DRY_RUN_REFUSES = {"seeds", "jobs", "cluster", "coreset", "profile", "form", "junit"}

SEVERAL, MACHINE, OUTPUT = "Several runs", "Machine and data", "Output"


class OutputOptions(NamedTuple):
    """How a command shows its result."""

    as_json: bool
    quiet: bool
    no_fail: bool
    form: Literal["table", "markdown"] = "table"
    junit: Path | None = None


def make_options(
    seed: int,
    device: DeviceChoice,
    precision: PrecisionChoice,
    threads: int | None,
    data: Path | None,
    out: Path,
    *,
    allow_code: bool = False,
) -> "Options":
    """Collect the options of a training; imports torch, so call it after the cheap checks."""
    from mnistcli.experiment.machine import Options

    return Options(seed, device, precision, threads, data, out, allow_code)


def refuse_others(context: typer.Context, option: str, allowed: set[str]) -> None:
    """Refuse every parameter but those `allowed` beside `option`, as `refuse` does."""
    refuse(context, option, {each.name or "" for each in context.command.params} - allowed)


def refuse(context: typer.Context, option: str, names: set[str]) -> None:
    """Refuse parameters that would have no effect beside `option`.

    Raises:
        UsageError: one of them is on the command line.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name in names:
            label = parameter.opts[0] if parameter.opts[0].startswith("-") else "a preset"
            raise UsageError(f"{option} cannot be combined with {label}")


def refuse_without(context: typer.Context, option: str, names: set[str]) -> None:
    """Refuse parameters that have an effect only beside `option`, which is not given.

    Raises:
        UsageError: one of them is on the command line.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name in names:
            raise UsageError(f"{parameter.opts[0]} needs {option}")


def complete_preset(incomplete: str) -> list[str]:
    """List the bundled presets whose names start with `incomplete`."""
    from mnistcli.preset.loading import list_presets

    return [name for name in list_presets() if name.startswith(incomplete)]


def _check_seed(seed: int) -> int:
    if seed > SEED_LIMIT:
        raise typer.BadParameter(f"{seed} is above {SEED_LIMIT}.")
    return seed


PresetArgument = Annotated[
    str,
    typer.Argument(
        metavar="PRESET",
        help="Name of a bundled preset, or path of a TOML file.",
        autocompletion=complete_preset,
    ),
]
NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="Preset's name, TOML file, or FILE.py:NAME.",
        autocompletion=complete_preset,
    ),
]
OptionalNetworkArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NETWORK",
        help="Preset's name, TOML file, or FILE.py:NAME.",
        autocompletion=complete_preset,
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="PRESET",
        help="Preset whose training a FILE.py:NAME gets.",
        show_default="starter",
    ),
]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", help="Run the Python code that a run or preset names."),
]
TracebackOption = Annotated[
    bool,
    typer.Option("--traceback", help="Show the traceback of an error.", rich_help_panel=OUTPUT),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Run folders, or folders of runs."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Override a field of the preset; repeatable."),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="LIMITS",
        help='Limits, as in "parameters<20000, accuracy>=99.4".',
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        envvar="MNISTCLI_SEED",
        min=0,
        callback=_check_seed,
        metavar="N",
        help="Random seed.",
    ),
]
CoresetFileOption = Annotated[
    Path | None,
    typer.Option(
        "--coreset",
        metavar="FILE",
        help="Train only on the images of an indices.npz.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Resume an interrupted run or .batch.json.",
        show_default=False,
    ),
]
SeedsOption = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="A-B",
        help="Seeds to train from, as in 0-9 or 0,3,5.",
        rich_help_panel=SEVERAL,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=1_024,
        metavar="N",
        help="Number of parallel runs.",
        show_default="one per core",
        rich_help_panel=SEVERAL,
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Dask scheduler, as in tcp://HOST:PORT.",
        show_default=False,
        rich_help_panel=SEVERAL,
    ),
]
DeviceOption = Annotated[
    DeviceChoice,
    typer.Option(
        "--device", envvar="MNISTCLI_DEVICE", help="Where to compute.", rich_help_panel=MACHINE
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        "--precision",
        envvar="MNISTCLI_PRECISION",
        help="Training precision.",
        rich_help_panel=MACHINE,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        envvar="MNISTCLI_THREADS",
        min=1,
        max=1_024,
        metavar="N",
        help="Number of CPU threads.",
        show_default="one per core",
        rich_help_panel=MACHINE,
    ),
]


def _make_data_option(default: str) -> Any:
    return typer.Option(
        "--data",
        envvar="MNISTCLI_DATA",
        metavar="PATH",
        help="Images: IDX, CSV, .npz or folders of pictures.",
        show_default=default,
        rich_help_panel=MACHINE,
    )


DataOption = Annotated[Path | None, _make_data_option("embedded MNIST")]
OwnDataOption = Annotated[Path | None, _make_data_option("the run's own")]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        envvar="MNISTCLI_OUT",
        metavar="DIR",
        help="Folder for run folders.",
        rich_help_panel=OUTPUT,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        envvar="MNISTCLI_QUIET",
        help="Show no progress and no warnings.",
        rich_help_panel=OUTPUT,
    ),
]
NoFailOption = Annotated[
    bool,
    typer.Option(
        "--no-fail", help="Exit with 0 even if a budget check fails.", rich_help_panel=OUTPUT
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the resolved preset and exit.", rich_help_panel=OUTPUT),
]
ProfileOption = Annotated[
    bool,
    typer.Option("--profile", help="Profile the training loop.", rich_help_panel=OUTPUT),
]
SplitOption = Annotated[Split, typer.Option("--split", help="Data split to evaluate.")]
