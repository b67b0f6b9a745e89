"""One submission → its grade: counted, and trained if its size is within the budget."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from mnistcli.engine.events import Emit
from mnistcli.errors import ExitCode, FileError, as_error
from mnistcli.experiment.grading import command as places
from mnistcli.experiment.grading.command import GradingRequest, make_environment
from mnistcli.experiment.grading.limits import Commands, Ending
from mnistcli.experiment.grading.submissions import Submission
from mnistcli.experiment.workers import when_cancelled
from mnistcli.records.arrays import INDICES
from mnistcli.records.documents import RunRecord, Summary
from mnistcli.records.files import make_folder, write_atomically
from mnistcli.records.folders import make_parents
from mnistcli.records.grades import Grade
from mnistcli.records.store import CODE, EVENTS, RECORD, SIZE_LIMIT, WEIGHTS, read_record
from mnistcli.verdict.grades import explain, identify_structure

REASON_LIMIT = 500
PREFIX = "mnistcli: "
ADVICE = ". Use --traceback for more."
"""Advice in messages that does not help where another command runs the command."""
KEPT = (WEIGHTS, INDICES, EVENTS)
"""Files of a run beside its record and its code."""
NOT_OF_THE_SUBMISSION = {ExitCode.INTERNAL, ExitCode.UNREADABLE}
KILLED = {-9, 137}
"""Exit codes of a command, or of the shell around it, that the system has killed."""


@dataclass(frozen=True)
class GradedSubmission:
    """A grade, and the run behind it."""

    grade: Grade
    record: RunRecord | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Contents of the run folder by name, without the record."""

    @property
    def accuracy(self) -> float | None:
        """Accuracy on the test images."""
        return self.grade.test_accuracy


class Ungraded(Exception):
    """The end of a grading before its result, with the fields of the grade that say why."""

    def __init__(self, verdict: str, reason: str, *, is_final: bool = True) -> None:
        super().__init__(reason)
        self.fields = {"verdict": verdict, "reason": reason, "is_final": is_final}


@dataclass(frozen=True)
class GradeJob:
    """The grading of one submission; picklable, for another machine."""

    submission: Submission
    request: GradingRequest

    @property
    def name(self) -> str:
        """Name of the submission."""
        return self.submission.name

    def run(self, emit: Emit) -> GradedSubmission:
        """Grade the submission, on a cluster."""
        commands = Commands()
        with when_cancelled(commands.stop):
            return self.grade(commands)

    def grade(self, commands: Commands) -> GradedSubmission:
        """Count and train in a temporary folder, each in a process of its own."""
        if self.submission.fault:
            return GradedSubmission(self._make_grade(reason=self.submission.fault))
        try:
            with TemporaryDirectory(prefix="mnistcli-", ignore_cleanup_errors=True) as name:
                self._lay_out(Path(name))
                return self._grade(_Runner(self.request, Path(name), commands))
        except Exception as error:  # one submission does not stop the others
            reason = _shorten(str(as_error(error)))
            return GradedSubmission(self._make_grade(reason=reason, is_final=False))

    def _lay_out(self, folder: Path) -> None:
        for place in (places.HOME, places.TEMPORARY, places.RUNS):
            make_folder(folder / place)
        _write_files(folder / places.WORK, self.submission.files)
        _write_files(folder / places.RECIPE, self.request.recipe_file)

    def _grade(self, runner: "_Runner") -> GradedSubmission:
        counts: dict[str, Any] = {}
        try:
            summary = self._count(runner)
            counts = {
                "parameters": summary.parameters,
                "macs": summary.macs,
                "structure_sha256": identify_structure(summary),
                "warnings": summary.warnings,
                "checks": summary.checks,
            }
            if any(check.verdict == "fail" for check in summary.checks):
                raise Ungraded("fail", explain(summary.checks))
            record, files = self._train(runner)
        except Ungraded as ungraded:
            return GradedSubmission(self._make_grade(**counts | ungraded.fields))
        counts |= {"warnings": record.warnings, "checks": record.checks}
        grade = self._make_grade(
            **counts,
            verdict=record.verdict,
            reason=explain(record.checks),
            test_accuracy=record.test.accuracy,
            epochs=record.figures["epochs"],
            train_seconds=record.train_seconds,
        )
        return GradedSubmission(grade, record, files)

    def _count(self, runner: "_Runner") -> Summary:
        line = self.request.write_summary(self.submission, runner.folder)
        ending = runner.run(line, "counting")
        # What the submission itself writes to the file descriptor of stdout comes before.
        document = ending.stdout[ending.stdout.rfind("\n{\n") + 1 :]
        try:
            return Summary.model_validate_json(document)
        except ValidationError as error:
            raise Ungraded("error", _describe_ending(ending)) from error

    def _train(self, runner: "_Runner") -> tuple[RunRecord, dict[str, bytes]]:
        line = self.request.write_train(self.submission, runner.folder)
        ending = runner.run(line, "training")
        for path in (runner.folder / places.RUNS).glob(f"*/{RECORD}"):
            try:
                record = read_record(path.parent)
                return record, _read_run(path.parent, record)
            except (FileError, OSError) as error:
                raise Ungraded("error", f"its run is unreadable: {error}") from error
        raise Ungraded("error", _describe_ending(ending))

    def _make_grade(self, **fields: Any) -> Grade:
        own = self.submission
        path = own.path.encode(errors="backslashreplace").decode()
        known = {"name": own.name, "submission": path, "sha256": own.sha256, "verdict": "error"}
        return Grade(**known | fields)


