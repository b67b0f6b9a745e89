"""Settings of PyTorch and of the program, which a network's code must leave as they are."""

import ast
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mnistcli.engine.network.contain import shorten
from mnistcli.errors import PresetError
from mnistcli.preset.code.code import Code
from mnistcli.preset.code.sources import parse_source

DEFAULTS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch.set_default_dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch.set_default_device": (torch.get_default_device, torch.set_default_device),
    "torch.set_grad_enabled": (torch.is_grad_enabled, torch._C._set_grad_enabled),
    "torch.set_num_threads": (torch.get_num_threads, torch.set_num_threads),
    "torch.use_deterministic_algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "torch.set_float32_matmul_precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "torch.autograd.set_detect_anomaly": (
        torch.is_anomaly_enabled,
        torch.autograd.set_detect_anomaly,
    ),
    "os.chdir": (os.getcwd, os.chdir),
}
"""What reads and what sets each setting, by the name of the function that sets it."""
OTHER_NAMES = {"set_default_dtype": ("set_default_tensor_type",)}


@contextmanager
def keep_defaults(code: Code) -> Iterator[None]:
    """Restore settings of PyTorch and the current folder afterwards.

    Raises:
        PresetError: the user's code changed one.
    """
    before = {name: _read(read) for name, (read, _) in DEFAULTS.items()}
    changed = ""
    try:
        yield
    finally:
        for name, (read, restore) in DEFAULTS.items():
            if before[name] is not None and _read(read) != before[name]:
                changed = changed or name
                restore(before[name])
    if changed:
        raise PresetError(
            f"{_find_call(code, changed)}: {changed} changes a setting of the whole program. "
            "Remove the call."
        )


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError:  # the current folder was removed
        return None


def _find_call(code: Code, setter: str) -> str:
    """Return the line in the code with such a call, or its entry."""
    name = setter.rpartition(".")[2]
    names = {name, *OTHER_NAMES.get(name, ())}
    for place, content in code.files.items():
        path = code.folder / place
        for node in ast.walk(parse_source(content, path)):
            if isinstance(node, ast.Call) and _name_function(node.func) in names:
                return f"{shorten(path)}:{node.lineno}"
    return shorten(code.folder / code.entry)


def _name_function(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
