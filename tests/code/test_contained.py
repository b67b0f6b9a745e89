"""The user's code fails, exits, prints and meddles: one line with its own file, and exit code 2."""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnistcli.engine.network.contain import contain
from mnistcli.preset.code.code import read_code
from tests.code.sources import IMPORTS, PLAIN, line_of, network
from tests.conftest import posix_only

FAILING = {
    "raises at import": network("raise ValueError('here')"),
    "raises in the constructor": network(init="raise ValueError('here')"),
    "raises in forward": network(forward="raise ValueError('here')"),
    "raises in training mode": network(forward="assert not self.training, 'here'"),
    "raises for one image": network(forward="assert len(images) > 1, 'here'"),
    "raises in backward": network(
        forward="images.requires_grad_().register_hook(lambda g: g.here)"
    ),
    "exits at import": network("import sys; sys.exit(0)  # here"),
    "exits in forward": network(forward="raise SystemExit('here')"),
    "interrupts itself": network("raise KeyboardInterrupt('here')"),
    "interrupts itself in forward": network(forward="raise KeyboardInterrupt('here')"),
    "raises what is no Exception": network("raise GeneratorExit('here')"),
    "reads a missing file": network("open('here.txt')"),
    "recurses": network(forward="return self.forward(images)  # here"),
    "trains at import": network(
        last="optimizer = torch.optim.SGD(Net().parameters())\noptimizer.step()  # here"
    ),
    "overrides the state": network(
        last="    def state_dict(self, *_, **__):\n        raise ValueError('here')"
    ),
    "an error that cannot be told": network(
        last="class Mute(Exception):\n    def __str__(self): return 1\nraise Mute  # here"
    ),
    "imports what is not there": network("import nowhere_to_be_found  # here"),
}
SETTINGS = {
    "torch.set_default_dtype": "torch.set_default_dtype(torch.float64)",
    "torch.set_default_device": "torch.set_default_device('meta')",
    "torch.set_grad_enabled": "torch.set_grad_enabled(False)",
    "torch.set_num_threads": "torch.set_num_threads(3)",
    "torch.use_deterministic_algorithms": "torch.use_deterministic_algorithms(True)",
    "torch.set_float32_matmul_precision": "torch.set_float32_matmul_precision('medium')",
    "torch.autograd.set_detect_anomaly": "torch.autograd.set_detect_anomaly(True)",
    "os.chdir": "from os import chdir; chdir('/')",
}


@pytest.fixture
def summary(cli: Callable, tmp_path: Path) -> Callable:
    def run(source: str, *options: object) -> object:
        (tmp_path / "net.py").write_text(source)
        return cli("summary", "net.py:Net", *options)

    return run


@pytest.mark.parametrize("name", FAILING)
def test_a_failure_is_one_line_with_the_users_own_file(summary: Callable, name: str) -> None:
    source = FAILING[name]
    answer = summary(source, "--json")
    assert (answer.code, answer.out) == (2, "")
    line = 1 if name == "overrides the state" else line_of(source, "here")
    line = line_of(source, "raise ValueError") if name == "overrides the state" else line
    assert answer.err.startswith(f"mnistcli: net.py:{line}: "), answer.err
    assert answer.err.endswith(". Use --traceback for more.\n")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("setter", SETTINGS)
