"""`mnistcli evaluate`: how right a trained network is."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.options import (
    DataOption,
    DeviceName,
    DeviceOption,
    JsonOption,
    RunArgument,
    SplitName,
    SplitOption,
    ThreadsOption,
)


def evaluate(
    run: RunArgument,
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
    split: SplitOption = SplitName.test,
    device: DeviceOption = DeviceName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """How right a run's network is, how sure, how fast, and where it goes wrong."""
    from mnistcli.cli.output import show
    from mnistcli.display.tables import evaluation_view, predictions_view
    from mnistcli.experiment.evaluation import evaluate_run, read_images
    from mnistcli.experiment.options import Options
    from mnistcli.records.store import find_run

    options = Options(device=device.value, threads=threads, data=data)
    if images:
        reading = read_images(find_run(run), images, options)
        show(reading.document, predictions_view(reading.document, reading.images), as_json=as_json)
        return
    found = evaluate_run(find_run(run), split.value, options, distorted=robustness)
    show(found.document, evaluation_view(found.document, found.worst), as_json=as_json)
