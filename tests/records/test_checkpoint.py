from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from mnistcli.errors import FileError
from mnistcli.records.checkpoint import load_weights, save_weights
from mnistcli.records.store import WEIGHTS


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).to(
        memory_format=torch.channels_last
    )


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    saved, loaded = network(), network()
    first = save_weights(saved, tmp_path)
    load_weights(loaded, tmp_path)
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in saved.state_dict().items())
    assert save_weights(loaded, tmp_path) == first


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda state: state.pop("0.bias"), "0.bias"),
        (lambda state: state.update({"x": torch.zeros(1)}), "x"),
        (lambda state: state.update({"0.bias": torch.zeros(3)}), "0.bias"),
        (lambda state: state.update({"0.bias": torch.zeros(2).double()}), "0.bias"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change, name: str) -> None:
    state = {k: v.contiguous() for k, v in network().state_dict().items()}
    change(state)
    safetensors.torch.save_file(state, tmp_path / WEIGHTS)
    with pytest.raises(FileError, match=f'"{name}" does not fit'):
        load_weights(network(), tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 8 + b"{}", b"\x80\x04N."])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(FileError, match="cannot read"):
        load_weights(network(), tmp_path)