@pytest.mark.parametrize("place", ["first", "forward"])
def test_a_setting_of_the_whole_program_is_refused_and_restored(
    summary: Callable, setter: str, place: str
) -> None:
    call = SETTINGS[setter]
    source = network(f"import torch; {call}") if place == "first" else network(forward=call)
    threads, folder = torch.get_num_threads(), os.getcwd()
    answer = summary(source)
    line = line_of(source, call)
    assert answer.code == 2
    assert answer.err == (
        f"mnistcli: net.py:{line}: {setter} changes a setting of the whole program. "
        "Remove the call.\n"
    )
    assert (torch.get_num_threads(), os.getcwd()) == (threads, folder)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_code_sets_in_the_process_is_set_back(summary: Callable) -> None:
    meddling = """\
import builtins, signal, sys, warnings
signal.signal(signal.SIGTERM, signal.SIG_IGN)
warnings.simplefilter("error")
sys.setrecursionlimit(5_000)
sys.argv = ["no"]
sys.path = ["nowhere"]
sys.meta_path = [*sys.meta_path]
builtins.len = lambda _: 1
builtins.open = None
"""
    kept = (sys.argv, sys.path, sys.meta_path, list(sys.meta_path), sys.getrecursionlimit())
    filters, opener, handler = [*warnings.filters], open, signal.getsignal(signal.SIGTERM)
    answer = summary(network(meddling), "--json")
    assert answer.code == 0, answer.err
    assert kept[:2] == (sys.argv, sys.path)
    assert sys.meta_path is kept[2]
    assert [*sys.meta_path] == kept[3]
    assert sys.getrecursionlimit() == kept[4]
    assert [*warnings.filters] == filters
    assert (open, len([1, 2])) == (opener, 2)
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.parametrize(
    "first",
    [
        "import sys; sys.stdout.close()",
        "import sys; sys.stderr.close()",
        "import sys; sys.stdout = None",
        "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "import sys; sys.stdout.reconfigure(encoding='utf-8')",
        "import sys; sys.stdout.buffer.write(b'said'); sys.stdout.flush(); sys.stdout.isatty()",
    ],
)
def test_no_stream_is_closed(summary: Callable, first: str) -> None:
    answer = summary(network(first), "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["parameters"] == 7850
    assert answer.err == ("said" if "said" in first else "")


def test_what_code_prints_goes_to_stderr(summary: Callable) -> None:
    source = network("print('at import')", init="print('made')", forward="print('forward')")
    answer = summary(source, "--json")
    assert json.loads(answer.out)["parameters"] == 7850
    assert set(answer.err.splitlines()) == {"at import", "made", "forward"}


@posix_only
def test_what_other_programs_print_goes_to_stderr(
    summary: Callable, capfd: pytest.CaptureFixture
) -> None:
    summary(network("import os; os.system('echo from a program')"), "--json")
    found = capfd.readouterr()
    assert found.out == ""
    assert found.err == "from a program\n"


def test_code_sees_no_arguments_of_the_command(summary: Callable) -> None:
    source = network(
        "import argparse, sys\nargparse.ArgumentParser().parse_args()\nassert len(sys.argv) == 1",
        forward="argparse.ArgumentParser().parse_args()",
    )
    assert summary(source, "--json").code == 0


def test_required_arguments_are_one_line_after_their_usage(summary: Callable) -> None:
    parser = "argparse.ArgumentParser(); p.add_argument('--rate', required=True); p.parse_args()"
    answer = summary(network(f"import argparse; p = {parser}"))
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        "mnistcli: net.py:1: it calls sys.exit(2). Use --traceback for more."
    )


def test_a_long_message_is_cut(summary: Callable) -> None:
    answer = summary(network("raise ValueError('word ' * 100_000)"))
    assert answer.code == 2
    assert len(answer.err) < 500
    assert "word …. Use --traceback" in answer.err


def test_a_traceback_is_shown_on_request(summary: Callable) -> None:
    answer = summary(network("raise ValueError('here')"), "--traceback")
    assert answer.code == 2
    assert "raise ValueError('here')\n" in answer.err
    assert answer.err.splitlines()[-1].startswith("mnistcli: net.py:1: ValueError: here")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        (
            "net.py:Net",
            IMPORTS + "def Net(): pass",
            "net.py:3: Net returns NoneType, not an nn.Mod",
        ),
        ("net.py:Nett", PLAIN, '"net.py" defines no class or function Nett. Did you mean "Net"?'),
        ("net.py:VALUE", PLAIN + "VALUE = 3", '"net.py" defines no class or function VALUE. Cho'),
        ("net.py:MODEL", PLAIN + "MODEL = Net()", "net.py:12: MODEL is a network that was made at"),
        (
            "net.py:make",
            PLAIN + "MODEL = Net()\ndef make(): return MODEL",
            "net.py:13: make returns the same network twice. Return a new one at every call.",
        ),
        ("net.py:Net", PLAIN.replace("(self)", "(self, k)"), "net.py:3: TypeError: Net.__init__()"),
        ("net.py", IMPORTS, '"net.py" defines no class that derives from nn.Module. Name a func'),
        ("net.py", PLAIN + "class Other(Net): pass", '"net.py" defines Net, Other. Name one: net'),
        ("net.py:a b", PLAIN, 'invalid network "net.py:a b": "a b" is not a name of Python'),
        ("gone.py:Net", PLAIN, 'cannot read "gone.py": No such file or directory'),
        ("net.py:Net", "import torch\nclass Net(:\n", "net.py:2: invalid syntax"),
        ("net.py:Net", "x = 1\0", "net.py:1: source code string cannot contain null bytes"),
        (
            "net.py:make",
            PLAIN + "def make(): return Net().to('meta')",
            'net.py:12: make has parameters without values, on the device "meta"',
        ),
    ],
)
def test_what_is_no_network_is_one_line(
    cli: Callable, tmp_path: Path, name: str, source: str, message: str
) -> None:
    (tmp_path / "net.py").write_text(source)
    answer = cli("summary", name)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    "last",
    [
        "Other = lambda: Net()",
        "import functools\nOther = functools.partial(Net)",
        "def Other(*, layers=3, **others): return Net()",
        "class Other(Net):\n    @staticmethod\n    def make(): return Other()",
        "class Maker:\n    def __call__(self): return Net()\nOther = Maker()",
    ],
)
def test_whatever_returns_a_network_may_be_named(cli: Callable, tmp_path: Path, last: str) -> None:
    (tmp_path / "net.py").write_text(PLAIN + last)
    answer = cli("summary", "net.py:Other", "--json")
    assert json.loads(answer.out)["parameters"] == 7850, answer.err


