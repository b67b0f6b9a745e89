import logging
import os
import subprocess
import sys

import pytest

from mnistcli.engine.device import choose_device, choose_precision
from mnistcli.experiment.machine import Options
from mnistcli.experiment.workers import Workers, _silence


def test_auto_is_fixed_before_the_first_job() -> None:
    fixed = Workers(1).fix_machine(Options(threads=3))
    device = choose_device("auto")
    assert fixed.device == device.type
    assert f"torch.{fixed.precision}" == str(choose_precision("auto", device))
    assert fixed.threads == 3
    assert Workers(1).fix_machine(Options(precision="float32")).precision == "float32"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_a_process_held_to_one_cpu_starts_one_worker() -> None:
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from mnistcli.cli.options import read_workers\n"
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
    with _silence(("distributed",)):
        noisy.error("lost")
        child.error("lost too")
        logging.getLogger("distributed.new").error("and this")
        logging.getLogger("mnistcli").error("heard")
    assert [record.message for record in caplog.records] == ["heard"]
    child.error("heard again")
    assert caplog.records[-1].message == "heard again"
    child.setLevel(logging.NOTSET)
