"""What the guide of networks says, done."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mnistcli.cli.guide import read_guide
from mnistcli.engine.network.own import build_own
from mnistcli.engine.network.trace import PARAMETER_LIMIT
from mnistcli.preset.code.code import read_code
from mnistcli.preset.code.sources import FILES_LIMIT, SIZE_LIMIT
from mnistcli.preset.code.trust import allowed_file
from tests.code.sources import network

GUIDE = read_guide("networks")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def example(tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MNISTCLI_DATA", str(tiny_data))
    (tmp_path / "net.py").write_text(EXAMPLE)
    module = build_own(read_code(tmp_path, "net.py", {}).trust(is_named=True), 0)
    torch.save(module.state_dict(), "net.pth")
    return tmp_path


@pytest.mark.slow
def test_the_commands_work_one_after_the_other(cli: Callable, example: Path) -> None:
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        answer = cli(*shlex.split(command)[1:])
        assert answer.code in (0, 3), (command, answer.err)  # on a few images only
        assert answer.out


def test_the_epochs_come_from_the_budget(cli: Callable, example: Path) -> None:
    def epochs(*options: str) -> int:
        answer = cli("train", "net.py", "--dry-run", *options)
        return json.loads(answer.out)["preset"]["train"]["epochs"]

    assert epochs("--budget", "epochs<20") == 19
    assert epochs("--budget", "epochs<=20") == 20
    assert epochs("--budget", "epochs<20", "--recipe", "sprint") == 4
    assert epochs("--budget", "epochs<20", "--set", "train.epochs=3") == 3


def test_the_example_fits_its_budget(cli: Callable, example: Path) -> None:
    answer = cli("summary", "net.py", "--budget", "parameters<20000", "--json")
    assert json.loads(answer.out)["passed"] is True


def build(folder: Path, source: str, seed: int) -> torch.Tensor:
    (folder / "net.py").write_text(source)
    code = read_code(folder, "net.py", {}).trust(is_named=True)
    return build_own(code, seed).state_dict()["layer.weight"]


@pytest.mark.parametrize(
    "init",
    [
        "self.start = torch.rand(1)",
        "import random; self.start = random.random()",
        "import numpy; self.start = float(numpy.random.rand())",
    ],
)
def test_random_numbers_of_all_kinds_follow_the_seed(tmp_path: Path, init: str) -> None:
    last = "        nn.init.constant_(self.layer.weight, float(self.start))"
    source = network(init=init).replace("10)\n", f"10)\n{last}\n", 1)
    first, again, other = (build(tmp_path, source, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_seed_in_the_constructor_is_the_same_for_all_seeds(tmp_path: Path) -> None:
    for first, init, is_same in (
        ("import torch; torch.manual_seed(1)", "pass", False),
        ("", "torch.manual_seed(1)", True),
    ):
        source = network(first, init=init)
        weights = [build(tmp_path, source, seed) for seed in (1, 2)]
        assert torch.equal(*weights) == is_same


def test_limits_are_those_of_the_program() -> None:
    assert f"At most {PARAMETER_LIMIT:,} parameters" in GUIDE
    assert f"at most {SIZE_LIMIT >> 20} MiB and {FILES_LIMIT} files" in GUIDE


def test_the_list_is_where_the_guide_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNISTCLI_ALLOWED")
    assert allowed_file().name == "allowed-code.txt"
    assert allowed_file().parent.name == "mnistcli"


def test_a_file_that_is_removed_is_forgotten(cli: Callable, example: Path) -> None:
    assert cli("presets", "new", "mine.toml", "--from", "net.py").code == 0
    assert cli("summary", "mine.toml").code == 0
    allowed_file().unlink()
    assert "not run or allowed" in cli("summary", "mine.toml").err
