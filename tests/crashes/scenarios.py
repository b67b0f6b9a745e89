"""What may crash: each does one job in a folder, and does the rest of it from any state."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistcli.datasets.cached import cached_path
from mnistcli.errors import ExitCode, as_error
from mnistcli.experiment.downloads.cache import obtain
from mnistcli.experiment.training.run import run as train
from mnistcli.experiment.training.setup import prepare
from mnistcli.records.store import RECORD
from tests.conftest import Answer, run_command
from tests.faults.runs import make_preset, mix, options_of, what_is_left


class Violation(Exception):
    """A job did not end as it should."""


@dataclass(frozen=True)
class Scenario:
    """A job that writes files, and how it is resumed."""

    name: str
    begin: Callable[[Path], object]
    """Do all of it, in an empty folder."""
    resume: Callable[[Path], Any]
    """Do the rest of it; return what is left, which must be the same as without a crash. None if
    one line said that there is nothing to resume."""
    begun: str
    """Name of the file that makes it resumable, as soon as that is on the disk."""


def run(*arguments: object) -> Answer:
    """Run a command that must succeed, or say in one line what is missing.

    Raises:
        Violation: it did neither.
    """
    answer = run_command(*arguments)
    if answer.code and (answer.code != 4 or answer.err.count("\n") != 1):
        raise Violation(f"exit code {answer.code}: {answer.err[-2_000:]}")
    return answer


def find(root: Path, pattern: str, missing: str = "nothing") -> Path:
    """Return the only path of a pattern, or one that does not exist."""
    found = sorted(root.glob(pattern))
    if len(found) > 1:
        raise Violation(f"more than one: {found}")
    return found[0] if found else root / missing


def resume_run(root: Path) -> Any:
    """Resume the only run; return what is left of it."""
    folder = find(root, "runs/*")
    failed = run("train", "--resume", folder, "-q", "--no-fail").code
    return None if failed else what_is_left(folder)


def make_run(preset: Path, data: Path) -> Scenario:
    """A training that saves its state after every step."""

    def begin(root: Path) -> None:
        run("train", preset, "--data", data, "--out", root / "runs", "-q", "--no-fail")

    return Scenario("run", begin, resume_run, "start.json")


def make_mixed(number: int, data: Path) -> Scenario:
    """A training with one of every kind of setting, which the number decides."""

    def begin(root: Path) -> None:
        chosen = mix(number)
        setup = prepare(make_preset(chosen), options_of(chosen, data, root / "runs"))
        train(setup, lambda event: None)

    return Scenario(f"mixed {number}", begin, resume_run, "start.json")


def make_batch(preset: Path, data: Path) -> Scenario:
    """Trainings from two seeds: no run is lost, and none counts twice."""

    def begin(root: Path) -> None:
        run("train", preset, "--data", data, "--out", root / "runs", "--seeds", "3-4",
            "--jobs", 1, "-q", "--no-fail")  # fmt: skip

    def resume(root: Path) -> Any:
        batch = find(root, "runs/*.batch.json", "nothing.batch.json")
        answer = run("train", "--resume", batch, "-q", "--no-fail", "--json", "--jobs", 1)
        if answer.code:
            return None
        found = json.loads(answer.out)
        folders = [Path(each["path"]) for each in found["runs"]]
        if len(set(folders)) != 2 or {path.resolve() for path in root.glob("runs/*-s?")} != set(
            map(Path.resolve, folders)
        ):
            raise Violation(f"a run is lost or counts twice: {folders}")
        return found["summary"]["seeds"], [what_is_left(folder) for folder in folders]

    return Scenario("batch", begin, resume, ".batch.json")


def make_study(preset: Path, data: Path) -> Scenario:
    """A study of one arm: no finished trial is lost."""

    def begin(root: Path) -> None:
        run("study", preset, "--data", data, "--out", root / "runs", "--seeds", "0-1",
            "--arm", "longer: train.epochs=3", "--jobs", 1, "-q")  # fmt: skip

    def resume(root: Path) -> Any:
        answer = run("study", "--resume", find(root, "runs/*"), "--jobs", 1, "--json", "-q")
        if answer.code:
            return None
        found = json.loads(answer.out)
        arms = [found["base"], *found["arms"]]
        return [(arm["name"], arm["accuracies"], arm["parameters"]) for arm in arms]

    return Scenario("study", begin, resume, "plan.json")


def make_search(space: Path, data: Path) -> Scenario:
    """A search: no finished trial is lost, and the winner is the same."""

    def begin(root: Path) -> None:
        run("search", "--space", space, "--budget", "parameters<400, epochs<4", "--data", data,
            "--out", root / "runs", "--trials", 3, "--jobs", 1, "-q", "--no-fail")  # fmt: skip

    def resume(root: Path) -> Any:
        folder = find(root, "runs/*")
        if run("search", "--resume", folder, "--jobs", 1, "-q", "--no-fail").code:
            return None
        lines = [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()]
        trials = [(line["network"], line["rung"], line["turn"], line["loss"])
                  for line in lines if line["event"] == "trial"]  # fmt: skip
        if Counter(trials).most_common(1)[0][1] > 1:
            raise Violation(f"a trial counts twice: {trials}")
        found = json.loads((folder / "search.json").read_text())
        confirmed = json.loads(find(folder, "confirmation/*.batch.json").read_text())["runs"]
        accuracies = found["preset"]["reference"]["test_accuracies"]
        return trials, found["winner"]["number"], accuracies, len(confirmed)

    return Scenario("search", begin, resume, "plan.json")


def make_export(finished: Path, data: Path) -> Scenario:
    """A header: whole or not there, and the same when it is written again."""

    def begin(root: Path) -> None:
        run("export", finished, "--to", "html", "--data", data, "--out", root / "page.html")

    def resume(root: Path) -> Any:
        page = root / "page.html"
        before = page.read_bytes() if page.exists() else None
        begin(root)
        if not page.exists():
            return None
        if before not in (None, page.read_bytes()):
            raise Violation("a part of a page was left")
        return page.read_bytes()

    return Scenario("export", begin, resume, "page.html")


def make_grading(submissions: Path, data: Path) -> Scenario:
    """Two submissions are graded: no grade is lost, and none counts twice."""

    def begin(root: Path) -> None:
        run("grade", submissions, "--budget", "parameters<20000", "--data", data, "--jobs", 1,
            "--out", root / "results", "-q", "--no-fail")  # fmt: skip

    def resume(root: Path) -> Any:
        begin(root)
        found = json.loads((root / "results" / "grades.json").read_text())["grades"]
        if missing := [each["name"] for each in found if not (Path(each["run"]) / RECORD).exists()]:
            raise Violation(f"grades without a run: {missing}")
        return [(each["name"], each["verdict"]) for each in found]

    return Scenario("grading", begin, resume, "grades.json")


def make_download(name: str = "fashion") -> Scenario:
    """A data set is downloaded into a cache below the folder; the tests say from where."""

    def tell(*_: object) -> None:
        """Show nothing."""

    def begin(root: Path) -> None:
        try:
            obtain(name, tell)  # type: ignore[arg-type]
        except Exception as error:
            if as_error(error).exit_code != ExitCode.UNREADABLE:
                raise Violation(repr(error)) from error

    def resume(root: Path) -> Any:
        begin(root)
        folder = cached_path(name)  # type: ignore[arg-type]
        return (
            {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
        )

    return Scenario("download", begin, resume, name)
