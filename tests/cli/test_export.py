"""`export`: what it writes is what was measured, and faults are one line."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnistcli.cli.guide import read_guide
from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.experiment import export as exporting
from mnistcli.export.targets import TARGETS
from tests.conftest import posix_only

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="no Node.js")
ATTENTION = """\
model.layers=[
  { kind = "conv", out_channels = 4, kernel_size = 5, stride = 4 },
  { kind = "squeeze_excite" }, { kind = "flatten" }, { kind = "linear", out_features = 10 }]"""


@pytest.fixture
def run(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Path:
    common = ("--data", tiny_data, "--out", tmp_path / "runs", "--json", "-q", "--no-fail")
    return Path(json.loads(cli("train", tiny_preset, *common).out)["path"])


@pytest.mark.slow
@needs_compiler
def test_what_is_written_is_what_was_measured(cli: Callable, run: Path) -> None:
    answer = cli("export", run, "--to", "c", "--json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    assert document["schema"] == "mnistcli.export/1"
    record = json.loads((run / "record.json").read_text())
    assert document["float_test"]["correct"] == record["test"]["correct"]
    (file,) = document["files"]
    header = Path(file["path"]).read_text()
    assert (Path(file["path"]), file["bytes"]) == (run / "network.h", len(header.encode()))
    (parity,) = document["parity"]
    assert parity["equal"] == parity["images"] == record["test"]["total"]
    assert f" * weights:    SHA-256 {record['weights_sha256']}" in header
    assert f" * constants:  {document['constants']:,} bytes" in header
    assert f"static uint8_t memory[{document['memory']}];" in header
    shown = cli("export", run, "--to", "c").out
    total = f"{parity['images']:,}"
    assert f"C = definition: {total} of {total}, every logit" in shown
    assert shown.splitlines()[-1] == str(run / "network.h")


@needs_compiler
def test_the_program_of_the_guide_reads_digits(cli: Callable, run: Path, tmp_path: Path) -> None:
    assert cli("export", run, "--to", "c", "--out", tmp_path / "network.h").code == 0
    (program,) = re.findall(r"```c\n(#include <stdio.h>.*?)```", read_guide("export"), re.DOTALL)
    (tmp_path / "main.c").write_text(program)
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
    command = ("cc", "-std=c99", *warnings, "main.c", "-o", "digits")
    subprocess.run(command, cwd=tmp_path, check=True)
    images = gzip.decompress((EMBEDDED / "t10k-images-idx3-ubyte.gz").read_bytes())[16:15696]
    done = subprocess.run([tmp_path / "digits"], input=images, capture_output=True, check=True)
    assert re.fullmatch(rb"([0-9]\n){20}", done.stdout)


@needs_compiler
def test_a_mismatch_names_the_image_and_the_file(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(*arguments: object) -> str:
        header = render(*arguments)
        return header.replace("sum = mnist_bias_", "sum = 9 + mnist_bias_")

    render = exporting.render_header
    monkeypatch.setattr(exporting, "render_header", spoil)
    answer = cli("export", run, "--to", "c", "--json")
    assert answer.code == 1
    (parity,) = json.loads(answer.out)["parity"]
    first = parity["first_difference"]
    assert parity["equal"] < parity["images"] and first is not None
    assert answer.err == (
        "mnistcli: C computes other logits than the definition: first for test image "
        f'{first}. What was written is "{run / "network.h.mismatch"}".\n'
    )
    assert not (run / "network.h").exists() and (run / "network.h.mismatch").exists()


def test_without_a_compiler_the_line_says_so(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "")
    answer = cli("export", run, "--to", "c")
    assert answer.code == 0 and "C: not run, found no program for it" in answer.out


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler", "'", "true"])
def test_a_broken_compiler_is_one_line(
    cli: Callable, run: Path, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    answer = cli("export", run, "--to", "c")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "Set CC to a C compiler that works" in answer.err
    assert not (run / "network.h").exists()


@needs_node
def test_a_page_computes_what_was_measured(cli: Callable, run: Path) -> None:
    answer = cli("export", run, "--to", "html", "--json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    (file,), (parity,) = document["files"], document["parity"]
    assert file["path"] == str(run / "network.html")
    assert (parity["name"], parity["tool"]) == ("JavaScript", "node")
    assert parity["equal"] == parity["images"] == document["integer_test"]["total"]
    page = Path(file["path"]).read_text(encoding="utf-8")
    assert f"{document['constants']:,} bytes" in page
    assert "or the similarity to the training images below" in page


@needs_node
def test_a_page_that_computes_otherwise_is_a_mismatch(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(*arguments: object) -> str:
        return build(*arguments).replace("product+half", "product")

    build = exporting.build_page
    monkeypatch.setattr(exporting, "build_page", spoil)
    answer = cli("export", run, "--to", "html")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith("mnistcli: JavaScript computes other logits")
    assert (run / "network.html.mismatch").exists()


def test_a_missing_or_broken_node_is_one_line(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in ("false", "no-such-node", "true"):
        monkeypatch.setenv("NODE", node)
        answer = cli("export", run, "--to", "html")
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert "Set NODE to a Node.js of version 18 or later" in answer.err
    assert not (run / "network.html").exists()
    monkeypatch.setenv("NODE", "")
    answer = cli("export", run, "--to", "html")
    assert answer.code == 0 and "JavaScript: not run, found no program for it" in answer.out


def test_faults_are_one_line(
    cli: Callable, run: Path, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--data", tiny_data, "--out", tmp_path / "other", "--json", "-q", "--no-fail")
    squeezed = json.loads(cli("train", tiny_preset, *common, "--set", ATTENTION).out)["path"]
    answer = cli("export", squeezed, "--to", "c")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "layer 1 squeeze_excite cannot be computed in integers" in answer.err

    answer = cli("export", run, "--to", "c", "--out", tmp_path / "missing" / "network.h")
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert "cannot write" in answer.err

    answer = cli("export", tmp_path / "nothing", "--to", "c")
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert cli("export", run, "--to", "rust").code == 2


@pytest.mark.slow
def test_no_file_of_a_run_is_replaced(cli: Callable, run: Path, tmp_path: Path) -> None:
    before = read_files(run)
    for name in ("record.json", "weights.safetensors", "events.jsonl"):
        for line in (("export", run, "--to", "html"), ("report", run)):
            answer = cli(*line, "--out", run / name)
            assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
            assert answer.err.endswith("it belongs to a run. Choose another name.\n")
    assert read_files(run) == before
    (tmp_path / "tag.json").write_text("no run's")
    assert cli("export", run, "--to", "html", "--out", tmp_path / "tag.json").code == 0


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("to", ["c", "html", "onnx"])
def test_changed_weights_are_not_exported_as_the_runs(cli: Callable, run: Path, to: str) -> None:
    path = run / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    answer = cli("export", run, "--to", to)
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
    assert "weights.safetensors" in answer.err and "has changed since the training" in answer.err
    assert not list(run.glob("network*"))


@posix_only
def test_a_pipe_is_written_and_not_read(cli: Callable, run: Path, tmp_path: Path) -> None:
    """Reading it again would wait for ever, and take from its reader what was written."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        content = pool.submit(pipe.read_bytes)
        answer = cli("export", run, "--to", "c", "--out", pipe, "--json")
    (file,) = json.loads(answer.out)["files"]
    assert file["sha256"] == hashlib.sha256(content.result()).hexdigest()


