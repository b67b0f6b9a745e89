import io
import json
from pathlib import Path

from rich.console import Console

from mnistcli.display.batch import LiveTable, show_batch
from mnistcli.engine.events import EpochFinished, RunFinished, TrainingStarted
from mnistcli.records.log import EventLog


def drawn(table: LiveTable) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=80)
    console.print(table.render())
    return [line.split() for line in console.file.getvalue().splitlines()[2:]]


def test_every_run_has_a_row_that_follows_its_log(tmp_path: Path) -> None:
    folders = {f"seed {seed}": tmp_path / str(seed) for seed in range(3)}
    table = LiveTable(folders)
    assert drawn(table) == [["seed", "0"], ["seed", "1"], ["seed", "2"]]
    folders["seed 1"].mkdir()
    with EventLog(folders["seed 1"]) as log:
        log(TrainingStarted((100, 100), (2, 2)))
        assert drawn(table)[1] == ["seed", "1", "0/2"]
        log(EpochFinished(1, 0.5, 0.75, 0.1, 1.25, 100, {}))
        table.show(RunFinished(1, 3, "seed 2", 0.9876))
        assert drawn(table) == [
            ["seed", "0"],
            ["seed", "1", "1/2", "0.5000", "75.00", "%", "1.2", "s"],
            ["seed", "2", "98.76", "%"],
        ]
    with (folders["seed 1"] / "events.jsonl").open("a") as file:
        file.write(json.dumps({"event": "EpochFinished"})[:12])
    assert drawn(table)[1][2] == "1/2"


def test_without_a_terminal_a_line_for_each_that_has_ended(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    with show_batch(console, {"seed 0": tmp_path}, quiet=False) as emit:
        emit(RunFinished(1, 1, "seed 0", 0.5))
    assert console.file.getvalue() == "run 1/1  seed 0: 50.00 %\n"
