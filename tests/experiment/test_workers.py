import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from mnistcli.engine.device import choose_device, choose_precision
from mnistcli.engine.events import EpochFinished, RunProgressed
from mnistcli.experiment import workers
from mnistcli.experiment.machine import Options
from mnistcli.experiment.workers import Workers
from mnistcli.process import silence_logs

EPOCH = EpochFinished(1, 0.5, 0.75, 0.1, 1.25, 100, {})


def test_auto_is_fixed_before_the_first_job() -> None:
    fixed = Workers(1).fix_machine(Options(threads=3))
    device = choose_device("auto")
    assert fixed.device == device.type
    assert f"torch.{fixed.precision}" == str(choose_precision("auto", device))
    assert fixed.threads == 3
    assert Workers(1).fix_machine(Options(precision="float32")).precision == "float32"


@dataclass
class Probed:
    """A cluster whose workers answer what they are told to."""

    answers: dict[str, list[str]]

    def run(self, ask: Callable, options: Options) -> dict[int, str]:
        return dict(enumerate(self.answers[ask.__name__]))


@pytest.mark.parametrize(
    ("devices", "precisions", "wanted"),
    [
        (["cuda", "cuda"], ["bfloat16", "bfloat16"], ("cuda", "bfloat16")),
        (["cuda", "cpu"], ["float32", "float32"], ("cpu", "float32")),
        (["cpu", "cpu"], ["bfloat16", "float32"], ("cpu", "float32")),
    ],
)
def test_a_cluster_trains_where_all_of_its_workers_can(
    monkeypatch: pytest.MonkeyPatch, devices: list, precisions: list, wanted: tuple
) -> None:
    probed = Probed({"_name_device": devices, "_name_precision": precisions})
    monkeypatch.setattr(workers, "connect", lambda address: nullcontext(probed))
    fixed = Workers(1, "tcp://nowhere:1").fix_machine(Options())
    assert (fixed.device, fixed.precision, fixed.threads) == (*wanted, 1)


@dataclass(frozen=True)
class Told:
    """A job that tells of one epoch."""

    name: str = "seed 3"

    def run(self, emit: Callable) -> float:
        emit(EPOCH)
        return 0.5


def test_nothing_is_set_in_somebody_elses_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    messages: list[tuple] = []
    somebody = SimpleNamespace(log_event=lambda topic, message: messages.append((topic, message)))
    monkeypatch.setattr(distributed, "get_worker", lambda: somebody)

    def fail() -> None:
        raise AssertionError("the worker's process was changed")

    for name in ("tune_process", "handle_signals"):
        monkeypatch.setattr(workers, name, fail)
    assert workers._run_there("topic", 7, Told()) == (7, 0.5)
    events: list[object] = []
    ((topic, message),) = messages
    workers._relay(events.append, (0.0, message))
    assert topic == "topic"
    assert events == [RunProgressed("seed 3", EPOCH)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_a_process_held_to_one_cpu_starts_one_worker() -> None:
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from mnistcli.cli.several import read_workers\n"
        "from mnistcli.experiment.machine import Options\n"
        "workers = read_workers(None, None)\n"
        "print(workers.at_once, workers.fix_machine(Options()).threads)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "1"]


def test_only_the_loggers_named_are_silenced_and_only_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noisy, child = logging.getLogger("distributed"), logging.getLogger("distributed.comm")
    child.setLevel(logging.INFO)
    with silence_logs(("distributed",)):
        noisy.error("lost")
        child.error("lost too")
        logging.getLogger("distributed.new").error("and this")
        logging.getLogger("mnistcli").error("heard")
    assert [record.message for record in caplog.records] == ["heard"]
    child.error("heard again")
    assert caplog.records[-1].message == "heard again"
    child.setLevel(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="trackers are started early on POSIX only")
def test_trackers_are_silent_about_folders_that_are_gone() -> None:
    code = (
        "import sys\n"
        "from joblib.externals.loky.backend import resource_tracker\n"
        "from mnistcli.experiment.workers import _start_trackers\n"
        "before = list(sys.warnoptions)\n"
        "_start_trackers()\n"
        "assert sys.warnoptions == before\n"
        "resource_tracker.register('/nowhere/at-all', 'folder')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
