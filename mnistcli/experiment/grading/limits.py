"""Commands with limits on time and memory: started, awaited, and stopped all at once."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mnistcli.experiment.grading import supervise

SUPERVISOR = (sys.executable, "-I", "-S", supervise.__file__)


@dataclass(frozen=True)
class Ending:
    """How a command ended, and the last of what it printed."""

    why: Literal["exited", "timeout", "memory", "stopped", "lost"]
    """It ended by itself, it exceeded a limit, it was stopped, or its supervisor was killed."""
    code: int | None
    """Exit code; the negative number of the signal that ended it; None if it cannot be killed."""
    stdout: str
    stderr: str


LOST = Ending("lost", 1, "", "")


@dataclass
class Commands:
    """The commands of this process that are running."""

    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_stopped: bool = False

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        seconds: float,
        memory: int,
    ) -> Ending:
        """Run a command, and return when none of its processes is left.

        Args:
            command: program and arguments.
            environment: environment variables of the command.
            folder: where it runs.
            seconds: limit of its time.
            memory: limit of the memory of all its processes, in bytes.
        """
        request = {
            "command": list(command), "environment": dict(environment), "folder": str(folder),
            "seconds": seconds, "memory": memory,
        }  # fmt: skip
        with self._lock:
            if self._is_stopped:
                return LOST
            process = subprocess.Popen(
                SUPERVISOR, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
        try:
            return self._await(process, json.dumps(request).encode() + b"\n")
        finally:
            with self._lock:
                self._running.discard(process)

    def _await(self, process: subprocess.Popen[bytes], request: bytes) -> Ending:
        assert process.stdin and process.stdout
        with suppress(OSError, ValueError):  # it was killed, or stopped meanwhile
            process.stdin.write(request)
            process.stdin.flush()
        with process.stdout:
            answer = process.stdout.read()
        process.wait()
        self._close(process)
        try:
            return Ending(**json.loads(answer))
        except (ValueError, TypeError):
            return LOST

    def stop(self) -> None:
        """Stop all commands, and start no others."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                self._close(process)

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        """Close a supervisor's stdin: that stops it."""
        with suppress(OSError, ValueError):
            assert process.stdin
            process.stdin.close()
