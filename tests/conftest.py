import gzip
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Before PyTorch is imported: the test processes share the cores, and its threads would wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings

from mnistcli.cli.app import main
from mnistcli.datasets.load import load_examples
from mnistcli.engine.profiling import measure_inference
from mnistcli.process import stopping_signals

# How long an example takes is the machine's doing, and no property of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

posix_only = pytest.mark.skipif(
    os.name != "posix", reason="needs signals, terminals, pipes or error messages of POSIX"
)
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Images and labels."""
Counts = Counter[str]
COUNTS: Counts = Counter()

TINY_PRESET = """
title = "A network for tests"

[published]
claims = [{ figure = "parameters", value = 250, where = "nowhere" }]

[budget]
parameters_below = 5_000
max_epochs = 3

[model]
layers = [
  { kind = "conv", out_channels = 8, kernel_size = 5, stride = 4 },
  { kind = "batch_norm" },
  { kind = "relu" },
  { kind = "dropout", probability = 0.05 },
  { kind = "flatten" },
  { kind = "linear", out_features = 10 },
]

[[augment]]
kind = "affine"
shift_pixels = 1

[train]
epochs = 2
batch_size = 64

[train.optimizer]
kind = "adamw"
learning_rate = 0.05

[train.schedule]
kind = "one_cycle"
max_learning_rate = 0.05
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def counts() -> Counts:
    """What the suites of faults survived, to be printed at the end."""
    return COUNTS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--simulate", type=int, default=0, help="Seed of a simulation to replay.")
    parser.addoption("--keep-counts", type=Path, help="File for what was survived.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of one of several processes to the one that prints them."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["counts"] = dict(COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the counts of one of several processes."""
    COUNTS.update(getattr(node, "workeroutput", {}).get("counts", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("faults")
        for name, count in COUNTS.items():
            terminalreporter.line(f"{count:6,} {name}")
    if path := terminalreporter.config.getoption("--keep-counts"):
        ended = {what: len(terminalreporter.stats.get(what, ())) for what in ("failed", "error")}
        path.write_text(json.dumps({"counts": COUNTS, "failed": sum(ended.values())}))


@pytest.fixture(autouse=True, scope="session")
def _plain_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the user's terminal and settings; train on the CPU in one thread.

    The networks here are so small that a second thread makes their training slower, and ten times
    slower where another process wants the same core. Nor do they wait for the disk: no test cuts
    the power, and the crash tests record what is synced above `os.fsync`.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            environment.delenv(name, raising=False)
        for name in [name for name in os.environ if name.startswith("MNISTCLI_")]:
            environment.delenv(name)
        environment.setattr(os, "fsync", lambda descriptor: None)
        environment.setenv("MNISTCLI_THREADS", "1")
        environment.setenv("MNISTCLI_DEVICE", "cpu")
        environment.setenv("MNISTCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        allowed = tmp_path_factory.mktemp("allowed") / "code.txt"
        environment.setenv("MNISTCLI_ALLOWED", str(allowed))
        yield


@pytest.fixture(scope="session")
def cli() -> Callable[..., Answer]:
    """Run one command line in this process, as its entry point would."""
    return run_command


def run_command(*arguments: object, encoding: str = "utf-8") -> Answer:
    """Return the exit code of `mnistcli ARGUMENTS…`, its stdout and its stderr."""
    threads = torch.get_num_threads()
    handlers = {number: signal.getsignal(number) for number in stopping_signals()}
    out, err = (
        TextIOWrapper(BytesIO(), encoding=encoding, newline="", write_through=True)
        for _ in range(2)
    )
    with (
        patch.object(sys, "argv", ["mnistcli", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ending,
    ):
        main()
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # Data, as Markdown, is UTF-8 whatever the terminal's encoding is.
    texts = (stream.buffer.getvalue().decode(encoding, "surrogateescape") for stream in (out, err))
    return Answer(int(ending.value.code or 0), *texts)


@pytest.fixture
def quick_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the speed of inference for 0.03 s instead of 0.8 s an evaluation."""
    name = "mnistcli.experiment.evaluate.measure_inference"
    monkeypatch.setattr(name, partial(measure_inference, seconds=0.01))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in MNIST's format: 600 and 200 images that a small network can learn."""
    folder = tmp_path_factory.mktemp("digits")
    write_tiny_data(folder)
    return folder


@pytest.fixture(scope="session")
def tenth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every tenth image of the real MNIST."""
    folder = tmp_path_factory.mktemp("tenth")
    for split, names in MNIST_FILES.items():
        examples = load_examples(split)  # type: ignore[arg-type]
        write_idx(folder / names[0], examples.images[::10, 0].numpy())
        write_idx(folder / names[1], examples.labels[::10].byte().numpy())
    return folder


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preset") / "tiny.toml"
    path.write_text(TINY_PRESET)
    return path


def write_tiny_data(folder: Path, seed: int = 0) -> None:
    """Write what `tiny_data` describes."""
    rng = np.random.default_rng(seed)
    shapes = np.kron(rng.random((10, 7, 7)) > 0.6, np.ones((4, 4)))
    for prefix, count in (("train", 600), ("t10k", 200)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        noise = rng.normal(0, 0.1, (count, 28, 28))
        images = (255 * (shapes[labels] * 0.8 + noise).clip(0, 1)).astype(np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)


def write_idx(path: Path, values: np.ndarray) -> None:
    header = (2048 + values.ndim).to_bytes(4) + b"".join(n.to_bytes(4) for n in values.shape)
    content = header + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
