"""All submissions → their grades: several at once, written as they come, and resumed."""

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mnistcli.datasets.cached import find_dataset
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError, UsageError, WriteError, reason_of
from mnistcli.experiment.grading.command import GradingRequest
from mnistcli.experiment.grading.job import GradedSubmission, GradeJob
from mnistcli.experiment.grading.limits import Commands
from mnistcli.experiment.grading.submissions import Submission, strip_name
from mnistcli.experiment.machine import Options
from mnistcli.experiment.workers import Workers
from mnistcli.preset.budget_text import format_budget, parse_budget
from mnistcli.preset.loading import find_preset, list_presets, load_preset, read_preset_text
from mnistcli.preset.networks import RECIPE, make_plain
from mnistcli.process import Stopped
from mnistcli.records import files
from mnistcli.records.folders import create_run_folder, lock_run, move_record, write_files
from mnistcli.records.grades import GRADES, Grade, GradesDocument, GradingProgress
from mnistcli.records.store import read_document, write_document, write_record
from mnistcli.verdict.grades import mark_same

ADVICE = "run the same command again to resume"
HASH_SHOWN = 12

Tell = Callable[[GradingProgress], None]


@dataclass(frozen=True)
class Grading:
    """The grading of all submissions, and the grades that an earlier one has found."""

    submissions: Sequence[Submission]
    request: GradingRequest
    workers: Workers
    settings: dict[str, str]
    kept: dict[str, Grade]
    """Earlier grades by name, of submissions that have not changed."""

    @property
    def options(self) -> Options:
        """Return seed, machine, data and folder of the results."""
        return self.request.options

    @property
    def path(self) -> Path:
        """Path of the file of the results."""
        return self.options.out / GRADES

    @property
    def jobs(self) -> list[GradeJob]:
        """Return what is left to do, and first what needs no process."""
        left = (each for each in self.submissions if each.name not in self.kept)
        return [
            GradeJob(each, self.request) for each in sorted(left, key=lambda each: not each.fault)
        ]

    def run(self, tell: Tell) -> GradesDocument:
        """Grade what is left, and write the document after every submission.

        Args:
            tell: told of every submission when it starts, in another thread, and of its grade.

        Raises:
            FileError: the cluster is lost, or a file cannot be written.
            Stopped: a signal came; its advice says how to resume.
        """
        with lock_run(self.options.out):
            try:
                return self._run(tell)
            except Stopped as stopped:
                stopped.advice = ADVICE
                raise
            except FileError as error:
                raise FileError(f"{str(error).removesuffix('.')}; {ADVICE}") from error

    def _run(self, tell: Tell) -> GradesDocument:
        grades, total = dict(self.kept), len(self.submissions)
        document = self._make_document(grades)
        with closing(self._grade_each(tell)) as graded:
            for job, outcome in graded:
                grades[job.name] = self._keep(outcome)
                document = self._make_document(grades)
                write_document(self.path, document)
                tell(GradingProgress(job.name, len(grades), total, grades[job.name]))
        write_document(self.path, document)
        return document

    def _grade_each(self, tell: Tell) -> Generator[tuple[GradeJob, GradedSubmission]]:
        jobs, total = self.jobs, len(self.submissions)
        if self.workers.cluster and jobs:
            threads = self.request.options.threads or 1
            yield from self.workers.run(jobs, threads, lambda event: None)
            return

        def start(job: GradeJob) -> GradedSubmission:
            tell(GradingProgress(job.name, 0, total))
            return job.grade(commands)

        commands = Commands()
        with ThreadPoolExecutor(self.workers.at_once) as pool:
            try:
                running = {pool.submit(start, job): job for job in jobs}
                for future in as_completed(running):
                    yield running[future], future.result()
            finally:
                commands.stop()
                pool.shutdown(cancel_futures=True)

    def _keep(self, outcome: GradedSubmission) -> Grade:
        """Write the run of a submission into a folder of its own, and return its grade."""
        grade, record = outcome.grade, outcome.record
        if record is None:
            return grade
        name = make_plain(grade.name) or "submission"
        folder = create_run_folder(self.options.out, name, record.seed, datetime.now(UTC))
        write_files(folder, outcome.files)
        write_record(folder, move_record(record, folder))
        return grade.model_copy(update={"run": str(folder)})

    def _make_document(self, grades: dict[str, Grade]) -> GradesDocument:
        names = [each.name for each in self.submissions if each.name in grades]
        marked = mark_same(grades[name] for name in names)
        return GradesDocument(
            budget=parse_budget(self.request.budget),
            settings=self.settings,
            each_seconds=self.request.each.value,
            memory=int(self.request.memory.value),
            total=len(self.submissions),
            grades=marked,
            passed=len(marked) == len(self.submissions)
            and all(each.verdict == "pass" for each in marked),
        )


