"""What a training takes when nothing else runs."""

import json
import re
import subprocess
import sys
from tempfile import mkdtemp

from mnistcli.preset.loading import list_presets, load_preset
from tests.ledger.files import ROOT


def time_alone() -> None:
    """Puts what a training takes, with two threads, into every [reference].

    Of the long ones one epoch is timed, the second of two, and taken as often as there are epochs.
    """
    for name in list_presets():
        preset = load_preset(name)
        if preset.reference is None:
            continue
        is_long = preset.curriculum is None and preset.train.epochs > 4
        shorter = ("--set", "train.epochs=2") if is_long else ()
        command = [
            sys.executable, "-m", "mnistcli", *preset.reference.command.split()[1:3], *shorter,
            "--threads", "2", "--no-fail", "--json", "-q", "--out", mkdtemp(),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        epochs = [epoch["seconds"] for epoch in json.loads(done.stdout)["epochs"]]
        seconds = preset.train.epochs * epochs[-1] if is_long else sum(epochs)
        path = ROOT / "presets" / f"{name}.toml"
        text = re.sub(r"seconds_alone = .*\n", "", path.read_text())
        text = re.sub(
            r"(\nmedian_train_seconds = .*\n)", rf"\g<1>seconds_alone = {seconds:.1f}\n", text
        )
        path.write_text(text)
        print(f"{name:<40}{seconds:>10.1f} s", file=sys.stderr)
