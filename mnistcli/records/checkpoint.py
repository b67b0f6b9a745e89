"""Weights as safetensors: plain tensors, nothing that runs when it is opened."""

import hashlib
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from mnistcli.errors import FileError
from mnistcli.records.store import WEIGHTS, write_atomically

SIZE_LIMIT = 1 << 30


def save_weights(model: nn.Module, folder: Path) -> str:
    """Writes weights.safetensors: parameters and running statistics.

    Returns:
        The file's SHA-256.

    Raises:
        FileError: it cannot be written.
    """
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(state)
    write_atomically(folder / WEIGHTS, content)
    return hashlib.sha256(content).hexdigest()


def load_weights(model: nn.Module, folder: Path) -> None:
    """Reads weights.safetensors into the network it was saved from.

    Raises:
        FileError: it is unreadable, or its names, shapes or types are not the network's.
    """
    path = folder / WEIGHTS
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise FileError(f'"{path}" is larger than {SIZE_LIMIT:,} bytes')
        state = safetensors.torch.load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f'cannot read "{path}": {reason}') from error
    wanted = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    found = {name: (value.shape, value.dtype) for name, value in state.items()}
    if wanted != found:
        wrong = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        raise FileError(f'"{path}" is not of this network: "{wrong[0]}" does not fit')
    model.load_state_dict(state)
