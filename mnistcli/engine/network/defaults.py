"""Global defaults of PyTorch, which a network's code must leave as they are."""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mnistcli.engine.network.contain import shorten
from mnistcli.errors import PresetError
from mnistcli.preset.code.code import Code

DEFAULTS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "set_default_dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "set_default_device": (torch.get_default_device, torch.set_default_device),
    "set_grad_enabled": (torch.is_grad_enabled, torch._C._set_grad_enabled),
    "set_num_threads": (torch.get_num_threads, torch.set_num_threads),
    "use_deterministic_algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "set_float32_matmul_precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "set_detect_anomaly": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
}
"""What reads and what sets each default, by the name of the function that sets it."""
OTHER_NAMES = {"set_default_dtype": ("set_default_tensor_type",)}


@contextmanager
def keep_defaults(code: Code) -> Iterator[None]:
    """Restore PyTorch's defaults afterwards.

    Raises:
        PresetError: the user's code changed one.
    """
    before = {name: read() for name, (read, _) in DEFAULTS.items()}
    changed = ""
    try:
        yield
    finally:
        for name, (read, restore) in DEFAULTS.items():
            if read() != before[name]:
                changed = changed or name
                restore(before[name])
    if changed:
        raise PresetError(
            f"{_find_call(code, changed)}: torch.{changed} changes a default of PyTorch for "
            "everything. Remove the call."
        )


def _find_call(code: Code, name: str) -> str:
    """Return the line in the code with such a call, or its entry."""
    names = {name, *OTHER_NAMES.get(name, ())}
    for place, content in code.files.items():
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Attribute) and node.attr in names:
                return f"{shorten(code.folder / place)}:{node.lineno}"
    return shorten(code.folder / code.entry)
