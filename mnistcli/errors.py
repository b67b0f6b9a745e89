"""Exit codes, and the exceptions that end a command with one of them.

    MnistcliError          1  internal fault
    ├── MismatchError      1  exported network that computes something else
    ├── UsageError         2  wrong command line or option
    │   └── PresetError    2  invalid preset
    ├── FileError          4  unreadable data, run or weights
    │   ├── WriteError     4  file that cannot be written
    │   └── MisfitError    4  weights of another network
    ├── ShortageError      4  too little memory
    ├── DivergedError      5  loss that is not finite
    └── BatchError            every run of a batch failed: the first one's exit code

A message is one line: `what is wrong: which value. What to do.`
"""

import sys
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the process."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CHECK_FAILED = 3
    UNREADABLE = 4
    DIVERGED = 5
    HUNG_UP = 129
    INTERRUPTED = 130
    WARNED = 138
    TERMINATED = 143


class MnistcliError(Exception):
    """An error that ends a command with one line."""

    exit_code = ExitCode.INTERNAL


class MismatchError(MnistcliError):
    """An exported network that computes something else than its definition."""


class UsageError(MnistcliError):
    """A wrong command line or option."""

    exit_code = ExitCode.USAGE


class PresetError(UsageError):
    """An invalid preset, or one whose network cannot be built."""


class FileError(MnistcliError):
    """A file of data, a run or weights that is missing, damaged, or cannot be written."""

    exit_code = ExitCode.UNREADABLE


class WriteError(FileError):
    """A file that cannot be written: the disk is full, or the folder is missing or protected."""


class MisfitError(FileError):
    """Weights that are readable, but belong to another network."""


class ShortageError(MnistcliError):
    """Too little memory."""

    exit_code = ExitCode.UNREADABLE

    def __init__(self, advice: str = "") -> None:
        what = "not enough memory. Close other programs, or use a smaller batch or network"
        super().__init__(f"{what}; {advice}" if advice else f"{what}.")


@dataclass(frozen=True)
class Divergence:
    """The first batch with a loss that is not finite; epoch and step count from 1."""

    epoch: int
    step: int
    learning_rate: float
    batch: tuple[int, ...] = ()
    """Indices of its images among the training images; none if found after the step."""
    member: int | None = None
    """Which network of an ensemble it is, from 1."""


class DivergedError(MnistcliError):
    """A loss or the outputs of a network in training are not finite."""

    exit_code = ExitCode.DIVERGED

    def __init__(self, divergence: Divergence, advice: str = "", training: str = "") -> None:
        super().__init__(divergence, advice, training)
        self.divergence = divergence
        self.advice = advice
        """A sentence on what helps."""
        self.training = training
        """Name of the training, if it is one of several."""

    def __str__(self) -> str:
        """Return where it happened, and what helps."""
        place, name = self.divergence, f"{self.training}: " if self.training else ""
        what = "the loss is" if place.batch else "the network's outputs are"
        member = f"member {place.member}, " if place.member else ""
        where = f"{member}epoch {place.epoch}, step {place.step}"
        return f"{name}{what} not finite: {where}. {self.advice}".removesuffix(". ")


class BatchError(MnistcliError):
    """Every run of a batch failed; the exit code is that of the first."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = ExitCode(exit_code)


def as_error(error: Exception) -> MnistcliError:
    """Return an expected error as it is, one of the system as FileError, others as a fault."""
    if isinstance(error, MnistcliError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        place = f' "{error.filename}"' if error.filename else ""
        return FileError(f"cannot read or write{place}: {reason_of(error)}")
    if is_shortage(error):
        return ShortageError()
    return MnistcliError(f"internal fault, please report it: {type(error).__name__}: {error}")


def is_shortage(error: Exception) -> bool:
    """Return whether an error of Python or PyTorch means that there is too little memory."""
    texts = ("not enough memory", "out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def require_text(name: str) -> str:
    """Return a name as it is, if it is text: a JSON document can hold nothing else.

    Raises:
        UsageError: it has bytes that are not valid in this system's encoding.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode().replace("\\udc", "\\x")
        encoding = sys.getfilesystemencoding().upper()
        raise UsageError(f'a name is not {encoding} text: "{shown}". Rename it.') from error
    return name


def suggest(name: str, known: list[str]) -> str:
    """Return a sentence with the known name nearest to `name`, or with all known names."""
    near = get_close_matches(name, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Choose from {', '.join(known)}."


def reason_of(error: BaseException) -> str:
    """Return what the operating system says about an error, or the error's own text."""
    return str(getattr(error, "strerror", None) or error)
