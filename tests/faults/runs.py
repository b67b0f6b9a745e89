"""What makes two runs the same, and presets of every kind to try it on."""

import json
import random
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from mnistcli.engine.events import Emit, Event, StepFinished
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import validate_preset
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped, _stop

OPTIMIZERS = [
    {"kind": "adam", "learning_rate": 0.01, "weight_decay": 1e-4},
    {"kind": "adamw", "learning_rate": 0.01},
    {"kind": "sgd", "learning_rate": 0.01},
    {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    {
        "kind": "muon", "learning_rate": 0.02, "momentum": 0.9,
        "others": {"kind": "adamw", "learning_rate": 0.01},
    },
]  # fmt: skip
SCHEDULES = [
    {"kind": "constant"},
    {"kind": "step", "every_epochs": 1, "factor": 0.7},
    {"kind": "cosine"},
    {"kind": "one_cycle", "max_learning_rate": 0.02},
    {"kind": "one_cycle", "max_learning_rate": 0.02, "cycle_momentum": False, "anneal": "linear"},
    {"kind": "plateau", "patience": 0, "factor": 0.5, "min_delta": 0.5},
]
AUGMENTATIONS = [
    [],
    [{"kind": "affine", "degrees": 10, "shift_pixels": 2, "scale": [0.9, 1.1]}],
    [{"kind": "center_crop_resize", "size": 22, "probability": 0.3}],
    [{"kind": "color_jitter", "brightness": 0.2, "contrast": 0.2}],
    [{"kind": "horizontal_flip"}, {"kind": "vertical_flip"}],
    [{"kind": "random_erasing"}],
    [{"kind": "elastic"}, {"kind": "thickness"}],
    [{"kind": "noise", "std": 0.1, "salt_and_pepper": 0.1}, {"kind": "blur"}],
    [{"kind": "mixup"}],
    [{"kind": "cutmix"}],
]
DROPOUTS = [
    [],
    [{"kind": "dropout", "probability": 0.2}],
    [{"kind": "dropout2d", "probability": 0.1}],
]
CURRICULA = [
    None,
    None,
    {"kind": "groups", "mode": "cumulative", "groups": [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]]},
    {"kind": "paced", "order": "random", "rounds": 4},
    {"kind": "self_paced", "rounds": 4},
    {"kind": "hardest", "fractions": [0.9, 0.5]},
]
PRUNINGS = [
    None,
    {"kind": "channels", "fraction": 0.4, "epochs": 2},
    None,
    {"kind": "weights", "fraction": 0.5, "epochs": 1},
]
CHOICES: dict[str, list] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augment": AUGMENTATIONS,
    "dropout": DROPOUTS,
    "curriculum": CURRICULA,
    "ema": [None, 0.9],
    "clip": [None, 1.0],
    "validation": [0, 100],
    "coreset": [None, {"size": 300, "selector": {"kind": "random"}}],
    "noise": [0, 0.2],
    "drop_last": [False, True],
    "precision": ["float32", "bfloat16"],
    "keep": ["last", "best"],
    "stopping": [None, {"patience": 1, "min_delta": 5}],
    "quantize": [None, {"weights": 4}, None, {"weights": "ternary"}],
    "freeze": [[], [1], ["0", 1]],
    "prune": PRUNINGS,
    "ensemble": [None, {"seeds": 2}, None, {"seeds": 3}],
}


def make_preset(chosen: dict) -> Preset:
    conv = {"kind": "conv", "out_channels": 6, "kernel_size": 5, "stride": 3}
    then = {"kind": "conv", "out_channels": 8, "kernel_size": 3}
    layers = [conv, {"kind": "batch_norm"}, {"kind": "relu"}, then, {"kind": "relu"}]
    layers += [*chosen["dropout"], {"kind": "flatten"}, {"kind": "linear", "out_features": 10}]
    has_phases = chosen["curriculum"] and chosen["curriculum"]["kind"] != "hardest"
    stopping = None if has_phases else chosen["stopping"]
    prune = None if has_phases else chosen["prune"]
    is_needed = chosen["schedule"]["kind"] == "plateau" or stopping
    validation = 100 if is_needed or chosen["keep"] == "best" else chosen["validation"]
    content = {
        "name": "mixed", "title": "For tests", "model": {"layers": layers},
        "augment": chosen["augment"], "curriculum": chosen["curriculum"],
        "coreset": chosen["coreset"], "prune": prune, "data": {"label_noise": chosen["noise"]},
        "ensemble": None if has_phases or prune else chosen["ensemble"],
        "train": {
            "epochs": 2, "batch_size": 50, "optimizer": chosen["optimizer"],
            "schedule": chosen["schedule"], "ema_decay": chosen["ema"],
            "clip_gradient_norm": chosen["clip"], "drop_last": chosen["drop_last"],
            "validation_examples": validation, "keep": chosen["keep"],
            "early_stopping": stopping, "quantize": chosen["quantize"],
            "freeze": [] if prune else chosen["freeze"],
        },
    }  # fmt: skip
    return validate_preset(content, "mixed")


def mix(number: int) -> dict:
    """A combination for every number; each kind of everything comes up within thirty."""
    rng = random.Random(number)
    return {
        name: values[(number + place) % len(values)] if number < 30 else rng.choice(values)
        for place, (name, values) in enumerate(CHOICES.items())
    }


def options_of(chosen: dict, data: Path, out: Path) -> Options:
    return Options(7, "cpu", chosen["precision"], 1, data, out)


def train_in_pieces(preset: Preset, options: Options, pauses: list[int]) -> dict:
    """Trains with a signal after so many steps, again and again; gives what the run left."""
    experiment = prepare(preset, options)
    folder = experiment.folder
    for pause in pauses:
        try:
            run(experiment, signal_after(pause, SIGINT))
        except Stopped as stopped:
            assert str(folder) in stopped.advice
            experiment = reopen(folder)
        else:
            break
    else:
        run(experiment, lambda event: None)
    return what_is_left(folder)


def interrupted_run(data: Path, out: Path, step: int, **changes: object) -> Path:
    """The folder of a run that SIGTERM stopped after so many steps."""
    chosen = mix(3) | {"curriculum": CURRICULA[2]} | changes
    experiment = prepare(make_preset(chosen), options_of(chosen, data, out))
    with pytest.raises(Stopped):
        run(experiment, signal_after(step, SIGTERM))
    return experiment.folder


def signal_after(step: int, number: int) -> Emit:
    left = step

    def listen(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, StepFinished)
        if left == 0 and isinstance(event, StepFinished):
            _stop(number, None)

    return listen


def what_is_left(folder: Path) -> dict:
    """All that must be the same however a run was interrupted."""
    record = json.loads((folder / "record.json").read_text())
    names = sorted(path.name for path in folder.iterdir())
    kept = ("seed", "preset", "weights_sha256", "parameters", "train_examples", "test", "passes",
            "teachers", "init", "kept_epoch", "pruning")  # fmt: skip
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    return {
        "files": names,
        "record": {name: record[name] for name in kept},
        "epochs": [without_times(epoch) for epoch in record["epochs"]],
        "members": [without_times(member) for member in record["members"]],
        "phases": [without_times(phase) for phase in record["phases"]],
        "events": [without_times(json.loads(line)) for line in lines],
    }


def without_times(values: dict) -> dict:
    times = {"seconds", "stages", "train_seconds"}
    return {name: value for name, value in values.items() if name not in times}
