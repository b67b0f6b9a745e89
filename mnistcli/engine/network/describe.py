"""Describe any module by running it: its modules in the order of their calls, and their costs."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.network.build import LayerDescription

IMAGES = 2
REACH_IMAGES = 64
ELEMENTWISE = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.dropout._DropoutNd,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.SiLU, nn.GELU, nn.Hardswish, nn.ELU, nn.Tanh,
    nn.Sigmoid, nn.Identity,
)  # fmt: skip
"""Modules of which every output value depends on the input value in its place alone."""


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiply-accumulates with the formulas of PyTorch's flop counter."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the import of PyTorch's compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator, and count."""
        output = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula:
            self.macs += formula(*args, **(kwargs or {}), out_val=output) // 2
        return output


@dataclass
class _Call:
    """A module of the network, as its calls found it."""

    name: str
    module: nn.Module
    output: Tensor | None = None
    macs: int = 0
    """Multiply-accumulates of all its calls, without those of the modules in it."""


@dataclass
class _Trace:
    """The modules of a network in the order of their first calls."""

    names: Mapping[nn.Module, str]
    counter: MacCounter
    calls: dict[nn.Module, _Call] = field(default_factory=dict)
    _open: list[list[int]] = field(default_factory=list)
    """For every module that is running: the count when it began, and that of the modules in it."""

    def enter(self, module: nn.Module, _: Any) -> None:
        self.calls.setdefault(module, _Call(self.names[module], module))
        self._open.append([self.counter.macs, 0])

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        begin, inner = self._open.pop()
        total = self.counter.macs - begin
        call = self.calls[module]
        call.macs += total - inner
        call.output = _find_tensor(output)
        if self._open:
            self._open[-1][1] += total


def describe_module(module: nn.Module) -> list[LayerDescription]:
    """Return one row for every module that runs, and one for what runs outside of modules.

    A module that runs several times has one row, with the multiply-accumulates of all of its runs.
    The rows' parameters and multiply-accumulates add up to the network's. Receptive fields are
    left at the whole image: `measure_reach` finds them.

    Args:
        module: float (n, 1, 28, 28) → logits (n, 10); put in evaluation mode.
    """
    module.eval()
    with torch.no_grad(), _count_recurrent(module), _tracing(module) as trace, trace.counter:
        module(torch.zeros(IMAGES, 1, SIDE, SIDE))
    seen: set[nn.Parameter] = set()
    rows = []
    for call in trace.calls.values():
        own = set(call.module.parameters(recurse=False)) - seen
        seen |= own
        if call.name or own or call.macs:
            rows.append(_describe(call, sum(each.numel() for each in own)))
    rest = set(module.parameters()) - seen
    if rest:
        unused = replace(rows[-1], name="(never called)", kind="", macs=0)
        rows.append(replace(unused, parameters=sum(each.numel() for each in rest)))
    return rows


def measure_reach(module: nn.Module) -> dict[str, int]:
    """Measure the receptive field of every module that runs, in pixels, by its name.

    It is the side of the square around all pixels whose gradient reaches the central position of
    the module's output, for any of 64 random images; of an output without height and width, any of
    its values.
    """
    module.eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(REACH_IMAGES, 1, SIDE, SIDE, generator=generator, requires_grad=True)
    own = images.clone()  # which the module may change in place
    reach: dict[int, int] = {id(own): 1}
    found: dict[str, int] = {}
    inputs: dict[str, int] = {}

    def note(each: nn.Module, args: Any, output: Any) -> None:
        inputs[names[each]] = id(_find_tensor(args))

    names = _name_modules(module)
    handles = [each.register_forward_hook(note) for each in names]
    try:
        with torch.enable_grad(), _tracing(module) as trace:
            module(own)
    finally:
        for handle in handles:
            handle.remove()
    for call in trace.calls.values():
        if call.output is None or not call.output.requires_grad:
            continue
        known = reach.get(inputs[call.name]) if isinstance(call.module, ELEMENTWISE) else None
        found[call.name] = known or _measure(images, call.output)
        reach[id(call.output)] = found[call.name]
    return found


def _measure(images: Tensor, output: Tensor) -> int:
    centre = output
    if output.dim() == 4:
        centre = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    weights = torch.rand(centre.shape, generator=torch.Generator().manual_seed(0)) + 0.5
    (gradient,) = torch.autograd.grad(
        (centre * weights).sum(), images, retain_graph=True, allow_unused=True
    )
    if gradient is None:
        return 0
    reached = (gradient != 0).any(dim=0)[0]
    sides = [torch.nonzero(reached.any(dim=axis)).flatten() for axis in (0, 1)]
    return max(int(side[-1] - side[0]) + 1 if len(side) else 0 for side in sides)


def _name_modules(module: nn.Module) -> dict[nn.Module, str]:
    return {each: name for name, each in module.named_modules()}


@contextmanager
def _tracing(module: nn.Module) -> Iterator[_Trace]:
    trace = _Trace(_name_modules(module), MacCounter())
    fast = torch.backends.mha.get_fastpath_enabled()
    handles = []
    for each in trace.names:
        handles.append(each.register_forward_pre_hook(trace.enter))
        handles.append(each.register_forward_hook(trace.leave))
    try:
        # The fast paths of attention are operators that nobody counts.
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield trace
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()


@contextmanager
def _count_recurrent(module: nn.Module) -> Iterator[None]:
    """Let recurrent layers run operators that have formulas, rather than a single one of oneDNN."""
    if not any(isinstance(each, nn.RNNBase) for each in module.modules()):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a setting for other processors
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _find_tensor(value: Any) -> Tensor | None:
    """Return the first tensor in what a module takes or returns."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return next((each for each in map(_find_tensor, value) if each is not None), None)
    return None


def _describe(call: _Call, parameters: int) -> LayerDescription:
    return LayerDescription(
        name=call.name or "(outside modules)",
        kind=type(call.module).__name__,
        output_shape=tuple(call.output.shape[1:]) if call.output is not None else (),
        parameters=parameters,
        macs=call.macs // IMAGES,
        receptive_field=SIDE,
    )
