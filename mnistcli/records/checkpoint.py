"""Weights and states in safetensors files, which hold no code."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from mnistcli.errors import FileError, MisfitError, reason_of
from mnistcli.preset.faults import describe_fault
from mnistcli.records.files import write_atomically
from mnistcli.records.states import RunState
from mnistcli.records.store import STATE, WEIGHTS

HEADER_LIMIT = 16 << 20
STATE_LIMIT = 1 << 30
FACTS = "facts"


def save_weights(model: nn.Module, folder: Path) -> str:
    """Write weights.safetensors, parameters and running statistics, and return its SHA-256.

    Raises:
        WriteError: the file cannot be written.
    """
    content = safetensors.torch.save(_separate(model.state_dict()))
    write_atomically(folder / WEIGHTS, content)
    return hashlib.sha256(content).hexdigest()


def hash_weights(folder: Path) -> str:
    """Return the SHA-256 of weights.safetensors.

    Raises:
        FileError: the file is unreadable.
    """
    path = folder / WEIGHTS
    try:
        if not path.is_file() and path.exists():
            raise FileError(f'"{path}" is not a file')
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load weights.safetensors into the network that it was saved from.

    Raises:
        FileError: the file is unreadable.
        MisfitError: it belongs to another network.
    """
    path = folder / WEIGHTS
    own = model.state_dict()
    size = sum(value.numel() * value.element_size() for value in own.values())
    state = _read(path, size + HEADER_LIMIT)
    wanted = {name: (value.shape, value.dtype) for name, value in own.items()}
    found = {name: (value.shape, value.dtype) for name, value in state.items()}
    if wanted != found:
        wrong = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        raise MisfitError(f'"{path}" belongs to another network: "{wrong[0]}" does not fit')
    model.load_state_dict(state)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read weights.safetensors: parameters and running statistics by name.

    Raises:
        FileError: the file is unreadable.
    """
    return _read(folder / WEIGHTS, STATE_LIMIT)


def save_state(folder: Path, tensors: Mapping[str, Tensor], state: RunState) -> None:
    """Write state.safetensors, replacing the previous state atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    facts = np.frombuffer(state.model_dump_json().encode(), dtype=np.uint8)
    content = safetensors.torch.save({**_separate(tensors), FACTS: torch.from_numpy(facts.copy())})
    write_atomically(folder / STATE, content)


def load_state(folder: Path) -> tuple[dict[str, Tensor], RunState]:
    """Read state.safetensors.

    Raises:
        FileError: the file is unreadable, or not the state of a run.
    """
    path = folder / STATE
    tensors = _read(path, STATE_LIMIT)
    facts = tensors.pop(FACTS, None)
    if facts is None or facts.dtype != torch.uint8:
        raise FileError(f'"{path}" is not the state of a run')
    try:
        return tensors, RunState.model_validate_json(facts.numpy().tobytes())
    except ValidationError as error:
        fault = describe_fault(error, RunState, None)
        raise FileError(f'"{path}" is not the state of a run: {fault}') from error


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, each with memory of its own, as the format wants them.

    Parameters that two layers share are the same tensor under two names.
    """
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        memory = value.untyped_storage().data_ptr()
        separate[name] = value.clone() if memory in seen else value
        seen.add(memory)
    return separate


def _read(path: Path, limit: int) -> dict[str, Tensor]:
    try:
        if not path.is_file() and path.exists():
            raise FileError(f'"{path}" is not a file')
        if path.stat().st_size > limit:
            raise FileError(f'"{path}" is larger than {limit:,} bytes')
        return safetensors.torch.load(path.read_bytes())
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
