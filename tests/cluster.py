"""A real Dask scheduler and two worker processes, on loopback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cluster:
    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def start_cluster(folder: Path, capabilities: tuple[str, str] = ("", "")) -> Iterator[Cluster]:
    """Start a cluster, and end it afterwards.

    Args:
        folder: for the workers' own files.
        capabilities: the CPU capability that each worker's PyTorch uses: the best there is, if
            empty.
    """
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    quiet = ("--no-dashboard", "--host", "127.0.0.1")
    processes = [start("dask_scheduler", "--port", port, *quiet)]
    try:
        processes += [
            start(
                "dask_worker", address, "--nthreads", 1, "--no-nanny", *quiet,
                "--local-directory", folder / f"worker{number}",
                **({"ATEN_CPU_CAPABILITY": capability} if capability else {}),
            )
            for number, capability in enumerate(capabilities)
        ]  # fmt: skip
        wait_for_workers(address, len(capabilities))
        yield Cluster(address, processes[0], processes[1:])
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def start(*arguments: object, **environment: str) -> subprocess.Popen:
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli." + str(arguments[0])]
    return subprocess.Popen(
        [*command, *map(str, arguments[1:])], env=os.environ | environment, **silent
    )


def wait_for_workers(address: str, count: int) -> None:
    seconds = 60 + 5 * count
    code = (
        "from distributed import Client\n"
        f"with Client({address!r}, timeout=60) as client:\n"
        f" client.wait_for_workers({count}, {seconds})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=seconds + 70)