ORDINARY = {
    "dataclasses and annotations": network(
        "from __future__ import annotations\nimport dataclasses, functools, typing",
        init="self.config = Config()",
        last="@dataclasses.dataclass\nclass Config:\n    width: int = 3\n"
        "assert typing.get_type_hints(Config) == {'width': int}\n"
        "@functools.cache\ndef cached(): return 1\ncached()",
    ),
    "its own source": network(last="import inspect\nassert 'flatten' in inspect.getsource(Net)"),
    "a part for running as a script": network(last="if __name__ == '__main__': raise ValueError"),
    "its own file": network(
        "import pathlib; assert 'pathlib' in pathlib.Path(__file__).read_text()"
    ),
    "a byte-order mark and CRLF": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "changes its input": network(forward="images.sub_(0.1).div_(0.3)"),
    "an escape that Python warns of": network("import torch  # x = '\\d'"),
    "a module that is optional": network(
        "import importlib.util\nassert importlib.util.find_spec('nowhere_to_be_found') is None\n"
        "try: import nowhere_to_be_found\nexcept ImportError: pass"
    ),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_code_just_runs(cli: Callable, tmp_path: Path, name: str) -> None:
    (tmp_path / "net.py").write_bytes(ORDINARY[name].encode())
    answer = cli("summary", "net.py", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["parameters"] == 7850
    assert answer.err == ""


def test_code_in_another_encoding_runs_if_it_says_so(cli: Callable, tmp_path: Path) -> None:
    text = f"# coding: latin-1\nNAME = 'é'\nassert len(NAME) == 1\n{PLAIN}"
    (tmp_path / "net.py").write_bytes(text.encode("latin-1"))
    assert cli("summary", "net.py").code == 0
    (tmp_path / "net.py").write_bytes(text.replace("# coding: latin-1", "").encode("latin-1"))
    answer = cli("summary", "net.py")
    assert answer.code == 2
    assert answer.err.startswith("mnistcli: net.py:")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ["my net.py", "nét.py", "2.net-v3.py", "torch.py", "json.py"])
def test_a_file_may_have_any_name(cli: Callable, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("import json, torch\nassert json.loads('1') == 1\n" + PLAIN)
    answer = cli("summary", f"{name}:Net", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["parameters"] == 7850


@posix_only
@pytest.mark.parametrize("name", ["a:b.py", "a\\b.py", "a\nb.py", "a\x1b[31m.py"])
def test_a_name_that_no_record_can_hold_is_one_line(
    cli: Callable, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(PLAIN)
    answer = cli("summary", name)
    assert (answer.code, answer.out) == (2, "")
    assert "its name has a colon, a backslash or a character that is not printable" in answer.err
    assert answer.err.count("\n") == 1
    assert "\x1b" not in answer.err


BOMBS = {
    "parentheses": "(" * 100_000,
    "signs": f"x = {'-' * 400_000}1",
    "sums": f"x = {'1+' * 300_000}1",
    "calls": f"f{'()' * 200_000}",
    "digits": f"x = {'1' * 10_000}",
    "branches": "if 1: pass\n" + "elif 1: pass\n" * 60_000,
    "bytes": bytes(range(256)).decode("latin-1") * 50,
    "an encoding": "# coding: undefined\nx = 1\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_makes_the_parser_fail_otherwise(cli: Callable, tmp_path: Path, name: str) -> None:
    """It is read before it is trusted."""
    (tmp_path / "net.py").write_bytes(BOMBS[name].encode("latin-1"))
    answer = cli("summary", "net.py")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(("mnistcli: net.py:", 'mnistcli: "net.py" is not Python code: '))
    assert answer.err.count("\n") == 1


def test_as_many_branches_as_the_parser_takes_are_followed(cli: Callable, tmp_path: Path) -> None:
    branches = "if 0: pass\n" + "elif 0: pass\n" * 1_500
    (tmp_path / "net.py").write_text(branches)
    answer = cli("summary", "net.py")
    assert (answer.code, answer.out) == (2, "")
    assert "defines no class that derives from nn.Module" in answer.err


LATE = {
    "raises": "raise ValueError('late')",
    "exits": "raise SystemExit('late')",
    "interrupts itself": "raise KeyboardInterrupt('late')",
    "returns nothing": "return  # late",
    "changes a setting": "torch.set_default_dtype(torch.float64)  # late",
}


@pytest.mark.parametrize("name", LATE)
def test_code_that_fails_only_in_the_training_is_one_line(
    cli: Callable, tmp_path: Path, tiny_data: Path, name: str
) -> None:
    late = f"if counter['calls'] > 30:\n            {LATE[name]}"
    source = network("counter = {'calls': 0}", forward=f"counter['calls'] += 1\n        {late}")
    (tmp_path / "net.py").write_text(source)
    answer = cli("train", "net.py", "--data", tiny_data, "--set", "train.epochs=9", "--json", "-q")
    torch.set_default_dtype(torch.float32)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mnistcli: net.py:")
    assert answer.err.count("\n") == 1
    assert "internal fault" not in answer.err
    if name in ("raises", "exits", "interrupts itself"):
        assert answer.err.startswith(f"mnistcli: net.py:{line_of(source, 'late')}: ")


def test_what_is_printed_in_the_training_goes_to_stderr(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    source = network(
        forward="import argparse; argparse.ArgumentParser().parse_args(); print('spoke')"
    )
    (tmp_path / "net.py").write_text(source)
    answer = cli(
        "train", "net.py", "--data", tiny_data, "--set", "train.epochs=1", "--json", "--no-fail",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["epochs"][0]["train_loss"] > 0
    assert answer.err.count("spoke") > 5


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize(
    "options",
    [
        ("evaluate", "RUN", "--robustness"),
        ("evaluate", "RUN", "RUN2"),
        ("evaluate", "RUN", "--images", "digit.png"),
        ("evaluate", "net.py", "--weights", "RUN/weights.safetensors"),
        ("report", "RUN"),
        ("runs", "check", "RUN"),
        ("train", "--from", "RUN"),
        ("summary", "net.py"),
    ],
    ids=lambda options: " ".join(options),
)
def test_whatever_a_command_does_with_a_run_its_code_does_not_reach_stdout(
    cli: Callable,
    tmp_path: Path,
    tiny_data: Path,
    quick_speed: None,
    capfd: pytest.CaptureFixture,
    options: tuple,
) -> None:
    (tmp_path / "net.py").write_text(
        network("import os", forward="print('spoke'); os.write(1, b'wrote')")
    )
    one = np.zeros((28, 28), dtype=np.uint8)
    one[6:22, 12:16] = 255
    Image.fromarray(one).save("digit.png")
    coreset = ("--set", "coreset={size=100, selector={kind='random'}}")
    for name in ("RUN", "RUN2"):
        answer = cli(
            "train", "net.py", "--data", tiny_data, "--set", "train.epochs=1", "--out", name, "-q",
            "--no-fail", *coreset,
        )  # fmt: skip
        assert answer.code == 0, answer.err
    runs = {name: str(next((tmp_path / name).iterdir())) for name in ("RUN2", "RUN")}
    words = [runs.get(word) or word.replace("RUN/", f"{runs['RUN']}/") for word in options]
    answer = cli(*words, "--json")
    assert answer.code == 0, answer.err
    json.loads(answer.out)
    assert "spoke" in answer.err
    assert "wrote" not in capfd.readouterr().out


def test_a_batch_that_fails_alone_is_found_before_the_training(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    """600 images in batches of 64 leave 24."""
    (tmp_path / "net.py").write_text(network(forward="assert len(images) != 24, 'late'"))
    options = (
        "-q",
        "--data",
        tiny_data,
        "--set",
        "train.batch_size=64",
        "--out",
        tmp_path / "runs",
    )
    answer = cli("train", "net.py", *options)
    assert answer.code == 2
    assert answer.err.startswith("mnistcli: net.py:11: AssertionError: late")
    assert not (tmp_path / "runs").exists()


def test_a_seed_set_at_import_is_no_seed_of_the_weights(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    (tmp_path / "net.py").write_text(network("import torch; torch.manual_seed(1)"))
    weights = set()
    for seed in (0, 1, 0):
        answer = cli(
            "train", "net.py", "--data", tiny_data, "--seed", seed, "--json", "--no-fail", "-q",
            "--set", "train.epochs=1", "--set", "augment=[]",
        )  # fmt: skip
        weights.add(json.loads(answer.out)["weights_sha256"])
    assert len(weights) == 2


def test_copies_that_a_moving_average_cannot_make_are_one_line(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    (tmp_path / "net.py").write_text(
        network("import threading", init="self.lock = threading.Lock()")
    )
    answer = cli("train", "net.py", "--data", tiny_data, "--set", "train.ema_decay=0.9", "-q")
    assert answer.code == 2
    assert answer.err == (
        "mnistcli: train.ema_decay: the network cannot be copied: cannot pickle '_thread.lock' "
        "object. Set train.ema_decay=none.\n"
    )


def test_too_little_memory_is_no_fault_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PLAIN)
    code = read_code(tmp_path, "net.py:Net", {})
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(type(error)), contain(code):
            raise error
