"""Weights that a network computes with, but that PyTorch does not know to be its own."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

DEPTH = 4
"""How deep lists may be nested in lists."""
KNOWN = frozenset(vars(nn.Module()))
"""Attributes in which PyTorch itself keeps layers, parameters and hooks."""


def find_hidden(module: nn.Module) -> list[str]:
    """Return the attributes that hold layers or parameters where PyTorch does not see them.

    A layer in a plain list, tuple or dictionary is neither counted nor trained nor saved.
    """
    known = {id(each) for each in (*module.modules(), *module.parameters(), *module.buffers())}
    return [
        f"{prefix}.{name}".lstrip(".")
        for prefix, each in module.named_modules()
        for name, value in vars(each).items()
        if name not in KNOWN and any(id(found) not in known for found in _search(value))
    ]


def _search(value: object, depth: int = 0) -> Iterator[object]:
    """Yield the layers with parameters, and the trainable tensors, in a container."""
    if isinstance(value, nn.Module):
        if next(value.parameters(), None) is not None:
            yield value
    elif isinstance(value, Tensor):
        if value.requires_grad and value.is_leaf:
            yield value
    elif depth < DEPTH and isinstance(value, list | tuple | set | Mapping):
        inner = value.values() if isinstance(value, Mapping) else value
        for each in inner:
            yield from _search(each, depth + 1)
