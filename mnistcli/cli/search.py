"""`mnistcli search`: find a network that meets a budget, and confirm it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.limits import parse_time
from mnistcli.cli.options import (
    OUTPUT,
    RESUME_ALLOWS,
    SEVERAL,
    AllowCodeOption,
    BudgetOption,
    ClusterOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OutOption,
    OutputOptions,
    PrecisionOption,
    QuietOption,
    SeedOption,
    ThreadsOption,
    TracebackOption,
    make_options,
    refuse,
    refuse_others,
)
from mnistcli.cli.several import read_workers
from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.workers import Workers
    from mnistcli.records.searches import SearchDocument
    from mnistcli.search.plan import Search, SearchRequest

SEARCH = "Search"
DEFAULT_TIME = "30m"
MAX_SEED = 10**12
EXAMPLE = "parameters<8000, accuracy>=99.4, epochs<20"


def search(
    context: typer.Context,
    budget: BudgetOption = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="TIME",
            help="Time for everything, as in 30m (the default).",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            min=1,
            max=1_000_000,
            metavar="N",
            help="Number of trainings, instead of a time.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space",
            metavar="FILE.toml",
            help="Preset with ranges to search.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    minimize: Annotated[
        Literal["parameters", "macs", "flash", "seconds"] | None,
        typer.Option(
            "--minimize",
            help="Figure to minimize within the budget.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    sampler: Annotated[
        Literal["evolution", "random"],
        typer.Option("--sampler", help="How to propose networks.", rich_help_panel=SEARCH),
    ] = "evolution",
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="SEARCH",
            help="Resume an interrupted search.",
            show_default=False,
            rich_help_panel=SEVERAL,
        ),
    ] = None,
    seed: SeedOption = 0,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    data: DataOption = None,
    dataset: DatasetOption = None,
    out: OutOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the space as TOML and exit.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Find a network that meets a budget, and confirm it."""
    shown, workers = OutputOptions(as_json, quiet, no_fail), read_workers(jobs, cluster)
    if resume is not None:
        refuse_others(context, "--resume", RESUME_ALLOWS)
        data = choose_data(context, data, dataset, quiet=quiet)
        run_search(reopen(resume, data, allow_code=allow_code), workers, shown)
        return
    if dry_run:
        refuse(context, "--dry-run", {"as_json"})
        show_space(space, budget)
        return
    request = make_request(
        budget, within, trials, space, minimize, sampler, seed, allow_code=allow_code
    )
    data = choose_data(context, data, dataset, quiet=quiet)
    options = workers.fix_machine(make_options(0, device, precision, threads, data, out))
    from mnistcli.search.plan import create_search

    run_search(create_search(request, options), workers, shown)


def show_space(path: Path | None, budget: str | None) -> None:
    """Print the file of a space, after checking it: a start for one's own.

    Raises:
        PresetError: the space or the budget is invalid.
    """
    from mnistcli.cli.output import write_data
    from mnistcli.preset.loading import read_preset_text
    from mnistcli.preset.space import DEFAULT, load_space

    load_space(path, budget)
    write_data(read_preset_text(path or DEFAULT, "space"))


def make_request(
    budget: str | None,
    within: str | None,
    trials: int | None,
    space: Path | None,
    minimize: Literal["parameters", "macs", "flash", "seconds"] | None,
    sampler: Literal["evolution", "random"],
    seed: int,
    *,
    allow_code: bool,
) -> "SearchRequest":
    """Read what to search.

    Raises:
        UsageError: options are missing or cannot be combined.
        PresetError: the budget or the space is invalid.
    """
    from mnistcli.preset.space import load_space

    if seed > MAX_SEED:
        raise UsageError(f"--seed can be at most {MAX_SEED:,} for a search")
    if within is not None and trials is not None:
        raise UsageError("--within cannot be combined with --trials: either one ends the search")
    seconds = None if trials is not None else parse_time("--within", within or DEFAULT_TIME)
    loaded = load_space(space, budget, allow_code=allow_code)
    if not loaded.budget.limits:
        raise UsageError(f'a search needs a budget. Add --budget "{EXAMPLE}".')
    if minimize and loaded.budget.min_test_accuracy is None:
        raise UsageError(
            "--minimize needs a limit of the accuracy, or the worst network wins. Add one to "
            "--budget, as in accuracy>=99."
        )
    from mnistcli.search.plan import SearchRequest

    return SearchRequest(loaded, loaded.budget, seed, sampler, minimize, trials, seconds)


def reopen(path: Path, data: Path | None, *, allow_code: bool) -> "Search":
    """Return the search in a folder."""
    from mnistcli.search.plan import reopen_search

    return reopen_search(path, data, allow_code=allow_code)


def run_search(search: "Search", workers: "Workers", shown: OutputOptions) -> "SearchDocument":
    """Run what is missing of a search with progress on stderr, and show what it found."""
    from mnistcli.cli.output import finish, print_error, show
    from mnistcli.display.progress import standard_error
    from mnistcli.display.searches import search_view, show_search
    from mnistcli.search.run import run_search as run

    console = standard_error()
    if not shown.quiet:
        print(headline(search), file=console.file, flush=True)
    with show_search(console, quiet=shown.quiet) as view:
        document = run(search, workers, view.tell, view.emit)
    for failed in document.failed:
        print_error(f"seed {failed.seed}: {failed.reason}")
    show(document, search_view(document), as_json=shown.as_json)
    if document.failed:
        raise typer.Exit(document.failed[0].exit_code)
    finish(document.passed, no_fail=shown.no_fail)
    return document


def headline(search: "Search") -> str:
    """Describe what is about to be searched, and how."""
    from mnistcli.display.text import count
    from mnistcli.preset.budget_text import format_budget

    plan = search.plan
    length = (
        count(plan.trials, "trial")
        if plan.trials is not None
        else f"{plan.within_seconds or 0:,g} seconds"
    )
    goal = f" · fewest {plan.minimize}" if plan.minimize else ""
    return (
        f"search · {format_budget(plan.budget)}{goal} · {length} · seed {plan.seed}\n"
        f"space {plan.name} · on {plan.device} in {plan.precision} with "
        f"{count(plan.threads, 'thread')} a trial"
    )
