"""Kill trainings at random moments, resume them, and print what became of them.

A process of its own, which imports everything once and forks a child for every attempt:
python -m tests.faults.killing KILLS DATA FOLDER
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mnistcli.cli.app import main
from mnistcli.experiment.training import checkpoint
from mnistcli.records.checkpoint import load_state
from mnistcli.records.states import RunStart
from mnistcli.records.store import STATE, read_document
from tests.faults.runs import what_is_left

EPOCHS = 15
SETTINGS = (f"train.epochs={EPOCHS}", "train.batch_size=30", "train.ema_decay=0.9")


def start(arguments: list[str]) -> int:
    """A child that runs one command line."""
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.argv = ["mnistcli", *arguments]
        try:
            main()
        except SystemExit as ending:
            os._exit(int(ending.code or 0))
        finally:
            os._exit(99)
    return child


def check(folder: Path) -> str:
    """What a killed run left: it must be whole, whenever it was killed."""
    lines = (folder / "events.jsonl").read_bytes() if (folder / "events.jsonl").exists() else b""
    if (folder / "record.json").exists():
        return "ended"
    if not (folder / STATE).exists():
        if (folder / "start.json").exists():
            read_document(folder / "start.json", RunStart, "a beginning")
            return "begun"
        return "not begun"
    _, state = load_state(folder)
    kept = lines[: state.events_bytes]
    assert len(kept) == state.events_bytes, "the log is shorter than the state says"
    assert kept.endswith(b"\n")
    for line in kept.splitlines():
        json.loads(line)
    return "mid-epoch" if state.epoch else "between epochs"


@dataclass
class Killer:
    """Kills what it is given, as long as it has kills left; counts what every kill left."""

    kills: int
    longest: float
    """Seconds before a kill; adapted to the machine, so that kills come at every stage."""
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    found: Counter[str] = field(default_factory=Counter)

    def kill(self, child: int, out: Path) -> str:
        """Kill a run at a random moment; return what it left, or "finished" if it came first."""
        if armed := self.found.total() < self.kills:
            time.sleep(self.rng.uniform(0, self.longest))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        left = check(folder) if (folder := find_folder(out)) else "not begun"
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) in (0, 3), status
            assert left == "ended"
            self.longest *= 0.8 if armed else 1
            return "finished"
        self.found[left] += 1
        self.longest *= 1.1 if left in {"not begun", "begun"} else 1
        return left


def find_folder(out: Path) -> Path | None:
    return next((path for path in out.glob("*") if path.is_dir()), None)


def kill_until_it_ends(command: list[str], out: Path, killer: Killer) -> Path:
    """Start one run, and resume it after every kill until it has ended."""
    child = start([*command, "--out", str(out)])
    while (left := killer.kill(child, out)) != "finished":
        folder = find_folder(out)
        if left != "not begun":
            child = start(["train", "--resume", str(folder), "--no-fail"])
            continue
        if folder:
            shutil.rmtree(folder)
        child = start([*command, "--out", str(out)])
    (ended,) = out.iterdir()
    return ended


def run_all(kills: int, data: Path, folder: Path) -> dict:
    checkpoint.SAVE_SECONDS = 0.02
    preset = folder / "killed.toml"
    settings = [part for each in SETTINGS for part in ("--set", each)]
    command = ["train", str(preset), "--data", str(data), "--threads", "1", "--no-fail", *settings]
    begun = time.perf_counter()
    child = start([*command, "--out", str(folder / "unbroken")])
    os.waitpid(child, 0)
    seconds = time.perf_counter() - begun
    (unbroken,) = (folder / "unbroken").iterdir()
    wanted = what_is_left(unbroken)
    killer, runs = Killer(kills, longest=seconds), 0
    while killer.found.total() < kills:
        ended = kill_until_it_ends(command, folder / f"run{runs}", killer)
        assert what_is_left(ended) == wanted, "another result than the unbroken run's"
        runs += 1
    return {"kills": killer.found, "runs": runs, "epochs": len(wanted["epochs"])}


if __name__ == "__main__":
    result = run_all(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(result))
