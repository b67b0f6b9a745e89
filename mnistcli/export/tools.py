"""Compilers and emulators: programs of the system that a network is compiled with, or runs in."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from mnistcli.errors import UsageError, reason_of

SECONDS = 600


def run_tool(
    command: Sequence[str],
    name: str,
    advice: str,
    *,
    given: bytes = b"",
    folder: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, without a shell.

    Args:
        command: program and arguments.
        name: what errors call it.
        advice: what errors say to do.
        given: its standard input.
        folder: where it runs.

    Raises:
        UsageError: it cannot be started, fails, or takes more than ten minutes.
    """
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=SECONDS, cwd=folder
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot run {name}: {reason_of(error)}. {advice}") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{name} took more than {SECONDS} s. {advice}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        reason = next((line.strip() for line in lines if "error" in line), lines[0].strip())
        raise UsageError(f"{name} failed: {reason or f'exit code {done.returncode}'}. {advice}")
    return done
