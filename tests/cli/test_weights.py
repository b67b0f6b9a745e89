"""`evaluate NETWORK --weights FILE`: what was trained elsewhere, and files that are no weights."""

import json
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mnistcli.engine.profiling import measure_inference
from tests.code.sources import PLAIN
from tests.conftest import posix_only


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"layer.weight": torch.randn(10, 784), "layer.bias": torch.zeros(10)}


@pytest.fixture
def evaluate(
    cli: Callable, tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable:
    name = "mnistcli.experiment.weights.measure_inference"
    monkeypatch.setattr(name, partial(measure_inference, seconds=0.01))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(PLAIN)

    def run(*options: object) -> object:
        return cli("evaluate", "net.py:Net", "--data", tiny_data, "--weights", *options)

    return run


def refusal(answer: object) -> str:
    """Return the one line of an error."""
    assert (answer.code, answer.out) == (4, ""), answer.err
    assert answer.err.count("\n") == 1
    return answer.err


@pytest.mark.parametrize("name", ["new.pth", "old.pth", "half.pt", "own.safetensors"])
def test_weights_from_elsewhere_are_evaluated_and_checked(
    evaluate: Callable, state: dict, name: str
) -> None:
    match name:
        case "own.safetensors":
            safetensors.torch.save_file(state, name)
        case "half.pt":
            torch.save({key: value.half() for key, value in state.items()}, name)
        case _:
            torch.save(state, name, _use_new_zipfile_serialization=name == "new.pth")
    budget = ("--budget", "parameters<7851, accuracy>=50, epochs<20", "--no-fail", "--json")
    answer = evaluate(name, *budget)
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert [check["name"] for check in found["checks"]] == ["parameters", "test_accuracy"]
    assert found["not_checked"] == ["epochs"]
    assert found["parameters"] == 7850
    strict = evaluate(name, "--budget", "parameters<7850", "--json")
    assert strict.code == 3
    assert json.loads(strict.out)["passed"] is False


def test_the_figures_are_those_of_the_run(
    evaluate: Callable, cli: Callable, tiny_data: Path
) -> None:
    """A run's own weights, saved as others save theirs."""
    answer = cli(
        "train", "net.py", "--data", tiny_data, "--set", "train.epochs=1", "--json", "-q",
        "--no-fail",
    )  # fmt: skip
    run = json.loads(answer.out)
    torch.save(safetensors.torch.load_file(Path(run["path"]) / "weights.safetensors"), "mine.pth")
    found = json.loads(evaluate("mine.pth", "--json").out)
    assert found["accuracy"] == run["test"]["accuracy"]


class Hostile:
    """A pickle that makes a file when it is loaded."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("it-ran",)


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_a_hostile_pickle_does_not_run(evaluate: Callable, state: dict, kind: str) -> None:
    content = state | {"layer.bias": Hostile()}
    if kind == "pickle":
        Path("w.pth").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, "w.pth", _use_new_zipfile_serialization=kind == "new")
    line = refusal(evaluate("w.pth"))
    assert "holds Python objects, which are not loaded: they could run code" in line
    assert not Path("it-ran").exists()


CONTENTS = {
    "a whole network": (nn.Linear(784, 10), "which are not loaded"),
    "a checkpoint": ({"model": {}, "epoch": 3}, "more than tensors: model, epoch. Save"),
    "a tensor": (torch.zeros(3), "holds a Tensor, not a state dict"),
    "other keys": ({1: torch.zeros(3)}, "keys that are no names"),
    "nothing": ({}, "expected but missing: layer.weight, layer.bias"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_state_dict_is_one_line(evaluate: Callable, name: str) -> None:
    content, words = CONTENTS[name]
    torch.save(content, "w.pth")
    assert words in refusal(evaluate("w.pth"))


ODD = {
    "sparse": (torch.zeros(10, 784).to_sparse(), "tensors that are not of plain real numbers"),
    "complex": (torch.zeros(10, 784, dtype=torch.complex64), "not of plain real numbers: layer.w"),
    "without values": (torch.zeros(10, 784, device="meta"), "not of plain real numbers"),
    "integers": (torch.zeros(10, 784, dtype=torch.int8), "layer.weight is int8 instead of float32"),
    "another shape": (torch.zeros(10, 783), "other shapes: layer.weight is 10×783 instead of 10×"),
    "a shape without memory": (torch.zeros(1).expand(10**9, 784), "other shapes: layer.weight is"),
    "not finite": (torch.full((10, 784), torch.nan), "the outputs are not finite"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tensors_are_one_line(evaluate: Callable, state: dict, name: str) -> None:
    tensor, words = ODD[name]
    torch.save(state | {"layer.weight": tensor}, "w.pth")
    assert words in refusal(evaluate("w.pth"))


def test_names_that_do_not_fit_are_beside_those_expected(evaluate: Callable, state: dict) -> None:
    torch.save({f"module.{name}": value for name, value in state.items()}, "w.pth")
    assert refusal(evaluate("w.pth")).endswith(
        "does not fit the network; expected but missing: layer.weight, layer.bias; found but not "
        "expected: module.layer.weight, module.layer.bias\n"
    )


@posix_only
@pytest.mark.parametrize(
    "kind", ["empty", "text", "cut", "cut safetensors", "folder", "fifo", "missing", "huge"]
)
def test_what_is_no_file_of_weights_is_one_line(evaluate: Callable, state: dict, kind: str) -> None:
    path = Path("w.safetensors" if "safetensors" in kind else "w.pth")
    torch.save(state, "whole.pth")
    match kind:
        case "empty" | "text":
            path.write_text("" if kind == "empty" else "text")
        case "cut":
            path.write_bytes(Path("whole.pth").read_bytes()[:2_000])
        case "cut safetensors":
            path.write_bytes(safetensors.torch.save(state)[:-100])
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "huge":
            path.touch()
            os.truncate(path, (1 << 30) + 1)
    refusal(evaluate(path))


def test_code_in_weights_of_a_run_is_not_asked_for(evaluate: Callable, state: dict) -> None:
    """A network that is named is trusted by that, whatever file its weights are in."""
    torch.save(state, "w.pth")
    answer = evaluate("w.pth")
    assert answer.code == 0, answer.err
    assert answer.err == ""
