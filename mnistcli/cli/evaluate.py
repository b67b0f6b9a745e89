"""`mnistcli evaluate`: measure trained networks on a data set or on pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.dataset import DatasetOption, choose_data
from mnistcli.cli.options import (
    OUTPUT,
    AllowCodeOption,
    BudgetOption,
    DeviceOption,
    JsonOption,
    NoFailOption,
    OutputOptions,
    OwnDataOption,
    RecipeOption,
    RunsArgument,
    SetOption,
    SplitOption,
    ThreadsOption,
    TracebackOption,
    refuse,
    refuse_without,
)
from mnistcli.cli.output import exit_if, read_each
from mnistcli.errors import UsageError
from mnistcli.preset.choices import Split

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options
    from mnistcli.preset.schema import Preset


def evaluate(
    context: typer.Context,
    runs: RunsArgument,
    split: SplitOption = "test",
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            metavar="FILE",
            help="Read the digits in pictures: files, folder or -.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Evaluate a NETWORK with the weights in FILE.",
            show_default=False,
        ),
    ] = None,
    budget: BudgetOption = None,
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Evaluate distorted images too.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data: OwnDataOption = None,
    dataset: DatasetOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE.png",
            help="Draw the 40 worst mistakes.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv", help="Print CSV, one row per digit in --images.", rich_help_panel=OUTPUT
        ),
    ] = False,
    as_json: JsonOption = False,
    no_fail: NoFailOption = False,
    allow_code: AllowCodeOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Measure a run's accuracy, calibration, speed and mistakes.

    Evaluate several runs one by one, and as an ensemble that averages their probabilities.
    """
    from mnistcli.experiment.machine import Options
    from mnistcli.preset.networks import load_network
    from mnistcli.records.folders import list_references

    check_options(context, runs, images, weights)
    data = choose_data(context, data, dataset)
    shown = OutputOptions(as_json, quiet=False, no_fail=no_fail)
    options = Options(device=device, threads=threads, data=data, allow_code=allow_code)
    if weights is not None:
        preset = load_network(
            runs[0], overrides or (), budget, recipe=recipe, allow_code=allow_code
        )
        evaluate_elsewhere(preset, weights, split, options, sheet, shown)
        return
    if images:
        predict_images(runs, images, options, as_json=as_json, as_csv=as_csv)
        return
    references = list_references(runs)
    if len(references) == 1:
        evaluate_one(references[0], split, options, sheet, distorted=robustness, as_json=as_json)
    else:
        evaluate_all(references, split, options, sheet, distorted=robustness, as_json=as_json)


def check_options(
    context: typer.Context, runs: list[str], images: list[Path] | None, weights: Path | None
) -> None:
    """Refuse options that cannot be combined.

    Raises:
        UsageError: some are on the command line.
    """
    from mnistcli.preset.code.reference import is_code

    if not images:
        refuse_without(context, "--images", {"as_csv"})
    if weights is not None:
        refuse(context, "--weights", {"images", "robustness"})
        if len(runs) > 1:
            raise UsageError(f"--weights takes a single network: got {len(runs)}")
        return
    refuse_without(context, "--weights", {"budget", "recipe", "overrides", "no_fail"})
    if code := [each for each in runs if is_code(each)]:
        raise UsageError(f'"{code[0]}" is a network without weights. Name their file: --weights')
    if images:
        refuse(context, "--images", {"sheet", "robustness", "split"})


def part_pictures(names: list[str]) -> tuple[list[str], list[Path]]:
    """Return runs and pictures: of `--images *.png`, the shell hands all but the first as runs."""
    from mnistcli.datasets.pictures import is_picture

    pictures = [name for name in names if is_picture(Path(name))]
    return [name for name in names if name not in pictures], [Path(name) for name in pictures]


def evaluate_elsewhere(
    preset: "Preset",
    weights: Path,
    split: Split,
    options: "Options",
    sheet: Path | None,
    shown: OutputOptions,
) -> None:
    """Evaluate a network with weights that were trained elsewhere, and check its budget."""
    from mnistcli.cli.output import finish, print_warnings, show
    from mnistcli.display.evaluation import evaluation_view
    from mnistcli.display.pictures import draw_mistakes
    from mnistcli.experiment.weights import evaluate_weights

    found = evaluate_weights(preset, weights, split, options)
    document = found.document
    print_warnings(document.warnings)
    if sheet:
        draw_mistakes(sheet, document.run_id, document.mistakes, found.worst)
    show(document, evaluation_view(document, found.worst), as_json=shown.as_json)
    finish(bool(document.passed), no_fail=shown.no_fail)


def predict_images(
    runs: list[str], images: list[Path], options: "Options", *, as_json: bool, as_csv: bool
) -> None:
    """Show the digits that a run's network sees in pictures."""
    from mnistcli.cli.output import print_error, print_warnings, show, write_data
    from mnistcli.display.predictions import predictions_as_csv, predictions_view
    from mnistcli.experiment.predictions import predict_pictures
    from mnistcli.records.folders import find_run, list_references

    if as_csv and as_json:
        raise UsageError("--csv cannot be combined with --json: both print on stdout")
    runs, more = part_pictures(runs)
    references = list_references(runs)
    if not references:
        raise UsageError("a run is missing. Name it first: mnistcli evaluate RUN --images FILE…")
    if len(references) > 1:
        raise UsageError(f"--images takes a single run: got {len(references)}")
    result = predict_pictures(find_run(references[0]), [*images, *more], options)
    print_warnings(result.document.warnings)
    for fault in result.faults:
        print_error(str(fault))
    if as_csv:
        write_data(predictions_as_csv(result.document))
    else:
        show(result.document, predictions_view(result.document, result.images), as_json=as_json)
    exit_if(result.faults)


def evaluate_one(
    run: str,
    split: Split,
    options: "Options",
    sheet: Path | None,
    *,
    distorted: bool,
    as_json: bool,
) -> None:
    """Evaluate one run and show the result."""
    from mnistcli.cli.output import show
    from mnistcli.display.evaluation import evaluation_view
    from mnistcli.display.pictures import draw_mistakes
    from mnistcli.experiment.evaluate import evaluate_run
    from mnistcli.records.folders import find_run

    found = evaluate_run(find_run(run), split, options, distorted=distorted)
    if sheet:
        draw_mistakes(sheet, found.document.run_id, found.document.mistakes, found.worst)
    show(found.document, evaluation_view(found.document, found.worst), as_json=as_json)


def evaluate_all(
    runs: list[str],
    split: Split,
    options: "Options",
    sheet: Path | None,
    *,
    distorted: bool,
    as_json: bool,
) -> None:
    """Evaluate all runs that can be read, alone and as an ensemble, and show the results."""
    from mnistcli.cli.output import show
    from mnistcli.display.evaluation import evaluations_view
    from mnistcli.display.pictures import draw_mistakes
    from mnistcli.experiment.evaluate import evaluate_ensemble, evaluate_run
    from mnistcli.records.folders import find_run

    found, faults = read_each(
        runs, lambda run: evaluate_run(find_run(run), split, options, distorted=distorted)
    )
    if found:
        ensemble = evaluate_ensemble(found, split)
        if sheet:
            title = f"ensemble of {len(found)} runs"
            draw_mistakes(sheet, title, ensemble.document.ensemble.mistakes, ensemble.worst)
        view = evaluations_view(ensemble.document, ensemble.worst)
        show(ensemble.document, view, as_json=as_json)
    exit_if(faults)
