"""Exit codes, and the exceptions that end a command with one of them.

    MnistcliError            1  internal fault
    ├── UsageError           2  the command line, a preset or an option is wrong
    │   └── PresetError         … and it is the preset
    ├── FileError            4  data, a run or weights cannot be read or written
    │   └── WriteError          … and it was to be written
    └── DivergedError        5  training reached a loss that is not finite

A message is one line: what is wrong, then what to do about it.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process answers to whoever started it."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CHECK_FAILED = 3
    UNREADABLE = 4
    DIVERGED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class MnistcliError(Exception):
    """Anything that ends a command with one clear line."""

    exit_code = ExitCode.INTERNAL


class UsageError(MnistcliError):
    """The command line or an option asks for something that is not there."""

    exit_code = ExitCode.USAGE


class PresetError(UsageError):
    """A preset does not say what a preset must say, or asks for an impossible network."""


class FileError(MnistcliError):
    """Data, a run or weights are missing, damaged, or cannot be written."""

    exit_code = ExitCode.UNREADABLE


class WriteError(FileError):
    """A file cannot be written: the disk is full, or the folder is gone or not one's own."""


@dataclass(frozen=True)
class Divergence:
    """The batch whose loss is not finite; epoch and step count from 1."""

    epoch: int
    step: int
    learning_rate: float
    batch: tuple[int, ...]
    """Indices of its images among those that may be learned from."""


class DivergedError(MnistcliError):
    """Training reached a loss that is not finite."""

    exit_code = ExitCode.DIVERGED

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence)
        self.divergence = divergence

    def __str__(self) -> str:
        """Where, and what helps."""
        place = self.divergence
        return (
            f"the loss of epoch {place.epoch}, step {place.step} is not finite; lower "
            "train.optimizer.learning_rate or the schedule's max_learning_rate, or set "
            "train.clip_gradient_norm"
        )


def suggest(name: str, known: list[str]) -> str:
    """Says `did you mean "…"?` for the known name nearest to `name`, or lists what there is."""
    near = get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"there is: {', '.join(known)}"


def reason_of(error: BaseException) -> str:
    """Return what the operating system says about an error, or the error's own text."""
    return str(getattr(error, "strerror", None) or error)
