import io

from rich.console import Console

from mnistcli.display.batch import LiveTable, show_batch
from mnistcli.engine.events import EpochFinished, RunFinished, RunProgressed, TrainingStarted

STARTED = TrainingStarted((100, 100), (2, 2))
FIRST = EpochFinished(1, 0.5, 0.75, 0.1, 1.25, 100, {})


def drawn(table: LiveTable) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=80)
    console.print(table.render())
    return [line.split() for line in console.file.getvalue().splitlines()[2:]]


def test_every_run_has_a_row_that_follows_its_epochs() -> None:
    table = LiveTable(f"seed {seed}" for seed in range(3))
    assert drawn(table) == [["seed", "0"], ["seed", "1"], ["seed", "2"]]
    table.show(RunProgressed("seed 1", STARTED))
    assert drawn(table)[1] == ["seed", "1", "0/2"]
    table.show(RunProgressed("seed 1", FIRST))
    table.show(RunFinished(1, 3, "seed 2", 0.9876))
    assert drawn(table) == [
        ["seed", "0"],
        ["seed", "1", "1/2", "0.5000", "75.00", "%", "1.2", "s"],
        ["seed", "2", "98.76", "%"],
    ]
    table.show(RunFinished(2, 3, "seed 0", None))
    assert drawn(table)[0] == ["seed", "0", "failed"]
    # A worker died: another one begins again.
    table.show(RunProgressed("seed 1", STARTED))
    assert drawn(table)[1] == ["seed", "1", "0/2"]


def test_a_run_that_ends_before_it_starts_gets_a_row() -> None:
    table = LiveTable()
    table.show(RunFinished(1, 5, "seed 500", None))
    assert drawn(table) == [["seed", "500", "failed"]]


def test_without_a_terminal_a_line_an_epoch_and_a_run() -> None:
    console = Console(file=io.StringIO(), width=80)
    with show_batch(console, ["seed 0"], quiet=False) as emit:
        emit(RunProgressed("seed 0", STARTED))
        emit(RunProgressed("seed 0", FIRST))
        emit(RunFinished(1, 1, "seed 0", 0.5))
    assert console.file.getvalue().splitlines() == [
        "seed 0  epoch 1/2  loss 0.5000  train 75.00 %  time 1.2 s",
        "run 1/1  seed 0: 50.00 %",
    ]


def test_where_the_time_decides_there_is_no_number_of_epochs() -> None:
    timed = RunProgressed("seed 0", TrainingStarted((100, 100), (2, 2), seconds=5.0))
    console = Console(file=io.StringIO(), width=80)
    table = LiveTable(["seed 0"])
    with show_batch(console, ["seed 0"], quiet=False) as emit:
        for event in (timed, RunProgressed("seed 0", FIRST)):
            emit(event)
            table.show(event)
    assert console.file.getvalue().startswith("seed 0  epoch 1  loss 0.5000")
    assert drawn(table)[0][2:4] == ["1", "0.5000"]
