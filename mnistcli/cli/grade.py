"""`mnistcli grade`: check many submissions against one budget."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.limits import parse_size, parse_time
from mnistcli.cli.options import (
    MACHINE,
    OUTPUT,
    ClusterOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OutputOptions,
    PrecisionOption,
    QuietOption,
    RecipeOption,
    SeedOption,
    TracebackOption,
    make_options,
)
from mnistcli.cli.several import read_workers
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.grading.command import GradingRequest
    from mnistcli.experiment.grading.session import Grading
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.workers import Workers

LIMITS = "Limits of a submission"
NO_SANDBOX = "no sandbox: submitted code runs with your rights (mnistcli guide grading)"


def grade(
    context: typer.Context,
    submissions: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|FILE...",
            help="A folder of submissions, or several files.",
        ),
    ],
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="LIMITS",
            help='Limits, as in "parameters<20000, accuracy>=99.4".',
        ),
    ],
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    each: Annotated[
        str,
        typer.Option("--each", metavar="TIME", help="Max time, as in 30s.", rich_help_panel=LIMITS),
    ] = "5m",
    memory: Annotated[
        str,
        typer.Option(
            "--memory", metavar="SIZE", help="Max memory, as in 512MiB.", rich_help_panel=LIMITS
        ),
    ] = "4GiB",
    wrap: Annotated[
        str | None,
        typer.Option(
            "--wrap",
            metavar="COMMAND",
            help="Command to start every submission with: a sandbox.",
            show_default=False,
            rich_help_panel=LIMITS,
        ),
    ] = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            envvar="MNISTCLI_THREADS",
            min=1,
            max=1_024,
            metavar="N",
            help="CPU threads of each submission.",
            rich_help_panel=MACHINE,
        ),
    ] = 1,
    data: DataOption = None,
    dataset: DatasetOption = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for results and run folders.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("grades"),
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print CSV, one row per submission.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Check many submissions against one budget, each by itself.

    Runs the submitted code with your rights: this is no sandbox.
    """
    if as_csv and as_json:
        raise UsageError("--csv cannot be combined with --json: both print on stdout")
    wrapper = split_wrap(wrap, is_here=cluster is None)
    request = make_request(budget, recipe, each, memory, wrapper)
    workers = read_workers(jobs, cluster)
    data = choose_data(context, data, dataset, quiet=quiet)
    folder = data.absolute() if data else None
    options = make_options(seed, device, precision, threads, folder, out)
    grading = start_grading(submissions, request, options, workers)
    run_grading(grading, OutputOptions(as_json, quiet, no_fail), as_csv=as_csv)


def make_request(
    budget: str, recipe: str | None, each: str, memory: str, wrap: tuple[str, ...]
) -> "GradingRequest":
    """Read the options that are cheap to check.

    Raises:
        UsageError: one of them is invalid.
    """
    from mnistcli.experiment.grading.command import GradingRequest, Limit
    from mnistcli.preset.budget_text import parse_budget

    parse_budget(budget)
    seconds = Limit(each.strip(), parse_time("--each", each))
    size = Limit(memory.strip(), parse_size("--memory", memory))
    return GradingRequest(budget, seconds, size, recipe, wrap=wrap)


def start_grading(
    submissions: list[str], request: "GradingRequest", options: "Options", workers: "Workers"
) -> "Grading":
    """Read the submissions and everything else that is needed, before anything is run."""
    from mnistcli.experiment.grading.session import plan_grading
    from mnistcli.experiment.grading.submissions import find_submissions

    found = find_submissions(submissions, options.out)
    return plan_grading(found, request, options, workers)


def run_grading(grading: "Grading", shown: OutputOptions, *, as_csv: bool) -> None:
    """Grade with progress on stderr, and show the results."""
    from mnistcli.cli.output import finish, show, write_data
    from mnistcli.display.grades import grades_as_csv, grades_view, show_grading
    from mnistcli.display.progress import standard_error

    console = standard_error()
    if not shown.quiet:
        print(headline(grading), file=console.file, flush=True)
    with show_grading(console, quiet=shown.quiet) as tell:
        document = grading.run(tell)
    if as_csv:
        write_data(grades_as_csv(document))
    else:
        show(document, grades_view(document, str(grading.path)), as_json=shown.as_json)
    finish(document.passed, no_fail=shown.no_fail)


def headline(grading: "Grading") -> str:
    """Describe what is about to be graded, and how."""
    from mnistcli.display.text import count
    from mnistcli.experiment.grading.supervise import LIMITS_MEMORY
    from mnistcli.preset.networks import RECIPE

    options, request, settings = grading.options, grading.request, grading.settings
    at_once = "the workers of the cluster" if grading.workers.cluster else "this machine"
    lines = [
        NO_SANDBOX,
        f"{count(len(grading.submissions), 'submission')} · {settings['budget']} · "
        f"recipe {request.recipe or RECIPE} · seed {options.seed}",
        f"on {at_once}: {options.device} in {options.precision}, each with "
        f"{count(options.threads or 1, 'thread')}, {request.each.text} and {request.memory.text}",
    ]
    if not LIMITS_MEMORY and not grading.workers.cluster:
        lines.append("this system cannot limit memory, or find every process of a submission")
    if grading.kept:
        lines.append(f"{len(grading.kept)} kept from {grading.path}: not changed since")
    return "\n".join(lines)


def split_wrap(command: str | None, *, is_here: bool) -> tuple[str, ...]:
    """Split the command of --wrap as a shell does; no shell runs it.

    Args:
        command: as typed.
        is_here: whether this machine runs it.

    Raises:
        UsageError: it cannot be split, is empty, or is not installed.
    """
    try:
        words = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise UsageError(f'invalid --wrap: "{command}": {error}') from error
    if command is not None and not words:
        raise UsageError('invalid --wrap: it is empty. Name a command, such as "nice -n 10".')
    if words and is_here and not shutil.which(words[0]):
        raise UsageError(f'invalid --wrap: "{words[0]}" is not an installed program')
    return words
