"""`presets new FILE.toml --from FILE.py:NAME`."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.code.sources import PLAIN

SOURCE = PLAIN.replace("(self)", "(self, factor=1, name='x')", 1)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(tmp_path / "allowed.txt"))
    (tmp_path / "parts").mkdir()
    for folder in (tmp_path, tmp_path / "parts"):
        (folder / "net.py").write_text(SOURCE)


def test_it_says_all_that_the_command_line_said(cli: Callable) -> None:
    options = (
        "--budget", "parameters<20000, accuracy>=99.4, epochs<20", "--recipe", "onebyone",
        "--set", "model.arguments.factor=3", "--set", 'model.arguments.name=a "b" é\\', "--set",
        "title=It's \"mine\"",
    )  # fmt: skip
    answer = cli("presets", "new", "mine.toml", "--from", "net.py:Net", *options)
    assert (answer.code, answer.out) == (0, "mine.toml\n")
    text = Path("mine.toml").read_text()
    assert text.endswith("\n")
    assert tomllib.loads(text)["title"] == 'It\'s "mine"'
    named, written = (
        json.loads(cli("train", *words, "--dry-run").out)["preset"]
        for words in (("net.py:Net", *options), ("mine.toml",))
    )
    assert named.pop("name") == "net.Net"
    assert written.pop("name") == "mine"
    assert written == named
    assert cli("train", "mine.toml", "--dry-run").err == ""
    assert cli("summary", "mine.toml").code == 0


def test_code_in_a_folder_below_is_named_by_its_path(cli: Callable) -> None:
    assert cli("presets", "new", "mine.toml", "--from", "parts/net.py").code == 0
    assert 'python = "parts/net.py:Net"' in Path("mine.toml").read_text()
    assert cli("summary", "mine.toml").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("mine.toml", "--from", "net.py"), 4, 'cannot write "mine.toml": the file exists'),
        (("parts/up.toml", "--from", "net.py"), 2, '"parts/up.toml" cannot name net.py:Net: a pre'),
        (("parts", "--from", "net.py"), 2, '"parts" is not the name of a preset. Let it end in .t'),
        (("new.json", "--from", "net.py"), 2, '"new.json" is not the name of a preset'),
        (("new.toml", "--from", "sprint"), 2, '"sprint" does not name Python code. Use FILE.py:NA'),
        (("new.toml", "--from", "gone.py"), 2, 'cannot read "gone.py": No such file'),
        (("new.toml", "--from", "net.py", "--recipe", "sprnt"), 2, 'unknown preset: "sprnt". Did'),
        (("new.toml", "--from", "net.py", "--budget", "size<1"), 2, "size"),
        (("new.toml", "--from", "net.py", "--set", "model.arguments.k=inf"), 2, "inf and nan are"),
        (("new.toml", "--from", "net.py", "--set", "model.arguments=3"), 2, "should be an object"),
    ],
)
def test_a_mistake_is_one_line(cli: Callable, words: tuple, code: int, message: str) -> None:
    Path("mine.toml").write_text("")
    answer = cli("presets", "new", *words)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("new.toml").exists()


def test_arguments_are_given_to_the_network(cli: Callable) -> None:
    source = SOURCE.replace("pass\n", "assert (factor, name) == (2, [1, {'a': None}]), name\n", 1)
    Path("net.py").write_text(source)
    answer = cli(
        "summary", "net.py", "--set", "model.arguments.factor=2", "--set",
        'model.arguments.name=[1, {"a": null}]', "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert cli("summary", "net.py", "--set", "model.arguments.factor=2.5").code == 2
    answer = cli("summary", "net.py", "--set", "model.arguments.other=1")
    assert answer.code == 2
    assert "TypeError: Net.__init__() got an unexpected keyword argument 'other'" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("presets", "validate", "net.py:Net"),
        ("presets", "show", "parts/net.py"),
        ("presets", "copy", "net.py", "new.toml"),
        ("compare", "net.py:Net"),
        ("summary", "net.py", "--recipe", "net.py:Net"),
    ],
)
def test_code_where_a_preset_is_needed_is_one_line_that_helps(cli: Callable, words: tuple) -> None:
    answer = cli(*words)
    assert (answer.code, answer.out) == (2, "")
    assert (
        " is Python code, not a preset. Write a preset for it with: mnistcli presets" in answer.err
    )
    assert answer.err.count("\n") == 1


def test_an_argument_can_be_removed(cli: Callable) -> None:
    options = ("--set", "model.arguments.factor=3", "--set", "model.arguments.factor=none")
    assert cli("presets", "new", "mine.toml", "--from", "net.py:Net", *options).code == 0
    assert "factor" not in Path("mine.toml").read_text()


def test_a_budget_of_any_number_of_epochs_is_one(cli: Callable) -> None:
    answer = cli("train", "net.py:Net", "--budget", "epochs<=200000", "--dry-run")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["preset"]["train"]["epochs"] == 100_000
