"""`--dataset`: a data set by name, downloaded once."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.options import MACHINE, refuse
from mnistcli.preset.choices import DatasetName

DatasetOption = Annotated[
    DatasetName | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Data set by name, as in fashion or kmnist.",
        show_default=False,
        rich_help_panel=MACHINE,
    ),
]


def choose_data(
    context: typer.Context, data: Path | None, dataset: DatasetName | None, *, quiet: bool = False
) -> Path | None:
    """Return what `--data` names, or the folder of the data set that `--dataset` names.

    Downloads the data set if it is not in the cache, with progress on stderr; so call it after the
    cheap checks.

    Raises:
        UsageError: both options are on the command line.
        FileError: the data set cannot be downloaded.
    """
    if dataset is None:
        return data
    refuse(context, "--dataset", {"data"})
    from mnistcli.display.downloads import show_download
    from mnistcli.display.progress import standard_error
    from mnistcli.experiment.downloads.cache import obtain

    with show_download(standard_error(), dataset, quiet=quiet) as tell:
        return obtain(dataset, tell)
