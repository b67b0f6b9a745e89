"""The options that commands share, each once."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.workers import Workers

NUMBERS_LIMIT = 1_000


class DeviceName(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class PrecisionName(StrEnum):
    """What to compute in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class SplitName(StrEnum):
    """Which images."""

    train = "train"
    test = "test"


class OutputOptions(NamedTuple):
    """How a result is to be shown."""

    as_json: bool
    quiet: bool
    no_fail: bool


RUN_TAKES = {"data", "out", "as_json", "quiet", "no_fail"}
RESUME_TAKES = {"jobs", "cluster", "data", "as_json", "quiet", "no_fail"}


def refuse_others(context: typer.Context, option: str, allowed: set[str]) -> None:
    """Refuses what would do nothing beside an option that says it all already.

    Raises:
        UsageError: something else stands on the command line.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in allowed:
            label = parameter.opts[0] if parameter.opts[0].startswith("-") else "the preset"
            raise UsageError(f"{option} says what to train already; leave {label} out")


def complete_preset(incomplete: str) -> list[str]:
    """The bundled presets that begin so."""
    from mnistcli.preset.loading import list_presets

    return [name for name in list_presets() if name.startswith(incomplete)]


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """The numbers that "0-4", "0,3,5" or "0-4,9" stand for, in that order, each once.

    Raises:
        UsageError: it is no such list, or one of more than a thousand numbers.
    """
    numbers: dict[int, None] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,15})\s*(?:-\s*(\d{1,15})\s*)?", part, re.ASCII)
        first = int(found[1]) if found else 0
        last = int(found[2] or first) if found else -1
        if last < first:
            raise UsageError(f'{option} wants numbers as in 0-4 or 0,3,5; got "{text}"')
        if len(numbers) + last - first >= NUMBERS_LIMIT:
            raise UsageError(f"{option}: at most {NUMBERS_LIMIT:,} numbers")
        numbers |= dict.fromkeys(range(first, last + 1))
    return tuple(numbers)


def read_workers(jobs: int | None, cluster: str | None) -> "Workers":
    """Who is to run several jobs.

    Raises:
        UsageError: both options were given.
    """
    from mnistcli.experiment.workers import Workers

    if cluster and jobs is not None:
        raise UsageError("--jobs is for this machine; a cluster runs as many as it has workers")
    return Workers(jobs or os.cpu_count() or 1, cluster)


PresetArgument = Annotated[
    str,
    typer.Argument(
        metavar="PRESET",
        help="A bundled preset's name, or the path of a TOML file.",
        autocompletion=complete_preset,
    ),
]
OptionalPresetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PRESET",
        help="A bundled preset's name, or the path of a TOML file; train alone takes sprint.",
        autocompletion=complete_preset,
    ),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Run folders, their record.json, or folders of runs."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Overrides a field of the preset; repeatable."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Prints one JSON document on stdout, and nothing else.")
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", envvar="MNISTCLI_QUIET", help="No progress and no warnings."),
]
NoFailOption = Annotated[
    bool, typer.Option("--no-fail", help="Exits 0 even where a budget check failed.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Prints the resolved preset as JSON and stops.")
]
ProfileOption = Annotated[
    bool, typer.Option("--profile", help="Says where the time went; takes some seconds more.")
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        envvar="MNISTCLI_SEED",
        min=0,
        max=2**63 - 1,
        metavar="N",
        help="Decides all that is left to chance.",
    ),
]
SeedsOption = Annotated[
    str | None,
    typer.Option("--seeds", metavar="A-B", help="Several seeds, as in 0-9 or 0,3,5: a run each."),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=1_024,
        metavar="N",
        help="Runs at once, each with its share of the threads.",
        show_default="one a core",
    ),
]
ResumeOption = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Goes on with an interrupted run, or a .batch.json of several; same bits.",
        show_default=False,
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        help="Sends the runs to the workers of this Dask scheduler.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    DeviceName, typer.Option("--device", envvar="MNISTCLI_DEVICE", help="Where to compute.")
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        envvar="MNISTCLI_PRECISION",
        help="What to train in; auto is bfloat16 where the processor has it.",
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
        help="CPU threads.",
        show_default="one a core",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="MNISTCLI_DATA",
        metavar="DIR",
        help="A folder of four IDX files in MNIST's format, gzip-compressed or not.",
        show_default="the embedded MNIST",
    ),
]
CoresetFileOption = Annotated[
    Path | None,
    typer.Option(
        "--coreset",
        metavar="FILE",
        help="Learns from these indices, an indices.npz, whatever the preset says.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path,
    typer.Option("--out", envvar="MNISTCLI_OUT", metavar="DIR", help="Where run folders go."),
]
SplitOption = Annotated[SplitName, typer.Option("--split", help="Which images to answer to.")]
