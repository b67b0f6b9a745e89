"""What would fail in a training, or not resume, is said in one line before it begins."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.networks.names import HERE

REFUSED = {
    "Squeezes": "returns, for a batch of one image, 10 instead of 1×10. Return the logits, a float",
    "Nine": "returns 64×9 instead of 64×10. Return the logits, a float tensor (n, 10).",
    "TupleInTraining": "returns a tuple. Return the logits, a float tensor (n, 10).",
    "Integers": "returns values of type int64. Return the logits, a float tensor (n, 10).",
    "NoGradient": "returns outputs that do not depend on its parameters: no gradient reaches them",
    "SmallBatches": "ValueError: an odd batch. Use --traceback for more.",
    "OnlyFloat32": "In float32 it works: add --precision float32.",
    "Grows": "makes parameters or buffers in forward, or changes their shape: more.weight, more.bi",
    "KeepsOutputs": "makes parameters or buffers in forward, or changes their shape: last. Make th",
    "BufferFromNone": "makes parameters or buffers in forward, or changes their shape: mean. Make",
    "Complex": "has a parameter of type complex64: phase",
    "SparseGradient": "does not support sparse gradients",
    "SparseBuffer": "keeps a state that is not a plain tensor: mask",
    "ExtraState": "keeps a state that is not a plain tensor: _extra_state",
    "ForgetsWeight": "leaves out a parameter in state_dict(): fc2.weight",
    "InAList": "has layers or parameters that PyTorch does not see, in _layers. Use nn.ModuleLis",
    "InADictionary": "has layers or parameters that PyTorch does not see, in parts. Use nn.Modul",
    "RandomValues": "computes with random values that are neither parameters nor buffers, so not",
    "ReturnsSubclass": "returns a Subclass. Return the logits, a float tensor (n, 10).",
    "Locked": "train.ema_decay: the network cannot be copied: cannot pickle '_thread.lock' object.",
}
WARNED = {
    "Counts": "faulty.py:Counts changes steps in forward, which is not restored when a training is "
    "resumed. Use register_buffer.",
    "OwnGenerators": "faulty.py:OwnGenerators changes noise, rolls in forward, which is not "
    "restored when a training is resumed. Use register_buffer.",
    "Seldom": "",
    "Base": "",
}


SETTINGS = ("train.epochs=1", "train.batch_size=90", "train.ema_decay=0.9")


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tmp_path: Path) -> Callable:
    changes = [part for each in SETTINGS for part in ("--set", each)]
    common = ("--precision", "bfloat16", "--data", tiny_data, "--out", tmp_path / "runs", "--json")

    def run(name: str, *more: str) -> object:
        return cli("train", HERE / f"faulty.py:{name}", *common, *changes, *more, "--no-fail")

    return run


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_before_there_is_a_run(
    train: Callable, tmp_path: Path, name: str
) -> None:
    answer = train(name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("mnistcli: ") == 1
    assert REFUSED[name] in answer.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", WARNED)
def test_what_a_saved_state_does_not_hold_is_warned_of(train: Callable, name: str) -> None:
    answer = train(name)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["epochs"]
    said = WARNED[name]
    assert answer.err.count("warning") == bool(said)
    assert said in answer.err


def test_the_last_batch_of_every_phase_is_tried_before_the_first(train: Callable) -> None:
    phases = (
        "curriculum={kind='groups', mode='disjoint', groups=[[0, 1], [2, 3, 4, 5, 6, 7, 8, 9]]}"
    )
    answer = train("PhaseBatches")
    assert answer.code == 0, answer.err
    answer = train("PhaseBatches", "--set", phases)
    assert answer.code == 2
    assert answer.err.endswith("ValueError: 30 images. Use --traceback for more.\n")
    assert "epoch 1" not in answer.err


def test_the_line_of_an_error_is_named(train: Callable) -> None:
    lines = (HERE / "faulty.py").read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "an odd batch" in line)
    assert f"faulty.py:{number}: ValueError" in train("SmallBatches").err


def test_a_warning_of_the_code_is_shown_once(cli: Callable) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        assert cli("summary", HERE / "faulty.py:Warns").code == 0
    assert [str(each.message) for each in shown] == ["an old layer"]
