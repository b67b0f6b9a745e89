"""The parts that are tested by mutants exist, and so do their tests."""

import re
from fnmatch import filter as matching

from tests.mutants.__main__ import PARTS, ROOT


def test_every_part_has_modules_and_tests() -> None:
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "mnistcli").rglob("*.py")]
    for name, part in PARTS.items():
        for pattern in part.modules:
            assert matching(modules, pattern), f"{name}: no module is {pattern}"
        for test in part.tests:
            assert (ROOT / test).exists(), f"{name}: no tests in {test}"


def test_what_the_workflows_test_are_parts() -> None:
    nightly = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    for part in re.findall(r"part: \[(.*)\]", nightly)[0].split(", "):
        assert part in PARTS
    assert "python -m tests.mutants budget" in (ROOT / ".ci" / "run").read_text()
