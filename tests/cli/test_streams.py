import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mnistcli.cli.guide import FOLDER
from mnistcli.cli.streams import ERRORS
from mnistcli.preset.loading import presets_folder
from tests.conftest import posix_only

COMMAND = [sys.executable, "-m", "mnistcli"]
ENCODINGS = ("ascii", "cp1252", "latin-1", "cp437", "koi8-r", "cp932")
QUICK = ("ascii", "cp437")
"""Encodings that the fast suite tries on everything."""
PACKAGE = Path(__file__).parents[2] / "mnistcli"


@pytest.fixture(scope="module")
def run(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: object) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert cli("train", tiny_preset, "--data", tiny_data, "--out", out, "-q").code == 0
    return next(out.iterdir())


@pytest.fixture(scope="module")
def picture(run: Path) -> Path:
    page = np.zeros((40, 40), np.uint8)
    page[8:32, 18:23] = 255
    path = run.parent / "één-壱.png"
    Image.fromarray(page).save(path)
    return path


def strings(tree: ast.AST) -> set[str]:
    """Return the constants of a module that are not docstrings."""
    documentation = {
        id(node.value) for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }  # fmt: skip
    return {
        node.value for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and id(node) not in documentation
    }  # fmt: skip


def test_everything_that_is_said_has_an_ascii_spelling(cli: Callable) -> None:
    said = {
        text
        for path in PACKAGE.rglob("*.py")
        for text in strings(ast.parse(path.read_text("utf-8")))
    }
    said |= {
        path.read_text("utf-8") for path in [*FOLDER.glob("*.md"), *presets_folder().glob("*.toml")]
    }
    characters = {c for text in said for c in text if not c.isascii() and c.isprintable()}
    assert {"→", "≥", "█", "×"} < characters
    for character in characters:
        assert "?" not in character.encode("ascii", ERRORS).decode(), character


@pytest.mark.parametrize(
    "encoding",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in ENCODINGS],
)
def test_tables_stay_in_line_in_any_encoding(
    cli: Callable, run: Path, picture: Path, tiny_data: Path, tiny_preset: Path, encoding: str
) -> None:
    for command in (
        ["summary", "journey-v2"], ["presets", "list"], ["guide", "presets"], ["guide"], ["--help"],
        ["train", "--help"], ["compare", "sprint", "sevenconv"], ["train", "--resume", run],
        ["evaluate", run, "--data", tiny_data, "--split", "train"], ["summary", tiny_preset],
        ["data", "show", "--data", tiny_data],
    ):  # fmt: skip
        wanted, answer = cli(*command), cli(*command, encoding=encoding)
        assert answer.code == wanted.code
        assert answer.out.count("?") == wanted.out.count("?"), answer.out
        lines, wanted_lines = answer.out.splitlines(), wanted.out.splitlines()
        assert len(lines) == len(wanted_lines)
        if command[0] in ("summary", "train", "compare"):
            for line, other in zip(lines, wanted_lines, strict=True):
                assert len(line) <= len(other) + other.count("…") * 2, line
    shown = cli("evaluate", run, "--images", picture, encoding=encoding).out
    assert "--------" in shown or "────" in shown


def test_json_is_utf_8_in_any_encoding(
    cli: Callable, run: Path, picture: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(tiny_preset.read_text().replace("for tests", "für 三 · € tests"), "utf-8")
    for command in (
        ["evaluate", run, "--images", picture, "--json"], ["summary", preset, "--json"],
        ["presets", "show", preset], ["presets", "show", preset, "--json"], ["presets", "schema"],
        ["train", preset, "--dry-run"], ["compare", run, "--json"], ["report", run, "--csv"],
        ["compare", "sprint", "--format", "markdown"], ["presets", "list", "--json"],
    ):  # fmt: skip
        own = cli(*command, encoding="latin-1").out.encode("latin-1")
        assert own.decode("utf-8") == cli(*command).out
    assert cli("presets", "show", preset).out == preset.read_text("utf-8")


def test_verdicts_stay_in_their_column(cli: Callable) -> None:
    changes = ("--set", "budget.max_parameters=9000", "--set", "budget.parameters_below=none")
    answer = cli("summary", "onebyone", *changes, encoding="ascii")
    (line,) = [line for line in answer.out.splitlines() if "<=9,000" in line]
    head = next(line for line in answer.out.splitlines() if line.startswith("budget"))
    assert line.index("FAIL") == head.index("verdict")


@given(st.text(), st.sampled_from(ENCODINGS))
def test_any_text_can_be_encoded(text: str, encoding: str) -> None:
    assert text.encode(encoding, ERRORS).decode(encoding).isascii() or not text.isascii()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_environment_does_not_change_json(run: Path, picture: Path, encoding: str) -> None:
    done = subprocess.run(
        [*COMMAND, "evaluate", run, "--images", picture, "--json"], capture_output=True, timeout=60,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["predictions"][0]["file"] == str(picture)


@posix_only
@pytest.mark.parametrize(
    ("ending", "code", "out", "err"),
    [
        (">&-", 4, "", "mnistcli: cannot write to stdout: it is closed\n"),
        ("2>&-", 0, "sprint", ""),
        ("2>/dev/full", 0, "sprint", ""),
        ("<&-", 0, "sprint", ""),
    ],
)
def test_closed_streams(ending: str, code: int, out: str, err: str) -> None:
    command = " ".join([*COMMAND, "presets", "list", ending])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, err)
    assert out in done.stdout


@pytest.mark.slow
@posix_only
def test_a_reader_of_progress_that_leaves_ends_no_training(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = [*COMMAND, "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs"]
    line = f"{' '.join(map(str, command))} --set train.epochs=9 2> >(head -1)"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done  # nine epochs are more than its budget allows
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 1
