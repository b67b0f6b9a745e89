"""Every kind of layer trains, is saved, and is resumed to the same bits."""

from pathlib import Path

import pytest

from mnistcli.preset.loading import validate_preset
from tests.faults.runs import CHOICES, OPTIMIZERS, options_of, train_in_pieces

CONV = {"kind": "conv", "out_channels": 8, "kernel_size": 3, "bias": False}
DROPOUT = {"kind": "dropout", "probability": 0.2}
ATTENTION = {"kind": "residual", "layers": [{"kind": "self_attention", "heads": 2}, DROPOUT]}
KINDS = {
    "separable_conv": {"kind": "separable_conv", "out_channels": 12, "kernel_size": 3},
    "dilation": CONV | {"dilation": 2},
    "squeeze_excite": {"kind": "squeeze_excite"},
    "self_attention": ATTENTION,
    "average_pool": {"kind": "average_pool"},
    "group_norm": {"kind": "group_norm", "groups": 2},
    "instance_norm": {"kind": "instance_norm"},
    **{kind: {"kind": kind} for kind in ("leaky_relu", "prelu", "silu", "gelu", "hard_swish")},
    "residual": {"kind": "residual", "layers": [CONV | {"stride": 2}, {"kind": "batch_norm"}]},
    "repeat": {"kind": "repeat", "times": 2, "layers": [CONV, DROPOUT, {"kind": "relu"}]},
    "shared": {
        "kind": "repeat", "times": 3, "shared": True,
        "layers": [{"kind": "residual", "layers": [CONV, {"kind": "batch_norm"}, DROPOUT]}],
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_resumed_to_the_same_bits(kind: str, tiny_data: Path, tmp_path: Path) -> None:
    stem = {"kind": "conv", "out_channels": 8, "kernel_size": 5, "stride": 4}
    layers = [stem, KINDS[kind], {"kind": "flatten"}, {"kind": "linear", "out_features": 10}]
    content = {
        "name": kind, "title": "For tests", "model": {"layers": layers, "width": 1.5},
        "train": {
            "epochs": 1, "batch_size": 100, "ema_decay": 0.9, "optimizer": OPTIMIZERS[-1],
            "schedule": {"kind": "one_cycle", "max_learning_rate": 0.02},
        },
    }  # fmt: skip
    if kind not in ("dilation", "residual", "repeat", "shared"):
        content["train"]["optimizer"] = OPTIMIZERS[1]  # without a kernel for Muon
    preset = validate_preset(content, kind)
    chosen = {"precision": CHOICES["precision"][len(kind) % 2]}
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [3])
    assert broken == unbroken
    assert unbroken["record"]["preset"]["model"]["width"] == 1.5
    assert unbroken["record"]["test"]["accuracy"] > 0.2
