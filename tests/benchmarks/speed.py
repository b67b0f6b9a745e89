"""Measure the training loop against the documents' pipeline and the network's own ceiling.

    python -m tests.benchmarks.speed [--rounds 3] [--threads N] [--json FILE]

Every measurement is a process of its own, and they take turns: documents' pipeline, this loop, its
ceiling, and again. Medians are those of the ratios within a round, so that a machine whose speed
drifts does not distort them. `sprint` has no document: its fraction of the ceiling is measured, and
its training time against one epoch of the documents' pipeline on `onebyone`.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from mnistcli.process import tune_process  # torch must not be imported before it is called

PRESETS = ("onebyone", "sevenconv", "dualblock")
TRAIN_IMAGES = 60_000
ENOUGH = {"documents": 2_560, "loop": 12_800}


def work(kind: str, name: str, root: Path, threads: int) -> dict[str, float]:
    """Measure once, in this process, after a warm-up."""
    import torch

    torch.set_num_threads(threads)
    if kind == "documents":
        from tests.benchmarks.documents import DocumentPipeline

        pipeline = DocumentPipeline(name, root)
        pipeline.images_per_second(ENOUGH[kind] // 8)
        return {"images_per_second": pipeline.images_per_second(ENOUGH[kind])}
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.training.setup import prepare, run
    from mnistcli.preset.loading import load_preset

    kept = f"train.validation_examples={TRAIN_IMAGES - ENOUGH['loop']}"
    overrides = [] if name == "sprint" else ["train.epochs=2", kept]
    preset = load_preset(name, overrides)
    experiment = prepare(preset, Options(threads=threads, out=root / "runs"))
    # The images left out are not to be evaluated after every epoch.
    without = dataclasses.replace(experiment.data, validation=None)
    experiment = dataclasses.replace(experiment, data=without)
    record = run(experiment, lambda event: None, profile=True)
    assert record.profile is not None
    last = record.epochs[-1]
    return {
        "images_per_second": last.images / last.seconds,
        "ceiling": record.profile.ceiling_images_per_second,
        "train_seconds": record.train_seconds,
    }


def measure(kind: str, name: str, root: Path, threads: int) -> dict[str, float]:
    """Measure once, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.speed", "--work", kind, name, str(root)]
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(rounds: int, threads: int, root: Path) -> dict[str, object]:
    """Measure all presets in turns."""
    speeds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in PRESETS}
    sprints: list[tuple[float, float]] = []
    for number in range(1, rounds + 1):
        for name, found in speeds.items():
            documents = measure("documents", name, root, threads)["images_per_second"]
            loop = measure("loop", name, root, threads)
            found.append((documents, loop["images_per_second"], loop["ceiling"]))
            print(f"round {number} {name}: " + say(*found[-1]), file=sys.stderr, flush=True)
        sprint = measure("loop", "sprint", root, threads)
        epoch = TRAIN_IMAGES / speeds["onebyone"][-1][0]
        sprints.append(
            (sprint["train_seconds"] / epoch, sprint["images_per_second"] / sprint["ceiling"])
        )
        print(
            f"round {number} sprint: {sprint['train_seconds']:.1f} s, {sprints[-1][0]:.2f} of one "
            f"documents' epoch of onebyone ({epoch:.1f} s)", file=sys.stderr, flush=True,
        )  # fmt: skip
    return {
        "threads": threads,
        "rounds": rounds,
        "processor": platform.processor() or platform.machine(),
        "torch": version("torch"),
        "presets": {
            name: {
                "documents_images_per_second": spread([one[0] for one in found]),
                "loop_images_per_second": spread([one[1] for one in found]),
                "loop_over_documents": spread([one[1] / one[0] for one in found]),
                "loop_over_ceiling": spread([one[1] / one[2] for one in found]),
            }
            for name, found in speeds.items()
        },
        "sprint": {
            "training_over_documents_epoch": spread([one[0] for one in sprints]),
            "loop_over_ceiling": spread([one[1] for one in sprints]),
        },
    }


def say(documents: float, loop: float, ceiling: float) -> str:
    return (
        f"documents {documents:,.0f} images/s, loop {loop:,.0f} ({loop / documents:.1f} ×), "
        f"{loop / ceiling:.0%} of the ceiling"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, name, root = options.work
        if kind == "loop":
            tune_process()
        print(json.dumps(work(kind, name, Path(root), options.threads)))
        return
    from tests.benchmarks.documents import unpack_mnist

    with tempfile.TemporaryDirectory() as folder:
        result = compare(options.rounds, options.threads, unpack_mnist(Path(folder)))
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