@pytest.mark.slow
def test_other_images_than_the_runs_are_refused(cli: Callable, run: Path) -> None:
    for kind in ("c", "html", "onnx"):
        answer = cli("export", run, "--to", kind, "--data", EMBEDDED)
        assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
        assert "has other images" in answer.err
    assert not list(run.glob("network*"))


def test_networks_in_code_have_no_integer_form(
    cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
    )
    common = ("--data", tiny_data, "--out", tmp_path / "runs", "--json", "-q", "--no-fail")
    line = ("train", f"{tmp_path / 'net.py'}:Net", *common, "--set", "train.epochs=1")
    path = json.loads(cli(*line).out)["path"]
    answer = cli("export", path, "--to", "c")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "its network is Python code" in answer.err


@needs_compiler
def test_a_target_decides_the_budget(cli: Callable, run: Path) -> None:
    line = ("export", run, "--to", "c", "--target", "host", "--budget")
    answer = cli(*line, "flash<=16KiB, ram<=4KiB, accuracy>=5, epochs<9", "--json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    target = document["target"]
    assert target["name"] == "host" and target["stack_measured_by"] == "compiler"
    assert target["flash"] > document["constants"] and target["ram"] >= document["memory"]
    checks = {check["name"]: (check["value"], check["verdict"]) for check in document["checks"]}
    assert checks["flash"] == (target["flash"], "pass")
    assert checks["ram"] == (target["ram"], "pass")
    assert checks["test_accuracy"][0] == document["integer_test"]["accuracy"]
    assert document["passed"] is True
    over = cli(*line, f"flash<{target['flash']}")
    assert over.code == 3 and over.out.rstrip().splitlines()[-3] == " FAIL"


@needs_compiler
def test_rows_need_less_memory_and_give_the_same(cli: Callable, run: Path) -> None:
    line = ("export", run, "--to", "c", "--target", "host", "--no-fail", "--json")
    whole, rows = json.loads(cli(*line).out), json.loads(cli(*line, "--stream").out)
    assert (whole["stream"], rows["stream"]) == (False, True)
    assert rows["memory"] < whole["memory"] and rows["target"]["ram"] < whole["target"]["ram"]
    assert (whole["target"]["caller_ram"], rows["target"]["caller_ram"]) == (824, 68)
    assert rows["parity"][0]["equal"] == rows["parity"][0]["images"] > 0
    assert "mnist_take_row" in (run / "network.h").read_text()
    answer = cli("export", run, "--to", "html", "--stream")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "--stream is for C" in answer.err


def test_targets_are_for_c_and_a_budget_for_targets(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = cli("export", run, "--to", "html", "--target", "host")
    assert answer.code == 2 and "cannot be combined with --to html" in answer.err
    answer = cli("export", run, "--to", "c", "--budget", "flash<9")
    assert answer.code == 2 and "Add --target" in answer.err
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "")
    answer = cli("export", run, "--to", "c", "--target", "cortex-m0")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "apt install gcc-arm-none-eabi libnewlib-arm-none-eabi" in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m0-16k", "atmega328p"])
def test_a_target_is_run_in_its_emulator(cli: Callable, run: Path, target: str) -> None:
    device = TARGETS[target]
    for program in (device.compiler, device.emulator):
        if not shutil.which(program):
            pytest.skip(f"no {program}")
    answer = cli("export", run, "--to", "c", "--target", target, "--json", "--no-fail")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    row = document["parity"][-1]
    assert row["equal"] == row["images"] > 0
    assert document["target"]["stack_measured_by"] == "emulator"
    names = [check["name"] for check in document["checks"]]
    assert ("device_ram" in names) is (target != "cortex-m0")


@pytest.mark.slow
def test_without_an_emulator_ram_is_inconclusive(
    cli: Callable, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc")
    find = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if "qemu" in name else find(name))
    line = ("export", run, "--to", "c", "--target", "cortex-m4", "--budget", "flash<1MiB, ram<1MiB")
    answer = cli(*line)
    assert answer.code == 3
    assert "QEMU cortex-m4: not run, qemu-system-arm is not installed" in answer.out
    verdicts = {
        check["name"]: check["verdict"] for check in json.loads(cli(*line, "--json").out)["checks"]
    }
    assert verdicts == {"flash": "pass", "ram": "inconclusive"}