@dataclass
class _Runner:
    """Runs the commands of one submission, which share its time."""

    request: GradingRequest
    folder: Path
    commands: Commands
    deadline: float = 0

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.request.each.value

    def run(self, line: list[str], doing: str) -> Ending:
        """Run a command to its end.

        Raises:
            Ungraded: it fails, or exceeds a limit.
        """
        each, memory = self.request.each, self.request.memory
        environment = make_environment(self.folder, self.request.options.threads or 1)
        seconds = self.deadline - time.monotonic()
        ending = self.commands.run(
            line, environment, self.folder / places.WORK, seconds, int(memory.value)
        )
        match ending.why:
            case "timeout":
                raise Ungraded("timeout", f"stopped after {each.text}, while {doing}")
            case "memory":
                raise Ungraded("memory", f"used more than {memory.text}, while {doing}")
            case "lost" | "stopped":
                raise Ungraded("error", "its supervisor was killed", is_final=False)
        if ending.code in KILLED:
            raise Ungraded("memory", f"the system killed it, while {doing}: memory ran out")
        if ending.code:
            is_final = ending.code not in NOT_OF_THE_SUBMISSION
            raise Ungraded("error", _describe_ending(ending), is_final=is_final)
        return ending


def _describe_ending(ending: Ending) -> str:
    """Return the last error message of mnistcli, or how the process ended."""
    lines = [line for line in ending.stderr.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(PREFIX) and not line.startswith(f"{PREFIX}warning"):
            return _shorten(line.removeprefix(PREFIX).removesuffix(ADVICE))
    code = ending.code or 0
    number = next((each for each in signal.Signals if each == -code), None)
    how = f"it was ended by {number.name}" if number else f"it ended early, with exit code {code}"
    return _shorten(f"{how}: {lines[-1]}" if lines and code else how)


def _shorten(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return plain if len(plain) <= REASON_LIMIT else f"{plain[: REASON_LIMIT - 1]}…"


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for place, content in files.items():
        make_parents(path := folder / place)
        write_atomically(path, content)


def _read_run(folder: Path, record: RunRecord) -> dict[str, bytes]:
    """Return the contents of the files that a run leaves, and of no others: no links out of it.

    All together they have at most `SIZE_LIMIT` bytes: what is beyond that is left out.
    """
    names = [*KEPT, *(f"{CODE}/{place}" for place in record.preset.model.sources or ())]
    found: dict[str, bytes] = {}
    left = SIZE_LIMIT
    for name in names:
        # Not Path.resolve, which raises an error at links in a circle.
        path = Path(os.path.realpath(folder / name))
        if not (path.is_relative_to(os.path.realpath(folder)) and path.is_file()):
            continue
        if (size := path.stat().st_size) <= left:
            found[name] = path.read_bytes()
            left -= size
    return found
