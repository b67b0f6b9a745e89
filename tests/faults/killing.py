"""Kill trainings at random moments, resume them, and print what became of them.

A process of its own, which imports everything once and forks a child for every attempt:
python -m tests.faults.killing KILLS DATA FOLDER
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from mnistcli.cli.app import main
from mnistcli.experiment.training import checkpoint
from mnistcli.records.checkpoint import load_state
from mnistcli.records.states import RunStart
from mnistcli.records.store import STATE, read_document
from tests.faults.runs import what_is_left

LONGEST = 0.5
EPOCHS = 30
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


def kill_until_it_ends(command: list[str], out: Path, rng: random.Random, found: dict) -> Path:
    """Kill and resume one run until it ends; `found` counts what every kill left."""
    child = start([*command, "--out", str(out)])
    while True:
        time.sleep(rng.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        folders = [path for path in out.glob("*") if path.is_dir()] if out.exists() else []
        left = check(folders[0]) if folders else "not begun"
        if os.WIFSIGNALED(status):
            found[left] = found.get(left, 0) + 1
        else:
            assert os.WEXITSTATUS(status) in (0, 3), status
        if left == "ended" and not os.WIFSIGNALED(status):
            return folders[0]
        if left == "not begun":
            child = start([*command, "--out", str(out)])
            for folder in folders:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
        else:
            child = start(["train", "--resume", str(folders[0]), "--no-fail"])


def run_all(kills: int, data: Path, folder: Path) -> dict:
    checkpoint.SAVE_SECONDS = 0.02
    preset = folder / "killed.toml"
    settings = [part for each in SETTINGS for part in ("--set", each)]
    command = ["train", str(preset), "--data", str(data), "--threads", "1", "--no-fail", *settings]
    child = start([*command, "--out", str(folder / "unbroken")])
    os.waitpid(child, 0)
    (unbroken,) = (folder / "unbroken").iterdir()
    wanted = what_is_left(unbroken)
    found: dict[str, int] = {}
    rng, runs = random.Random(0), 0
    while sum(found.values()) < kills:
        ended = kill_until_it_ends(command, folder / f"run{runs}", rng, found)
        assert what_is_left(ended) == wanted, "another result than the unbroken run's"
        runs += 1
    return {"kills": found, "runs": runs, "epochs": len(wanted["epochs"])}


if __name__ == "__main__":
    result = run_all(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(result))
