"""The sources of a network travel with its run: copied, resumed, repeated, sent to a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.seeds import create_batch
from mnistcli.preset.networks import load_network
from tests.cli.test_cluster import Cluster, capabilities, cluster  # noqa: F401
from tests.code.conftest import forget
from tests.code.sources import PLAIN, trap
from tests.conftest import posix_only

QUICK = ("train.epochs=2", "train.batch_size=128")
SET = [part for each in QUICK for part in ("--set", each)]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A network of two files in a folder of its own, with other files beside them."""
    folder = tmp_path / "mine"
    (folder / "parts").mkdir(parents=True)
    files = {
        "net.py": "from parts.blocks import Net\n",
        "parts/blocks.py": PLAIN.replace("images.flatten(1)", "images.flatten(1) + torch.rand(1)"),
    }
    for name, text in {**files, "secret.py": "KEY = 1", "notes.txt": "text"}.items():
        (folder / name).write_text(text)
    return files


@pytest.fixture
def train(cli: Callable, tiny_data: Path) -> Callable:
    def run(*options: object) -> dict:
        answer = cli("train", *options, "--json", "--no-fail")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    return run


def kept(run: Path) -> dict[str, str]:
    """Return the sources in a run folder."""
    paths = [path for path in (run / "code").rglob("*") if path.is_file()]
    return {path.relative_to(run / "code").as_posix(): path.read_text() for path in paths}


def spoil(folder: Path) -> None:
    """Change every file of the network, as its author might."""
    for path in folder.rglob("*.py"):
        path.write_text(trap(folder / "it-ran"))


def test_a_run_keeps_what_it_imports_and_nothing_else(
    cli: Callable, tmp_path: Path, tiny_data: Path, files: dict[str, str]
) -> None:
    answer = cli("train", "mine/net.py:Net", "--data", tiny_data, "--no-fail", *SET)
    assert answer.err.startswith("net.py:Net is kept with the run: net.py, parts/blocks.py\n")
    (run,) = (tmp_path / "runs").iterdir()
    assert kept(run) == files
    record = json.loads((run / "record.json").read_text())
    assert record["preset"]["model"]["python"] == "net.py:Net"
    assert {*record["preset"]["model"]["sources"]} == {*files}


def test_a_run_is_repeated_from_what_it_keeps(
    train: Callable, tmp_path: Path, tiny_data: Path, files: dict[str, str]
) -> None:
    first = train("mine/net.py:Net", "--data", tiny_data, "-q", *SET)
    spoil(tmp_path / "mine")
    forget()
    second = train("--from", first["path"], "-q")
    assert second["repeats"]["matches"] is True
    assert kept(Path(second["path"])) == files
    assert not (tmp_path / "mine" / "it-ran").exists()


def test_a_batch_is_resumed_from_what_it_keeps(
    train: Callable, tmp_path: Path, tiny_data: Path, files: dict[str, str]
) -> None:
    whole = train(
        "mine/net.py:Net", "--data", tiny_data, "-q", *SET, "--seeds", "0-1", "--jobs", 1,
        "--precision", "float32",
    )  # fmt: skip
    options = Options(0, "cpu", "float32", 1, tiny_data, tmp_path / "batch")
    batch = create_batch(load_network("mine/net.py:Net", QUICK), [0, 1], options, None)
    spoil(tmp_path / "mine")
    forget()
    resumed = train("--resume", batch.path, "--jobs", 1, "-q")
    assert [run["weights_sha256"] for run in resumed["runs"]] == [
        run["weights_sha256"] for run in whole["runs"]
    ]
    assert all(kept(Path(run["path"])) == files for run in resumed["runs"])
    assert not (tmp_path / "mine" / "it-ran").exists()


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_a_killed_training_is_resumed_from_what_it_keeps(
    train: Callable, tmp_path: Path, tiny_data: Path, files: dict[str, str], several: bool
) -> None:
    """Also in processes of their own, with --jobs."""
    more = ("--seeds", "0-1", "--jobs", "2") if several else ()
    options = ("mine/net.py:Net", "--data", str(tiny_data), "--set", "train.epochs=60", "-q", *more)
    # Processes that an earlier test started have another current folder.
    whole = train(*options, "--out", tmp_path / "whole", "--threads", 1)
    command = [sys.executable, "-m", "mnistcli", "train", *options, "--threads", "1"]
    root = str(Path(__file__).parent.parent.parent)
    environment = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        while not any((tmp_path / "runs").glob("*/state.safetensors")):
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    spoil(tmp_path / "mine")
    forget()
    (left,) = (tmp_path / "runs").glob("*.batch.json" if several else "*")
    jobs = ("--jobs", 2) if several else ()
    resumed = train("--resume", left, *jobs, "-q")
    hashes = [
        [run["weights_sha256"] for run in (each["runs"] if several else [each])]
        for each in (whole, resumed)
    ]
    assert hashes[0] == hashes[1]
    assert not (tmp_path / "mine" / "it-ran").exists()


@pytest.mark.slow
def test_sources_travel_with_the_job_to_a_cluster(
    train: Callable,
    cluster: Cluster,  # noqa: F811
    tmp_path: Path,
    tiny_data: Path,
    files: dict[str, str],
) -> None:
    """Its workers have another current folder, and another list of what is allowed."""
    options = ("mine/net.py:Net", "--data", tiny_data, "--seeds", "0-1", "--threads", 1, "-q", *SET)
    there = train(*options, "--cluster", cluster.address)
    here = train(*options, "--jobs", 1)
    hashes = [[run["weights_sha256"] for run in each["runs"]] for each in (there, here)]
    assert hashes[0] == hashes[1]
    assert all(kept(Path(run["path"])) == files for run in there["runs"])


@pytest.mark.slow
def test_code_that_fails_on_a_cluster_is_one_line(
    cli: Callable,
    cluster: Cluster,  # noqa: F811
    tmp_path: Path,
    tiny_data: Path,
    files: dict[str, str],
) -> None:
    blocks = tmp_path / "mine" / "parts" / "blocks.py"
    blocks.write_text(f"raise ValueError('here')\n{PLAIN}")
    answer = cli(
        "train", "mine/net.py:Net", "--data", tiny_data, "--seeds", "0", "-q", *SET,
        "--cluster", cluster.address,
    )  # fmt: skip
    assert (answer.code, answer.out) == (2, "")
    assert "blocks.py:1: ValueError: here" in answer.err
    assert answer.err.count("\n") == 1