def plan_grading(
    submissions: Sequence[Submission], request: GradingRequest, options: Options, workers: Workers
) -> Grading:
    """Check everything that all submissions share, and find the grades that are known already.

    Raises:
        UsageError: a setting is invalid, or the folder has results of other settings.
        FileError: the data or the folder is unreadable.
    """
    recipe_file, out = _read_recipe(request.recipe), options.out
    options = workers.fix_machine(options)
    request = replace(request, options=options, recipe_file=recipe_file)
    settings = _describe_settings(request, workers)
    try:
        files.make_folder(out, exist_ok=True)
    except (OSError, ValueError) as error:
        raise WriteError(
            f'cannot write results to "{out}": {reason_of(error)}. Choose another --out.'
        ) from error
    kept: dict[str, Grade] = {}
    if (path := out / GRADES).exists():
        earlier = read_document(path, GradesDocument, "the results of grade")
        _require_same_settings(settings, earlier.settings, path)
        _require_same_submissions(submissions, earlier.grades, path)
        hashes = {each.name: each.sha256 for each in submissions}
        kept = {
            grade.name: grade
            for grade in earlier.grades
            if hashes.get(grade.name) == grade.sha256 and _is_kept(grade, earlier, request)
        }
    return Grading(submissions, request, workers, settings, kept)


def _is_kept(grade: Grade, earlier: GradesDocument, request: GradingRequest) -> bool:
    """Return whether an earlier grade needs no second try, perhaps with larger limits."""
    match grade.verdict:
        case "timeout":
            return request.each.value <= earlier.each_seconds
        case "memory":
            return request.memory.value <= earlier.memory
    return grade.is_final


def _require_same_settings(settings: dict[str, str], earlier: dict[str, str], path: Path) -> None:
    names = [name for name in {**earlier, **settings} if settings.get(name) != earlier.get(name)]
    if names:
        found = ", ".join(f"{name} {earlier.get(name, 'unknown')}" for name in names)
        raise UsageError(f'"{path}" has results of other settings: {found}. Choose another --out.')


def _require_same_submissions(
    submissions: Sequence[Submission], earlier: Sequence[Grade], path: Path
) -> None:
    """Refuse to replace the results of submissions that still exist and were not named."""
    named = {os.path.realpath(strip_name(each.path)) for each in submissions}
    files = {grade.name: strip_name(grade.submission) for grade in earlier}
    others = [
        name
        for name, file in files.items()
        if os.path.lexists(file) and os.path.realpath(file) not in named
    ]
    if others:
        found = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise UsageError(
            f'"{path}" has results of other submissions: {found}. Name all of them, or choose '
            "another --out."
        )


def _read_recipe(recipe: str | None) -> dict[str, bytes]:
    """Return the content of a recipe by its name, if it is a file of the user.

    Raises:
        PresetError: there is no such preset, or it is invalid.
    """
    if recipe is None:
        return {}
    load_preset(recipe)
    path = find_preset(recipe)
    return {} if recipe in list_presets() else {path.name: read_preset_text(path).encode()}


def _describe_settings(request: GradingRequest, workers: Workers) -> dict[str, str]:
    recipe, options = request.recipe or RECIPE, request.options
    text = read_preset_text(find_preset(recipe))
    return {
        "budget": format_budget(parse_budget(request.budget)),
        "recipe": f"{Path(recipe).stem} {hashlib.sha256(text.encode()).hexdigest()[:HASH_SHOWN]}",
        "seed": str(options.seed),
        "device": options.device,
        "precision": options.precision,
        "threads": str(options.threads),
        "data": _describe_data(options.data, workers),
    }


def _describe_data(folder: Path | None, workers: Workers) -> str:
    """Return fingerprints of the images, or their folder if perhaps only the workers have it."""
    if folder and workers.cluster:
        return str(folder)
    splits = (load_examples("train", folder), load_examples("test", folder))
    name = find_dataset(folder)
    hashes = [fingerprint(examples)[:HASH_SHOWN] for examples in splits]
    return " ".join([name, *hashes] if name and name != "mnist" else hashes)
