"""Change a part of the code at one place at a time, and count the changes that its tests notice.

    python -m tests.mutants               list the parts
    python -m tests.mutants NAME FOLDER   test one in a copy of the project, which FOLDER keeps

FOLDER/NAME.json gets the counts. Those that no test notices are listed; where they are too many,
it ends with 1. Started again with the same FOLDER, it tests what is left. Uses mutmut
(`pip install mutmut`; not on Windows).
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COPIED = ("mnistcli", "presets", "tests", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml")
SURVIVED = (0, 5, 33)
"""Exit codes that mutmut keeps for mutants that no test noticed, or that no test reached."""
UNKNOWN = (None, 2)
"""What it keeps for mutants that were not tried, or whose tests were interrupted."""


@dataclass(frozen=True)
class Part:
    """A part of the code, its tests, and how many of its mutants they have to notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    must_notice: float
    without: tuple[str, ...] = ()
    """Tests that read the source, which is not the same with all mutants in it."""


NETWORK = "mnistcli/engine/network/"
PARTS = {
    "budget": Part(("mnistcli/verdict/budget.py",), ("tests/verdict/test_budget.py",), 0.9),
    "verdict": Part(("mnistcli/verdict/*",), ("tests/verdict",), 0.9),
    "records": Part(
        ("mnistcli/records/*",),
        ("tests/records",),
        0.9,
        ("tests/records/test_files.py::test_only_the_file_layer_changes_files_of_runs",),
    ),
    "preset": Part(("mnistcli/preset/*",), ("tests/preset",), 0.8),
    "integers": Part(
        (
            "mnistcli/export/integer.py",
            *(f"{NETWORK}{name}.py" for name in ("calibrate", "fold", "levels", "plan", "quantize",
                                                 "simulate", "stages")),
        ),
        ("tests/export/test_integer.py", "tests/engine/network"),
        0.8,
    ),
}  # fmt: skip


def test_part(name: str, folder: Path) -> int:
    """Test a part, write its counts, list what was not noticed; return the exit code."""
    part = PARTS[name]
    copy = folder / name
    copy_project(copy, part)
    with (folder / f"{name}.log").open("w") as log:
        run = subprocess.run(
            [sys.executable, "-m", "mutmut", "run"], cwd=copy, stdout=log, stderr=log, check=False
        )
    codes = read_codes(copy)
    left = sum(code in UNKNOWN for code in codes.values())
    if not codes or left:
        print(f"{left} of {len(codes)} were not tried (exit code {run.returncode}); see {log.name}")
        return 1
    survivors = sorted(mutant for mutant, code in codes.items() if code in SURVIVED)
    caught = len(codes) - len(survivors)
    counts = {"mutants": len(codes), "noticed": caught}
    (folder / f"{name}.json").write_text(json.dumps(counts, indent=1) + "\n")
    print("\n".join(survivors))
    print(f"{name}: {caught} of {len(codes)} noticed ({caught / len(codes):.1%})")
    return int(caught < part.must_notice * len(codes))


def copy_project(copy: Path, part: Part) -> None:
    """Copy the project, with mutmut's settings for the part; what mutmut kept there stays."""
    copy.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, copy / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    deselected = [f"--deselect={test}" for test in part.without]
    settings = {
        "source_paths": ["mnistcli"],
        "only_mutate": list(part.modules),
        "also_copy": [name for name in COPIED if name != "mnistcli"],
        "pytest_add_cli_args": ["-n", "0", "-p", "no:cacheprovider", *deselected],
        "pytest_add_cli_args_test_selection": list(part.tests),
    }
    with (copy / "pyproject.toml").open("a") as project:
        project.write("\n[tool.mutmut]\n")
        # A list of strings is written alike in JSON and TOML.
        project.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def read_codes(copy: Path) -> dict[str, int | None]:
    """Return the exit code of the tests by mutant; None where they have not run."""
    codes: dict[str, int | None] = {}
    for path in (copy / "mutants").rglob("*.meta"):
        codes |= json.loads(path.read_text())["exit_code_by_key"]
    return codes


def main() -> None:
    """Run the command line described above."""
    match sys.argv[1:]:
        case []:
            print("\n".join(PARTS))
        case [name, folder] if name in PARTS:
            sys.exit(test_part(name, Path(folder).resolve()))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
