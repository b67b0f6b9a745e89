import ast
import graphlib
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
    "export": {*BASE, "datasets", "engine", "records"},
    "display": {*BASE, "datasets", "records", "verdict"},
    "experiment": {*BASE, "datasets", "engine", "records", "selection", "verdict", "export"},
    "search": {*BASE, "datasets", "engine", "records", "verdict", "experiment", "display"},
    "cli": {*BASE, "datasets", "engine", "records", "verdict", "experiment", "display", "search"},
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
    "records/inventory.py",
    "records/log.py",
    "records/removal.py",
    "records/store.py",
    "search/variation.py",
)
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {place: ast.parse(path.read_text(encoding="utf-8")) for place, path in FILES.items()}


def names_of(node: ast.AST) -> set[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} if isinstance(node, ast.ImportFrom) else set()


def imports(place: str) -> set[str]:
    return {name for node in ast.walk(TREES[place]) for name in names_of(node)}


def is_allowed(place: str, name: str) -> bool:
    """Return whether the module at `place` may import the module `name`."""
    top, *inner = name.split(".")
    wing = place.partition("/")[0].removesuffix(".py")
    if top != "mnistcli" or not inner or (place, name) in EXCEPTIONS:
        return True
    return inner[0] == wing or inner[0] in ALLOWED[wing]


def test_imports_go_one_way() -> None:
    used = [(place, name) for place in FILES for name in imports(place)]
    assert len(used) > 500, "no imports were found"
    assert not [f"{place} imports {name}" for place, name in used if not is_allowed(place, name)]
    assert set(used) >= EXCEPTIONS, "an exception that nobody needs"


def test_the_import_rule_has_no_circle() -> None:
    order = graphlib.TopologicalSorter(ALLOWED)
    assert set(order.static_order()) == {place.split("/")[0].removesuffix(".py") for place in FILES}


def test_torchvision_is_imported_for_downloads_alone() -> None:
    users = [place for place in FILES if not {"torchvision"}.isdisjoint(imports(place))]
    assert users == ["datasets/remote.py"]
    assert not [node for node in TREES[users[0]].body if "torchvision" in names_of(node)]


def test_what_needs_no_torch_does_not_import_it() -> None:
    free = [place for place in FILES if place.startswith(TORCH_FREE)]
    assert all(any(place.startswith(prefix) for place in free) for prefix in TORCH_FREE)
    assert not [
        place for place in free if any(name.split(".")[0] == "torch" for name in imports(place))
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["presets", "list"],
        ["presets", "show", "sprint"],
        ["train", "--dry-run"],
        ["guide"],
        ["guide", "presets"],
        ["runs", "list", "."],
        ["runs", "rm", "--help"],
        ["data", "show", "--help"],
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


def test_no_module_of_posix_alone_is_imported_at_once() -> None:
    posix = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert not [
        str(path.relative_to(ROOT))
        for path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if names_of(node) & posix
    ]


def test_no_module_has_more_than_300_lines() -> None:
    lines = {
        place: len(path.read_text(encoding="utf-8").splitlines()) for place, path in FILES.items()
    }
    assert not {place: count for place, count in lines.items() if count > 300}


def test_no_function_has_more_than_40_lines() -> None:
    """Of a command, whose parameters are its options, the body counts."""
    long = {}
    for place, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0].lineno if place.startswith("cli/") else node.lineno
                if (count := (node.end_lineno or 0) - first + 1) > 40:
                    long[f"{place}:{node.name}"] = count
    assert not long


def test_running_a_training_is_short_and_knows_little() -> None:
    tree = TREES["experiment/training/run.py"]
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert len(names) <= 25
    assert FILES["experiment/training/run.py"].read_bytes().count(b"\n") <= 120
