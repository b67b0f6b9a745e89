"""The command lines that count and train a submission, and their environment."""

import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mnistcli.experiment.grading.submissions import Submission
from mnistcli.experiment.machine import Options

WORK, HOME, TEMPORARY, RUNS, RECIPE = "work", "home", "temporary", "runs", "recipe"
"""Folders in a submission's temporary folder: its files, what it writes, and its run."""
PACKAGES = Path(__file__).parents[3]
"""Folder in which Python finds this package."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Limit:
    """A limit as typed, and its value in seconds or bytes."""

    text: str
    value: float


@dataclass(frozen=True)
class GradingRequest:
    """How every submission is graded."""

    budget: str
    each: Limit
    """Time of a submission."""
    memory: Limit
    """Memory of a submission's processes together."""
    recipe: str | None = None
    wrap: tuple[str, ...] = ()
    """Program and arguments that run the commands."""
    options: Options = field(default_factory=Options)
    recipe_file: Mapping[str, bytes] = field(default_factory=dict)
    """Content by name, if the recipe is a file of the user."""

    def write_summary(self, submission: Submission, folder: Path) -> list[str]:
        """Return the command that counts a submission."""
        return self._write("summary", submission, folder)

    def write_train(self, submission: Submission, folder: Path) -> list[str]:
        """Return the command that trains a submission, with its run folder below `folder`."""
        options = self.options
        more = {
            "seed": options.seed, "device": options.device, "precision": options.precision,
            "threads": options.threads, "data": options.data, "out": folder / RUNS,
        }  # fmt: skip
        line = self._write("train", submission, folder)
        for name, value in more.items():
            line += [] if value is None else [f"--{name}", str(value)]
        return [*line, "--quiet"]

    def _write(self, command: str, submission: Submission, folder: Path) -> list[str]:
        python = (sys.executable, "-P", "-m", "mnistcli", command)
        # "./" because a name may look like an option. Whoever grades has named this code.
        line = [*self.wrap, *python, f"./{submission.reference}", f"--budget={self.budget}"]
        if submission.is_code and self.recipe is not None:
            own = [str(folder / RECIPE / name) for name in self.recipe_file]
            line.append(f"--recipe={(own or [self.recipe])[0]}")
        return [*line, "--allow-code", "--json", "--no-fail"]


def make_environment(folder: Path, threads: int) -> dict[str, str]:
    """Return this process's environment without its settings and folders.

    So no submission becomes code that the user has allowed, and none finds the caches of another.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MNISTCLI_", "XDG_"))
    }
    # Packages that were installed for the user are below the home folder.
    environment["PYTHONUSERBASE"] = site.getuserbase()
    if str(PACKAGES) not in site.getsitepackages():
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(PACKAGES), *([known] if known else [])])
    return environment | {
        "HOME": str(folder / HOME),
        "TMPDIR": str(folder / TEMPORARY),
        "MNISTCLI_ALLOWED": str(folder / HOME / "allowed-code.txt"),
        "MNISTCLI_CACHE": str(folder / HOME / "cache"),
        **dict.fromkeys(THREADS, str(threads)),
    }
