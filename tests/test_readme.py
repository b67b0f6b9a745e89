import ast
import re
from pathlib import Path

import pytest

from mnistcli.preset.loading import list_presets

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "README.md").read_text())


def test_promises_name_their_tests() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: str(part))
def test_the_test_behind_a_promise_exists(file: str, name: str) -> None:
    functions = [
        node.name
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert functions.count(name) == 1


def test_every_preset_is_told_of() -> None:
    text = (ROOT / "README.md").read_text()
    told = set(re.findall(r"^\| (`[^|]*`) \|", text.partition("## Presets")[2], re.MULTILINE))
    names = {name for cell in told for name in re.findall(r"`([\w-]+)`", cell)}
    assert set(list_presets()) <= names
