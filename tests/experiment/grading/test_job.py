from pathlib import Path

import pytest

from mnistcli.experiment.grading.command import GradingRequest, Limit
from mnistcli.experiment.grading.job import GradeJob, _describe_ending, _read_run
from mnistcli.experiment.grading.limits import Commands, Ending
from mnistcli.experiment.grading.submissions import Submission
from tests.conftest import posix_only
from tests.display.samples import make_run


@posix_only
def test_of_a_run_only_its_own_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    run = tmp_path / "run"
    run.mkdir()
    (run / "events.jsonl").write_text("{}")
    (run / "other").write_text("x")
    (run / "weights.safetensors").symlink_to(tmp_path / "secret")
    (run / "indices.npz").symlink_to(run / "indices.npz")
    assert _read_run(run, make_run()) == {"events.jsonl": b"{}"}


@pytest.mark.parametrize(
    ("code", "stderr", "reason"),
    [
        (2, "noise\nmnistcli: net.py:3: no. Use --traceback for more.\n", "net.py:3: no"),
        (2, "mnistcli: it fails.\nmnistcli: warning: odd\n\n", "it fails."),
        (0, "noise", "it ended early, with exit code 0"),
        (3, "", "it ended early, with exit code 3"),
        (1, "\x1b[31mbwrap: no\n", "it ended early, with exit code 1:  [31mbwrap: no"),
        (-11, "", "it was ended by SIGSEGV"),
        (2, "mnistcli: " + 2_000 * "x", 499 * "x" + "…"),
    ],
)
def test_the_last_message_says_how_it_ended(code: int, stderr: str, reason: str) -> None:
    assert _describe_ending(Ending("exited", code, "", stderr)) == reason


def test_a_fault_here_is_the_row_of_one_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    minute = Limit("1m", 60)
    request = GradingRequest("epochs<2", minute, minute)
    job = GradeJob(Submission("ada", "ada.py", "ada.py:Net"), request)
    grade = job.grade(Commands()).grade
    assert (grade.verdict, grade.is_final) == ("error", False)
    assert "No such file or directory" in grade.reason


def test_what_is_kept_of_a_run_is_limited_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many links to one file would fill the memory."""
    monkeypatch.setattr("mnistcli.experiment.grading.job.SIZE_LIMIT", 10)
    (tmp_path / "events.jsonl").write_text("1234567")
    (tmp_path / "weights.safetensors").write_text("1234567")
    (tmp_path / "indices.npz").write_text("123")
    kept = {"weights.safetensors": b"1234567", "indices.npz": b"123"}
    assert _read_run(tmp_path, make_run()) == kept
