"""Run one command with limits on time and memory, and leave none of its processes behind.

This file is a process of its own that needs only the standard library, so that the limits hold
whatever happens to the process that wants them. Its request is one line of JSON on stdin; its
answer, JSON on stdout. When stdin ends early, because the process that asked has ended, it stops
the command.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

LIMITS_MEMORY = sys.platform == "linux"
"""Whether memory is limited, and processes are found that leave the command's process group."""
POLL_SECONDS = 0.1
MAX_LOAD = 0.05
"""Max fraction of the time in which the processes of the machine are listed."""
KILL_SECONDS = 10
DRAIN_SECONDS = 2
STDOUT_LIMIT, STDERR_LIMIT = 1 << 22, 1 << 16
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>


class Tail:
    """The last bytes of a stream that is read to its end, however much it has."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit = stream, limit
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._stream.fileno(), 1 << 16):
            self._kept += chunk
            if len(self._kept) > 2 * self._limit:
                del self._kept[: -self._limit]

    def text(self) -> str:
        """Return what was kept as text, after the stream's end."""
        self._thread.join(DRAIN_SECONDS)
        return bytes(self._kept[-self._limit :]).decode(errors="replace")


def supervise(request: dict[str, Any]) -> dict[str, Any]:
    """Run the command of a request, and return how it ended and what it printed last."""
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            request["command"], cwd=request["folder"], env=request["environment"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=_prepare if os.name == "posix" else None,
        )  # fmt: skip
    except OSError as error:
        return {"why": "exited", "code": 127, "stdout": "", "stderr": f"cannot run it: {error}"}
    assert process.stdout and process.stderr
    out, err = Tail(process.stdout, STDOUT_LIMIT), Tail(process.stderr, STDERR_LIMIT)
    why = _watch(process, began + request["seconds"], request["memory"])
    _kill(process)
    return {"why": why, "code": process.poll(), "stdout": out.text(), "stderr": err.text()}


def _prepare() -> None:
    """Set up the command's process: it dies with this one, and first if the system lacks memory."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if LIMITS_MEMORY:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def _watch(process: subprocess.Popen[bytes], deadline: float, memory: int) -> str:
    """Wait for the end of the command, or for the reason to end it."""
    stopped = threading.Event()
    threading.Thread(target=_wait_for_end_of_stdin, args=(stopped,), daemon=True).start()
    pause = POLL_SECONDS
    while not stopped.wait(pause):
        if process.poll() is not None:
            return "exited"
        began = time.monotonic()
        if began > deadline:
            return "timeout"
        if LIMITS_MEMORY and sum(map(_measure, _list_descendants())) > memory:
            return "memory"
        pause = max(POLL_SECONDS, (time.monotonic() - began) / MAX_LOAD)
    return "stopped"


def _wait_for_end_of_stdin(stopped: threading.Event) -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when this process exits
        pass
    stopped.set()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the command's process group, and then its descendants that are in another one."""
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILL_SECONDS)
    deadline = time.monotonic() + KILL_SECONDS
    while LIMITS_MEMORY and (left := _list_descendants()) and time.monotonic() < deadline:
        for number in left:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        with suppress(OSError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _list_descendants() -> list[int]:
    """Return the process numbers of all living descendants of this process."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                state, parent = _read_stat(entry)
                if state != b"Z":
                    children.setdefault(parent, []).append(int(entry))
    found = [os.getpid()]
    for number in found:
        found += children.get(number, [])
    return found[1:]


def _read_stat(process: str) -> tuple[bytes, int]:
    """Return the state of a process and its parent; its name, in between, may hold anything."""
    fields = Path("/proc", process, "stat").read_bytes().rpartition(b")")[2].split()
    return fields[0], int(fields[1])


def _measure(process: int) -> int:
    """Return the memory of a process in bytes, without what it shares as its program's files."""
    used = 0
    with suppress(OSError):
        for line in Path("/proc", str(process), "status").read_bytes().splitlines():
            if line.startswith((b"RssAnon:", b"RssShmem:")):
                used += int(line.split()[1]) << 10
    return used


def main() -> None:
    """Read a request, and answer it."""
    request = json.loads(sys.stdin.buffer.readline())
    if LIMITS_MEMORY:
        # Orphans of the command become children of this process, which then finds them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    print(json.dumps(supervise(request)))


if __name__ == "__main__":
    main()
