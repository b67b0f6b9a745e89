"""Weights from elsewhere: a state dict in a .safetensors file, or in one that torch.save wrote."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mnistcli.errors import FileError, reason_of

SIZE_LIMIT = 1 << 30
SHOWN = 5
COUNTER = "num_batches_tracked"
"""Batches that a batch norm has seen: without influence on what it computes."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict: names and tensors.

    A file of torch.save is read without running code: with `weights_only`.

    Raises:
        FileError: the file is unreadable, larger than 1 GiB, or holds anything else.
    """
    try:
        if not path.is_file() and path.exists():
            raise FileError(f'"{path}" is not a file')
        if path.stat().st_size > SIZE_LIMIT:
            raise FileError(f'"{path}" is larger than {SIZE_LIMIT:,} bytes')
        if path.suffix.lower() == ".safetensors":
            return safetensors.torch.load(path.read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old kinds of files
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    except Exception as error:  # torch.load and safetensors raise many kinds for damaged files
        raise FileError(
            f'"{path}" is neither a .safetensors file nor a plain state dict of torch.save: '
            f"{_explain(error)}. Save model.state_dict()."
        ) from error
    return _check_state_dict(content, path)


def load_state_dict(model: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Load a state dict into a network.

    Raises:
        FileError: names, shapes or kinds of numbers differ from the network's.
    """
    own = model.state_dict()
    state = {name: value for name, value in own.items() if name.endswith(COUNTER)} | dict(state)
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    both = {name: (state[name], value) for name, value in own.items() if name in state}
    different = [
        f"{name} is {_shape(found)} instead of {_shape(value)}"
        for name, (found, value) in both.items()
        if found.shape != value.shape
    ]
    kinds = [
        f"{name} is {_kind(found)} instead of {_kind(value)}"
        for name, (found, value) in both.items()
        if found.is_floating_point() != value.is_floating_point()
    ]
    faults = [
        f"{label} {_list(names)}"
        for label, names in (
            ("expected but missing:", missing),
            ("found but not expected:", unexpected),
            ("other shapes:", different),
            ("other kinds of numbers:", kinds),
        )
        if names
    ]
    if faults:
        raise FileError(f"{origin} does not fit the network; {'; '.join(faults)}")
    model.load_state_dict(state)


def _check_state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise FileError(f'"{path}" holds a {kind}, not a state dict. Save model.state_dict().')
    wrong = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if wrong or not all(isinstance(key, str) for key in content):
        raise FileError(
            f'"{path}" is not a plain state dict: it holds more than tensors: '
            f"{_list(wrong) or 'keys that are no names'}. Save model.state_dict() alone."
        )
    odd = [name for name, value in content.items() if not _is_plain(value)]
    if odd:
        raise FileError(
            f'"{path}" holds tensors that are not of plain real numbers: {_list(odd)}. '
            "Save model.state_dict()."
        )
    return content


def _is_plain(value: Tensor) -> bool:
    is_dense = value.layout == torch.strided and not (value.is_nested or value.is_quantized)
    return is_dense and not value.is_meta and not value.is_complex()


def _explain(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds Python objects, which are not loaded: they could run code"
    reason = " ".join(str(error).split()).split(". ")[0]
    return reason[:200] if isinstance(error, RuntimeError | SafetensorError) else "it is damaged"


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "a single value"


def _list(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" * (len(names) > SHOWN))
