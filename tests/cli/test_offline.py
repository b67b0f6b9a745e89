"""No command reaches for a network."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from mnistcli.cli.app import app

REFUSED: list[object] = []


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every address but those of this machine's own processes, and every name."""

    def refuse(connect: Callable) -> Callable:
        def attempt(self: socket.socket, *arguments: object) -> object:
            local = self.family == getattr(socket, "AF_UNIX", None)
            if not local and arguments[-1][0] not in {"127.0.0.1", "::1"}:  # type: ignore[index]
                REFUSED.append(arguments[-1])
                raise OSError("no network in this test")
            return connect(self, *arguments)

        return attempt

    def resolve(*arguments: object, **_: object) -> None:
        REFUSED.append(arguments)
        raise OSError("no names in this test")

    REFUSED.clear()
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse(getattr(socket.socket, name)))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def list_commands() -> set[str]:
    root = typer.main.get_command(app)
    return set(root.commands)  # type: ignore[attr-defined]


def test_the_refusal_works() -> None:
    with pytest.raises(OSError, match="no network"), socket.socket() as outside:
        outside.connect(("192.0.2.1", 80))
    with pytest.raises(OSError, match="no names"):
        socket.create_connection(("example.org", 80))
    assert len(REFUSED) == 2


@pytest.mark.parametrize("name", ["fashion", "usps"])
def test_a_data_set_that_must_be_downloaded_is_one_line(
    name: str, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path))
    answer = cli("train", "--dataset", name, "--out", tmp_path, "--quiet")
    assert answer.code == 4
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert f"cannot download {name}, " in answer.err
    assert "no names in this test" in answer.err
    assert REFUSED


@pytest.mark.slow
def test_every_command_works_without_a_network(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path, quick_speed: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mnistcli.experiment.label_check.MIN_STEPS", 2)
    data = ("--data", tiny_data, "--out", tmp_path, "-q")
    short = ("--set", "train.epochs=1")
    assert cli("train", tiny_preset, *data, *short).code == 0
    run = next(path for path in tmp_path.iterdir() if path.is_dir())
    coreset = ("--set", "coreset={size=200, selector={kind='random'}}")
    hardest = ("--set", "curriculum={kind='hardest'}")
    space = tmp_path / "space.toml"
    space.write_text(tiny_preset.read_text().replace("out_channels = 8", "out_channels = [4, 8]"))
    lines = {
        "summary": (tiny_preset,),
        "train": (tiny_preset, *data, *short),
        "coreset": (tiny_preset, *data, *coreset),
        "curriculum": (tiny_preset, *data, *short, *hardest),
        "study": (
            tiny_preset,
            *data,
            *short,
            "--arm",
            "a: train.epochs=2",
            "--seeds",
            "0",
            "--jobs",
            1,
        ),
        "search": ("--space", space, *data, "--trials", 1, "--jobs", 1),
        "evaluate": (run,),
        "compare": (run,),
        "grade": (tiny_preset, "--budget", "parameters<9", "--out", tmp_path / "grade", "-q"),
        "report": (run,),
        "export": (run, "--to", "c"),
        "guide": ("data",),
        "presets": ("list",),
        "runs": ("list", tmp_path),
        "data": ("show", "--labels", *data[:2], "-q"),
    }
    assert set(lines) == list_commands()
    for command, arguments in lines.items():
        answer = cli(command, *arguments)
        assert answer.code in {0, 3}, (command, answer.err)
    assert cli("train", tiny_preset, "--dataset", "mnist", "--dry-run").code == 0
    assert REFUSED == []
