"""Runs that exist already: resumed where they stopped, or repeated as a whole."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnistcli.cli.ci import start_junit
from mnistcli.cli.options import OutputOptions
from mnistcli.cli.several import read_workers, refuse_workers
from mnistcli.cli.train import run_training, show_run, train_batch

if TYPE_CHECKING:
    from mnistcli.experiment.machine import Options


def resume_training(
    reference: str,
    jobs: int | None,
    cluster: str | None,
    data: Path | None,
    shown: OutputOptions,
    *,
    allow_code: bool = False,
) -> None:
    """Resume a run or a batch; of a finished run, show the result."""
    from mnistcli.experiment.training.seeds import read_batch
    from mnistcli.experiment.training.setup import reopen
    from mnistcli.records.folders import find_started_run, remove_leftovers
    from mnistcli.records.store import BATCH_SUFFIX, RECORD, read_record

    start_junit(shown.junit)
    if reference.endswith(BATCH_SUFFIX):
        batch = read_batch(Path(reference), allow_code=allow_code)
        train_batch(batch, read_workers(jobs, cluster), data, shown)
        return
    refuse_workers(jobs, cluster, "a .batch.json")
    folder = find_started_run(reference)
    if (folder / RECORD).exists():
        remove_leftovers(folder)  # of a process that was killed just after writing the record
        show_run(read_record(folder), shown)
    else:
        run_training(reopen(folder, data, allow_code=allow_code), shown)


def repeat_training(reference: str, options: "Options", shown: OutputOptions) -> None:
    """Repeat a finished run: its preset and its seed, and every setting not given anew."""
    from mnistcli.experiment.training.repeat import prepare_repetition
    from mnistcli.records.folders import find_run

    start_junit(shown.junit)
    run_training(prepare_repetition(find_run(reference), options), shown)
