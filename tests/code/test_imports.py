"""What a network may import: Python's modules, installed packages, and listed files beside it."""

import json
import os
import py_compile
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.engine.network.code import make_module
from mnistcli.errors import PresetError
from mnistcli.preset.code.code import read_code
from mnistcli.preset.code.sources import collect_sources
from tests.code.conftest import forget
from tests.code.sources import IMPORTS, NET, PLAIN, network, trap
from tests.conftest import posix_only

LAYER = f"{IMPORTS}def layer(): return nn.Linear(784, 10)\n"
USES = IMPORTS + NET.format(init="pass", forward="pass").replace("nn.Linear(784, 10)", "layer()")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


LAYOUTS = {
    "a file": {"net.py": f"from blocks import layer\n{USES}", "blocks.py": LAYER},
    "a file as a module": {
        "net.py": f"import blocks\nlayer = blocks.layer\n{USES}",
        "blocks.py": LAYER,
    },
    "everything of a file": {"net.py": f"from blocks import *\n{USES}", "blocks.py": LAYER},
    "relatively": {"net.py": f"from .blocks import layer\n{USES}", "blocks.py": LAYER},
    "from the folder": {
        "net.py": f"from . import blocks\nlayer = blocks.layer\n{USES}",
        "blocks.py": LAYER,
    },
    "a package": {
        "net.py": f"from blocks import layer\n{USES}",
        "blocks/__init__.py": "from .deep.linear import layer\n",
        "blocks/deep/__init__.py": "",
        "blocks/deep/linear.py": f"from ..other import NUMBER\n{LAYER}",
        "blocks/other.py": "NUMBER = 1\n",
    },
    "a folder without __init__": {
        "net.py": f"from blocks.linear import layer\n{USES}",
        "blocks/linear.py": f"import blocks.other\nassert blocks.other.NUMBER\n{LAYER}",
        "blocks/other.py": "NUMBER = 1\n",
    },
    "a package rather than a file": {
        "net.py": f"from blocks import layer\n{USES}",
        "blocks.py": "raise ValueError\n",
        "blocks/__init__.py": LAYER,
    },
    "a dotted module": {
        "net.py": f"import blocks.linear\nimport blocks.linear as other\n"
        f"assert other is blocks.linear\nlayer = blocks.linear.layer\n{USES}",
        "blocks/linear.py": LAYER,
    },
    "inside a function": {
        "net.py": USES.replace("self.layer =", "from blocks import layer; self.layer ="),
        "blocks.py": LAYER,
    },
    "only if it is there": {
        "net.py": "try:\n    from nowhere import layer\n"
        f"except ImportError:\n    from blocks import layer\n{USES}",
        "blocks.py": LAYER,
    },
    "each other": {
        "net.py": f"import blocks\nlayer = blocks.layer\n{USES}",
        "blocks.py": f"import net\n{LAYER}",
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_beside_the_network_are_imported_and_listed(
    cli: Callable, tmp_path: Path, name: str
) -> None:
    write(tmp_path, LAYOUTS[name])
    answer = cli("summary", "net.py:Net", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["parameters"] == 7850
    assert {*collect_sources(tmp_path, "net.py")} == {*LAYOUTS[name]}


SHADOWS = ("json", "torch", "numpy/__init__", "typing", "signal", "safetensors", "pickle")


def test_no_file_beside_the_network_is_an_installed_module(cli: Callable, tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.py": trap(tmp_path / "it-ran") for name in SHADOWS})
    imports = "import json, torch, numpy, typing, signal, safetensors, pickle\n"
    write(tmp_path, {"net.py": imports + PLAIN})
    assert cli("summary", "net.py").code == 0
    assert {*collect_sources(tmp_path, "net.py")} == {"net.py"}
    assert not (tmp_path / "it-ran").exists()


@posix_only
@pytest.mark.parametrize(
    "options",
    [
        ("summary", "net.py"),
        pytest.param(
            ("train", "net.py", "--seeds", "0-1", "--jobs", "2", "--no-fail", "--set",
             "train.epochs=1", "--set", "train.batch_size=600"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda options: options[0],
)  # fmt: skip
def test_no_file_in_the_current_folder_is_an_installed_module(
    tmp_path: Path, tiny_data: Path, options: tuple
) -> None:
    """Also not in the processes that train: they are started by `python -m`."""
    write(tmp_path, {f"{name}.py": trap(tmp_path / "it-ran") for name in (*SHADOWS, "joblib")})
    write(tmp_path, {"net.py": PLAIN})
    root = Path(__file__).parent.parent.parent
    environment = os.environ | {"MNISTCLI_DATA": str(tiny_data), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "mnistcli", *options],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "it-ran").exists()


def test_no_compiled_file_is_read_or_written(cli: Callable, tmp_path: Path) -> None:
    files = {"net.py": f"from blocks import layer\n{USES}", "blocks.py": LAYER}
    write(tmp_path, files | {"blocks.py": trap(tmp_path / "it-ran") + LAYER})
    compiled = tmp_path / "__pycache__" / f"blocks.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(
        str(tmp_path / "blocks.py"), str(compiled),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    write(tmp_path, files)
    before = compiled.read_bytes()
    assert cli("summary", "net.py").code == 0
    assert not (tmp_path / "it-ran").exists()
    assert [*compiled.parent.iterdir()] == [compiled]
    assert compiled.read_bytes() == before


def test_what_was_hashed_is_what_runs(tmp_path: Path) -> None:
    """Also where PyTorch compiles a function from its source."""
    good = "import inspect\n" + PLAIN.replace("pass\n", "assert 'good'\n", 1)
    write(tmp_path, {"net.py": f"from blocks import layer\n{good}", "blocks.py": LAYER})
    code = read_code(tmp_path, "net.py:Net", {}).trust(is_named=True)
    write(tmp_path, dict.fromkeys(("net.py", "blocks.py"), trap(tmp_path / "it-ran")))
    module = make_module(code)
    assert not (tmp_path / "it-ran").exists()
    import inspect

    assert "assert 'good'" in inspect.getsource(type(module))


DYNAMIC = {
    "importlib": "import importlib; importlib.import_module('helper')",
    "__import__": "__import__('helper')",
    "builtins": "import builtins; builtins.__import__('helper')",
    "importlib with sys.path": "import importlib, sys; sys.path.insert(0, sys.argv[0][:-7]); "
    "importlib.import_module('helper')",
    "another folder": "import sys; sys.path.insert(0, sys.argv[0][:-6] + 'other')\n"
    "import elsewhere",
    "a package elsewhere": "import sys; sys.path.insert(0, sys.argv[0][:-6] + 'other')\n"
    "import package.part",
    "a folder elsewhere": "import sys; sys.path.insert(0, sys.argv[0][:-6] + 'other')\n"
    "import folder.part",
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_file_that_was_not_listed_is_refused_with_its_name(
    cli: Callable, tmp_path: Path, name: str
) -> None:
    hidden = trap(tmp_path / "it-ran")
    places = ("helper", "other/elsewhere", "other/package/__init__", "other/folder/part")
    write(tmp_path, {f"{place}.py": hidden for place in places})
    write(tmp_path, {"net.py": f"{DYNAMIC[name]}\n{PLAIN}"})
    answer = cli("summary", "net.py")
    assert answer.code == 2, answer.err
    assert answer.err.startswith("mnistcli: net.py:")
    assert "is not among the files of the network. Put it beside the network" in answer.err
    assert answer.err.count("\n") == 1
    assert any(place in answer.err for place in ("helper.py", "elsewhere.py", "package", "folder"))
    assert not (tmp_path / "it-ran").exists()


def test_a_file_that_was_not_listed_is_refused_in_the_training_too(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    late = "calls.append(1)\n        if len(calls) > 30: __import__('helper')"
    write(tmp_path, {"net.py": network("calls = []", forward=late)})
    write(tmp_path, {"helper.py": trap(tmp_path / "it-ran")})
    answer = cli("train", "net.py", "--data", tiny_data, "--set", "train.epochs=9", "-q")
    assert answer.code == 2
    assert "ImportError: helper.py is not among the files of the network" in answer.err
    assert not (tmp_path / "it-ran").exists()


def test_a_listed_file_may_be_imported_in_the_training(
    cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    late = "calls.append(1)\n        if len(calls) > 30: from helper import NUMBER"
    write(tmp_path, {"net.py": network("calls = []", forward=late), "helper.py": "NUMBER = 1\n"})
    answer = cli(
        "train", "net.py", "--data", tiny_data, "--set", "train.epochs=9", "-q", "--no-fail"
    )
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("in_path", [False, True])
def test_files_are_listed_also_where_python_would_search_for_them(
    cli: Callable, tmp_path: Path, in_path: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PYTHONPATH they would otherwise pass for installed, and neither be hashed nor kept."""
    from mnistcli.preset.code import sources

    (tmp_path / "src").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "src")
    write(tmp_path / "src", {"net.py": f"from blocks import layer\n{USES}", "blocks.py": LAYER})
    caches = (sources.search_path, sources.is_installed, sources._search_path_without)
    for each in caches:
        each.cache_clear()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "link")] if in_path else sys.path)
    assert {*collect_sources(tmp_path / "src", "net.py")} == {"net.py", "blocks.py"}
    assert cli("summary", "src/net.py").code == 0
    for each in caches:
        each.cache_clear()


def test_networks_with_files_of_the_same_names_do_not_meet(
    cli: Callable, tmp_path: Path, tiny_data: Path, quick_speed: None
) -> None:
    runs = []
    for name, count in (("first", 1), ("second", 2)):
        layers = f"from torch import nn\ndef layer(): return nn.Sequential({'nn.Identity(), ' * count}nn.Linear(784, 10))\n"  # noqa: E501
        write(tmp_path / name, {"net.py": f"from blocks import layer\n{USES}", "blocks.py": layers})
        answer = cli(
            "train", f"{name}/net.py", "--data", tiny_data, "--set", "train.epochs=1", "--json",
            "-q", "--no-fail", "--out", name,
        )  # fmt: skip
        runs.append(json.loads(answer.out))
    forget()
    answer = cli("evaluate", *(run["path"] for run in runs), "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert [each["accuracy"] for each in found["runs"]] == [run["test"]["accuracy"] for run in runs]


@posix_only
def test_links_out_of_the_folder_are_refused(cli: Callable, tmp_path: Path) -> None:
    write(tmp_path, {"mine/net.py": f"from blocks import layer\n{USES}", "blocks.py": LAYER})
    (tmp_path / "mine" / "blocks.py").symlink_to(tmp_path / "blocks.py")
    answer = cli("summary", "mine/net.py")
    assert answer.code == 2
    assert answer.err == 'mnistcli: cannot use "mine/blocks.py": it is a link out of its folder\n'


@pytest.mark.parametrize(
    "python",
    [
        "../net.py:Net",
        "/net.py:Net",
        "a/../net.py:Net",
        "./net.py:Net",
        "~/net.txt:Net",
        "a\\net.py",
    ],
)
def test_a_preset_names_code_in_its_own_folder(cli: Callable, tmp_path: Path, python: str) -> None:
    write(tmp_path, {"net.py": PLAIN})
    answer = cli(
        "summary", "sprint", "--set", "model.layers=none", "--set", f"model.python={python}"
    )
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1


def test_too_much_code_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "\n".join(f"import part{n}" for n in range(3))})
    write(tmp_path, {f"part{n}.py": "#" * 500_000 for n in range(3)})
    with pytest.raises(PresetError, match="imports more than 1,048,576 bytes of code"):
        collect_sources(tmp_path, "net.py")
    write(tmp_path, {"net.py": "\n".join(f"import part{n}" for n in range(300))})
    write(tmp_path, {f"part{n}.py": "" for n in range(300)})
    with pytest.raises(PresetError, match="or more than 200 files"):
        collect_sources(tmp_path, "net.py")
