"""Run the user's own code: import it, build its network, and look at what it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mnistcli.engine.network.contain import contain, refuse
from mnistcli.engine.network.defaults import keep_defaults
from mnistcli.engine.network.package import find_package
from mnistcli.errors import PresetError, suggest
from mnistcli.preset.code.code import Code
from mnistcli.preset.code.sources import find_networks

_made: WeakSet[nn.Module] = WeakSet()


def make_module(code: Code) -> nn.Module:
    """Return what the code's class or function returns: a new network.

    This is the only place that runs a user's code for the first time, and so the one that asks
    whether it is trusted.

    Raises:
        PresetError: the code is not trusted, it raises, or it returns no new nn.Module.
    """
    code.require_trust()
    with running(code):
        module = _find_factory(code)(**code.arguments)
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise refuse(code, f"returns {kind}, not an nn.Module. Return the network.")
    if module in _made:
        raise refuse(code, "returns the same network twice. Return a new one at every call.")
    if any(each.is_meta for each in (*module.parameters(), *module.buffers())):
        raise refuse(code, 'has parameters without values, on the device "meta"')
    _made.add(module)
    return module


@contextmanager
def running(code: Code) -> Iterator[None]:
    """Run a part of the user's code: an import, a constructor, or a forward that is looked at.

    Raises:
        PresetError: it raises, calls sys.exit, trains, or changes a setting of the program.
    """
    with contain(code), keep_defaults(code):
        hook = register_optimizer_step_pre_hook(_refuse_step)
        try:
            yield
        finally:
            hook.remove()


def _find_factory(code: Code) -> type[nn.Module]:
    """Import the code and return its class or function.

    Raises:
        PresetError: there is none of that name.
    """
    with torch.random.fork_rng(devices=[]):  # a seed that is set at import is no seed of weights
        module = find_package(code).load(code.entry)
    found = getattr(module, code.name, None)
    if isinstance(found, nn.Module):
        raise refuse(
            code,
            "is a network that was made at import, from the same random weights for every seed. "
            f"Name its class, {type(found).__name__}, or a function that returns a new one.",
        )
    if not callable(found):
        path = code.folder / code.entry
        known = find_networks(code.files[code.entry], path)
        advice = f". {suggest(code.name, known)}" if known else ""
        raise PresetError(f'"{path}" defines no class or function {code.name}{advice}')
    return found  # type: ignore[no-any-return]


def _refuse_step(*_: object) -> None:
    raise RuntimeError("it trains when it is imported. Put that under if __name__ == '__main__':")
