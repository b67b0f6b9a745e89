"""`mnistcli evaluate`: how right trained networks are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistcli.cli.options import (
    DataOption,
    DeviceName,
    DeviceOption,
    JsonOption,
    RunsArgument,
    SplitName,
    SplitOption,
    ThreadsOption,
)
from mnistcli.errors import ExitCode, FileError, UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options


def evaluate(
    runs: RunsArgument,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            metavar="FILE",
            help="Reads your own PNG or JPEG pictures of a digit each, instead; repeatable.",
            show_default=False,
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option("--robustness", help="Turned, shifted, scaled, noisy and blurred images too."),
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE.png", help="Draws the 40 worst mistakes."),
    ] = None,
    split: SplitOption = SplitName.test,
    device: DeviceOption = DeviceName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """How right a run's network is, how sure, how fast, and where it goes wrong.

    Several runs are judged one by one, and together, by the mean of their probabilities.
    """
    from mnistcli.experiment.machine import Options
    from mnistcli.records.store import list_references

    options = Options(device=device.value, threads=threads, data=data)
    references = list_references(runs)
    if images:
        if len(references) > 1 or sheet or robustness:
            raise UsageError("--images is for a single run, without --sheet and --robustness")
        read_pictures(references[0], images, options, as_json=as_json)
    elif len(references) == 1:
        evaluate_one(references[0], split, options, sheet, distorted=robustness, as_json=as_json)
    else:
        evaluate_all(references, split, options, sheet, distorted=robustness, as_json=as_json)


def read_pictures(run: str, images: list[Path], options: "Options", *, as_json: bool) -> None:
    """Shows what a user's pictures are taken for."""
    from mnistcli.cli.output import show
    from mnistcli.display.evaluation import predictions_view
    from mnistcli.experiment.evaluate import read_images
    from mnistcli.records.store import find_run

    reading = read_images(find_run(run), images, options)
    show(reading.document, predictions_view(reading.document, reading.images), as_json=as_json)


def evaluate_one(
    run: str,
    split: SplitName,
    options: "Options",
    sheet: Path | None,
    *,
    distorted: bool,
    as_json: bool,
) -> None:
    """Judges one run."""
    from mnistcli.cli.output import show
    from mnistcli.display.evaluation import evaluation_view
    from mnistcli.display.pictures import draw_mistakes
    from mnistcli.experiment.evaluate import evaluate_run
    from mnistcli.records.store import find_run

    found = evaluate_run(find_run(run), split.value, options, distorted=distorted)
    if sheet:
        draw_mistakes(sheet, found.document.run_id, found.document.mistakes, found.worst)
    show(found.document, evaluation_view(found.document, found.worst), as_json=as_json)


def evaluate_all(
    runs: list[str],
    split: SplitName,
    options: "Options",
    sheet: Path | None,
    *,
    distorted: bool,
    as_json: bool,
) -> None:
    """Judges several runs, alone and together; those that cannot be read are said to be so."""
    from mnistcli.cli.output import print_errors, show
    from mnistcli.display.evaluation import evaluations_view
    from mnistcli.display.pictures import draw_mistakes
    from mnistcli.experiment.evaluate import EvaluationResult, evaluate_run, join
    from mnistcli.records.store import find_run

    found: list[EvaluationResult] = []
    faults: list[FileError] = []
    for run in runs:
        try:
            found.append(evaluate_run(find_run(run), split.value, options, distorted=distorted))
        except FileError as error:
            faults.append(error)
    print_errors(faults)
    if found:
        together = join(found, split.value, options)
        if sheet:
            ensemble = together.document.ensemble
            title = f"{len(found)} runs together"
            draw_mistakes(sheet, title, ensemble.mistakes, together.worst)
        view = evaluations_view(together.document, together.worst)
        show(together.document, view, as_json=as_json)
    if faults:
        raise typer.Exit(ExitCode.UNREADABLE)
