"""Networks in Python code as ONNX models, by PyTorch's exporter."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from mnistcli.datasets.load import load_examples
from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.errors import PresetError, UsageError
from mnistcli.experiment.code import find_code
from mnistcli.experiment.network import build_plain
from mnistcli.export.onnx_check import compare_logits, run_onnx
from mnistcli.export.onnx_code import build_code
from mnistcli.export.onnx_graph import IR_VERSION, OPSET
from tests.conftest import Answer
from tests.export.test_onnx import FACTS
from tests.networks.names import HERE, NETWORKS, load

REFUSED = "unusual.py:compiled"
SOME = [
    *("styles.py:DropoutByMode", "styles.py:Residual", "unusual.py:Rows"),
    *("unusual.py:Attention", "unusual.py:Tied", "unusual.py:Double"),
]
"""Among them one that reads len(x), a recurrent one, shared weights and float64."""


def export(network: str) -> tuple[torch.nn.Module, bytes]:
    preset = load(network)
    model = build_plain(preset).eval()
    return model, build_code(model, find_code(preset), preset.normalization, FACTS)


@pytest.mark.slow
@pytest.mark.parametrize("network", SOME)
def test_networks_in_code_compute_what_pytorch_computes(network: str) -> None:
    model, content = export(network)
    pixels = load_examples("test").images[:50]
    with torch.no_grad():
        wanted = model(normalize(to_inputs(pixels), load(network).normalization)).float().numpy()
    for count in (1, 50):
        found = compare_logits(run_onnx(content, pixels[:count, 0].numpy()), wanted[:count])
        assert found.equal_answers == count and found.max_difference < 1e-5
    loaded = onnx.load_from_string(content)
    assert [(each.domain, each.version) for each in loaded.opset_import] == [("", OPSET)]
    assert loaded.ir_version == IR_VERSION and loaded.producer_name == "mnistcli"
    assert "run_id" in {each.key for each in loaded.metadata_props}
    assert str(HERE).encode() not in content and b".py" not in content


@pytest.mark.slow
def test_what_pytorch_cannot_export_is_one_line() -> None:
    assert REFUSED in NETWORKS
    with pytest.raises(PresetError, match="cannot be exported to ONNX by PyTorch: U") as caught:
        export(REFUSED)
    assert "\n" not in str(caught.value) and "unusual.py:" in str(caught.value)


def test_without_onnxscript_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"needs onnxscript .*: pip install .*onnxscript$"):
        export("styles.py:View")


@pytest.mark.slow
def test_a_run_with_code_is_exported_if_it_is_allowed(
    cli: Callable[..., Answer],
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = cli(
        *("train", HERE / "styles.py:View", "--data", tiny_data, "--out", tmp_path / "runs"),
        *("--set", "train.epochs=1", "--budget", "epochs<2"),
    )
    assert done.code == 0, done.err
    (folder,) = (tmp_path / "runs").iterdir()
    done = cli("export", folder, "--to", "onnx", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    (parity,) = document["parity"]
    assert parity["equal_answers"] == 200 and parity["max_difference"] < 1e-4
    assert [Path(file["path"]).name for file in document["files"]] == ["network.onnx"]
    assert (
        document["integer_test"] is None
        and document["integer_reason"] == "the network is Python code"
    )
    assert "no int8 model: the network is Python code" in cli("export", folder, "--to", "onnx").out
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(tmp_path / "nothing.txt"))
    done = cli("export", folder, "--to", "onnx", "--out", tmp_path / "x.onnx")
    assert (done.code, done.err.count("\n")) == (2, 1) and "--allow-code" in done.err
    assert not (tmp_path / "x.onnx").exists()
