"""`mnistcli evaluate`: how right a trained network is."""

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
    split: SplitOption = SplitName.test,
    device: DeviceOption = DeviceName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """How right a run's network is, how sure, how fast, and where it goes wrong."""
    from mnistcli.cli.output import show
    from mnistcli.display.tables import evaluation_view
    from mnistcli.experiment.evaluation import evaluate_run
    from mnistcli.experiment.options import Options
    from mnistcli.records.store import find_run

    options = Options(device=device.value, threads=threads, data=data)
    found = evaluate_run(find_run(run), split.value, options)
    show(found.document, evaluation_view(found.document, found.worst), as_json=as_json)
