"""Measure the training loop against the documents' pipeline, a public recipe, and its own ceiling.

    python -m tests.benchmarks.speed [--rounds 3] [--threads N] [--precision P] [--json FILE]
    python -m tests.benchmarks.speed --layers [PRESET…] [--threads N] [--precision P]

Every measurement is a process of its own, and they take turns: documents' pipeline, this loop, its
ceiling, and again. Medians are those of the ratios within a round, so that a machine whose speed
drifts does not distort them. The three distances have no document: their training is measured
against one epoch of the documents' pipeline on `onebyone`, and against the public recipe; `mile` by
the time of its images in one epoch.
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
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnistcli.process import tune_process  # torch must not be imported before it is called
from tests.ledger.comparisons import line

PRESETS = ("onebyone", "sevenconv", "dualblock")
DISTANCES = ("dash", "sprint", "mile")
DOCUMENTED = {
    "documents_images_per_second": ",.0f",
    "loop_images_per_second": ",.0f",
    "loop_over_documents": ".1f",
    "loop_over_ceiling": ".0%",
}
"""Figures of the documented presets, and how they are printed."""
WHOLE = {
    "train_seconds": ".1f",
    "training_over_documents_epoch": ".3f",
    "training_over_public_recipe": ".2f",
    "loop_over_ceiling": ".0%",
}
"""Figures of the distances, and how they are printed."""
TRAIN_IMAGES = 60_000
ENOUGH = {"documents": 2_560, "loop": 12_800}
Figures = dict[str, float]


def measure_documents(name: str, options: argparse.Namespace) -> Figures:
    """Measure the documents' pipeline, after a warm-up."""
    from tests.benchmarks.documents import DocumentPipeline

    pipeline = DocumentPipeline(name, Path(options.root))
    enough = ENOUGH["documents"]
    pipeline.images_per_second(enough // 8)
    return {"images_per_second": pipeline.images_per_second(enough)}


def measure_public(name: str, options: argparse.Namespace) -> Figures:
    """Train the public recipe once."""
    from tests.benchmarks.public import train_once

    seconds, accuracy = train_once(int(name))
    return {"seconds": seconds, "test_accuracy": accuracy}


def measure_loop(name: str, options: argparse.Namespace) -> Figures:
    """Train a preset: two short epochs of a documented one, `mile` for one, the others in full."""
    from mnistcli.experiment.machine import Options
    from mnistcli.experiment.training.run import run
    from mnistcli.experiment.training.setup import prepare
    from mnistcli.preset.loading import load_preset
    from tests.ledger.table import count_passes

    kept = f"train.validation_examples={TRAIN_IMAGES - ENOUGH['loop']}"
    overrides = {"dash": [], "sprint": [], "mile": ["train.epochs=1"]}
    preset = load_preset(name, overrides.get(name, ["train.epochs=2", kept]))
    out = Path(options.root) / "runs"
    experiment = prepare(
        preset, Options(threads=options.threads, precision=options.precision, out=out)
    )
    # The images left out are not to be evaluated after every epoch.
    without = dataclasses.replace(experiment.data, validation=None)
    experiment = dataclasses.replace(experiment, data=without)
    record = run(experiment, lambda event: None, profile=True)
    assert record.profile is not None
    longer = count_passes(load_preset(name)) / count_passes(preset)
    last = record.epochs[-1]
    return {
        "images_per_second": last.images / last.seconds,
        "ceiling": record.profile.ceiling_images_per_second,
        "train_seconds": record.train_seconds * longer,
    }


KINDS = {"documents": measure_documents, "public": measure_public, "loop": measure_loop}


def measure(kind: str, name: str, root: Path, options: argparse.Namespace) -> Figures:
    """Measure once, in a process of its own."""
    work = ["--work", kind, name, "--root", str(root), "--threads", str(options.threads)]
    return ask("tests.benchmarks.speed", *work, "--precision", options.precision)


def ask(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module in a process of its own, and return the JSON document that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def compare(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything in turns."""
    rows: dict[str, list[Figures]] = defaultdict(list)
    for number in range(options.rounds):
        for name in PRESETS:
            documents = measure("documents", name, root, options)["images_per_second"]
            loop = measure("loop", name, root, options)
            rows[name].append(compare_with_documents(loop, documents))
            tell(number, name, rows[name][-1])
        public = measure("public", str(number), root, options)
        rows["public"].append(public)
        tell(number, "public", public)
        epoch = TRAIN_IMAGES / rows["onebyone"][-1]["documents_images_per_second"]
        for name in DISTANCES:
            loop = measure("loop", name, root, options)
            rows[name].append(compare_with_public(loop, epoch, public["seconds"]))
            tell(number, name, rows[name][-1])
    return {
        "threads": options.threads,
        "rounds": options.rounds,
        "precision": options.precision,
        "processor": platform.processor() or platform.machine(),
        "torch": version("torch"),
        "figures": {name: summarize(found) for name, found in rows.items()},
    }


def compare_with_documents(loop: Figures, documents: float) -> Figures:
    """Return a documented preset's speed beside that of its document's pipeline."""
    speed = loop["images_per_second"]
    return {
        "documents_images_per_second": documents,
        "loop_images_per_second": speed,
        "loop_over_documents": speed / documents,
        "loop_over_ceiling": speed / loop["ceiling"],
    }


def compare_with_public(loop: Figures, epoch: float, public: float) -> Figures:
    """Return a distance's time beside a documents' epoch and the public recipe, in seconds."""
    return {
        "train_seconds": loop["train_seconds"],
        "training_over_documents_epoch": loop["train_seconds"] / epoch,
        "training_over_public_recipe": loop["train_seconds"] / public,
        "loop_over_ceiling": loop["images_per_second"] / loop["ceiling"],
    }


def summarize(rounds: list[Figures]) -> dict[str, Figures]:
    """Return median, min and max of every figure over the rounds."""
    columns = {name: [each[name] for each in rounds] for name in rounds[0]}
    return {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in columns.items()
    }


def show_rounds(figure: Figures, form: str) -> str:
    """Return a figure's median, and its min and max in parentheses."""
    return "{median:{0}} ({min:{0}} – {max:{0}})".format(form, **figure)


def rows_of(names: Sequence[str], figures: dict[str, Any], forms: dict[str, str]) -> str:
    """Return a Markdown table of presets, with the figures that have a form."""
    rows = [
        [f"`{name}`", *(show_rounds(figures[name][figure], forms[figure]) for figure in forms)]
        for name in names
    ]
    head = ["preset", *(figure.replace("_", " ") for figure in forms)]
    return "\n".join(map(line, [head, ["---"] * len(head), *rows]))


def tell(number: int, name: str, figures: Figures) -> None:
    said = ", ".join(f"{key.replace('_', ' ')} {value:,.3g}" for key, value in figures.items())
    print(f"round {number + 1} {name}: {said}", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--layers", nargs="*", metavar="PRESET")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.work is None and options.layers is None:
        from tests.benchmarks.documents import unpack_mnist

        with tempfile.TemporaryDirectory() as folder:
            found = compare(unpack_mnist(Path(folder)), options)
        if options.json:
            options.json.write_text(json.dumps(found, indent=2) + "\n")
        print(rows_of(PRESETS, found["figures"], DOCUMENTED), "", sep="\n")
        print(rows_of(DISTANCES, found["figures"], WHOLE))
        return
    if options.work is None or options.work[0] == "loop":
        tune_process()
    import torch

    torch.set_num_threads(options.threads)
    if options.work:
        kind, name = options.work
        print(json.dumps(KINDS[kind](name, options)))
    else:
        from tests.benchmarks.layers import show_layers

        for name in options.layers or ("sprint", *PRESETS):
            show_layers(name, options)


if __name__ == "__main__":
    main()
