import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mnistcli"

# Each wing may import itself and those named here.
BASE = {"preset", "errors", "process"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "process": set(),
    "preset": {"errors", "process"},
    "datasets": BASE,
    "records": {*BASE, "datasets"},
    "engine": {*BASE, "datasets"},
    "selection": {*BASE, "datasets", "engine", "records"},
    "verdict": {*BASE, "datasets", "records"},
    "display": {*BASE, "datasets", "records", "verdict"},
    "experiment": {*BASE, "datasets", "engine", "records", "selection", "verdict"},
    "cli": {*BASE, "datasets", "engine", "records", "verdict", "experiment", "display"},
    "__main__": {"cli"},
    "__init__": set(),
}
EXCEPTIONS = {
    ("display/progress.py", "mnistcli.engine.events"),
    ("display/batch.py", "mnistcli.engine.events"),
    ("display/bars.py", "mnistcli.engine.events"),
    ("display/lines.py", "mnistcli.engine.events"),
    ("display/live.py", "mnistcli.engine.events"),
    ("display/live_budget.py", "mnistcli.engine.events"),
}
TORCH_FREE = (
    "preset",
    "verdict",
    "display",
    "cli",
    "records/documents.py",
    "records/files.py",
    "records/folders.py",
    "records/log.py",
    "records/store.py",
)
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    wing = place.parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "mnistcli" or len(parts) == 1 or (str(place), name) in EXCEPTIONS:
            continue
        assert parts[1] == wing or parts[1] in ALLOWED[wing], f"{place} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_needs_no_torch_does_not_import_it(path: Path) -> None:
    if str(path.relative_to(PACKAGE)).startswith(TORCH_FREE):
        assert not {name for name in imports(path) if name.split(".")[0] == "torch"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["presets", "list"],
        ["presets", "show", "sprint"],
        ["train", "--dry-run"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom mnistcli.cli.app import main\n"
        f"sys.argv = ['mnistcli', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as ending:\n    assert not ending.code, ending.code\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'numpy'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_no_wing_grows_a_module_of_more_than_300_lines() -> None:
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > 300}
    assert not long
