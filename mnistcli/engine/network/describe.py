"""Describe any module by running it: its modules in the order of their calls, and their costs."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.network.build import LayerDescription

REACH_IMAGES = 64
OUTSIDE = "(outside)"
"""Name of the row of what the network's own forward computes, outside of the modules in it."""
UNUSED = "(unused)"
"""Name of the row of the parameters that no operator reads."""
ELEMENTWISE = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.dropout._DropoutNd,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.SiLU, nn.GELU, nn.Hardswish, nn.ELU, nn.Tanh,
    nn.Sigmoid, nn.Identity,
)  # fmt: skip
"""Modules of which every output value depends on the input value in its place alone."""


class OperatorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiply-accumulates with the formulas of PyTorch's flop counter."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # It imports Triton: 70 MiB that a network of layers is spared.
        from torch.utils.flop_counter import flop_registry

        self._formulas = flop_registry
        self.macs = 0
        self.used: set[nn.Parameter] = set()
        """Parameters that an operator has read."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the import of PyTorch's compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator, and count."""
        self.used.update(_find_parameters(args))
        output = function(*args, **(kwargs or {}))
        formula = self._formulas.get(function._overloadpacket)
        if formula:
            self.macs += formula(*args, **(kwargs or {}), out_val=output) // 2
        return output


@dataclass
class _Call:
    """A module of the network, as its calls found it."""

    name: str
    module: nn.Module
    input: Tensor | None = None
    output: Tensor | None = None
    macs: int = 0
    """Multiply-accumulates of all its calls, without those of the modules in it."""


@dataclass
class _Trace:
    """The modules of a network in the order of their first calls."""

    module: nn.Module
    names: Mapping[nn.Module, str]
    counter: OperatorCounter
    calls: dict[nn.Module, _Call] = field(default_factory=dict)
    _open: list[list[int]] = field(default_factory=list)
    """For every module that is running: the count when it began, and that of the modules in it."""

    def run(self, images: Tensor) -> None:
        """Run the network."""
        self.enter(self.module, images)
        self.leave(self.module, images, self.module(images))

    def enter(self, module: nn.Module, inputs: Any) -> None:
        call = self.calls.setdefault(module, _Call(self.names[module], module))
        call.input = _find_tensor(inputs)
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

    A module that runs several times has one row, with the multiply-accumulates of all of its runs
    and the shape of the last output. Parameters of a module that is never called itself, but used,
    are in the row of the module around it. The rows' parameters and multiply-accumulates add up to
    the network's. Receptive fields are left at the whole image: `measure_reach` finds them.

    Args:
        module: float (n, 1, 28, 28) → logits (n, 10); put in evaluation mode.
    """
    module.eval()
    with (
        torch.no_grad(),
        _plain_attention(),
        _plain_recurrence(module),
        _tracing(module) as trace,
        trace.counter,
    ):
        trace.run(torch.zeros(1, 1, SIDE, SIDE))
    counts, unused = _share_parameters(module, trace)
    outside, *calls = trace.calls.values()
    rows = [_describe(call, counts[call.name]) for call in calls]
    if counts[outside.name] or outside.macs or not rows:
        rows.append(replace(_describe(outside, counts[outside.name]), name=OUTSIDE))
    if unused:
        rows.append(LayerDescription(UNUSED, "", (), unused, macs=0, receptive_field=0))
    return rows


def _share_parameters(module: nn.Module, trace: _Trace) -> tuple[Counter[str], int]:
    """Return the number of parameters of every row, by its name, and of those that are unused."""
    called = {call.name for call in trace.calls.values()}
    counts: Counter[str] = Counter()
    unused = 0
    for name, parameter in module.named_parameters():
        row = name
        while (row := row.rpartition(".")[0]) not in called:
            pass
        if parameter in trace.counter.used:
            counts[row] += parameter.numel()
        else:
            unused += parameter.numel()
    return counts, unused


def measure_reach(module: nn.Module) -> dict[str, int]:
    """Measure the receptive field of every module that runs, in pixels, by its name.

    It is the side of the square around all pixels whose gradient reaches the central position of
    the module's output, for any of 64 random images; of an output without height and width, any of
    its values.

    Args:
        module: put in evaluation mode, and changed: parameters that are 0, as those that start a
            residual branch may be, would hide what lies behind them.
    """
    module.eval()
    generator = torch.Generator().manual_seed(0)
    _fill_zeros(module, generator)
    images = torch.randn(REACH_IMAGES, 1, SIDE, SIDE, generator=generator, requires_grad=True)
    reach: dict[int, int] = {}
    found: dict[str, int] = {}
    with torch.enable_grad(), _tracing(module) as trace:
        trace.run(images.clone())  # a copy: the module may change it
    for call in trace.calls.values():
        if call.output is None or not call.output.requires_grad:
            continue
        known = reach.get(id(call.input)) if isinstance(call.module, ELEMENTWISE) else None
        found[call.name] = known or _measure(images, call.output)
        reach[id(call.output)] = found[call.name]
    return found


@torch.no_grad()
def _fill_zeros(module: nn.Module, generator: torch.Generator) -> None:
    for parameter in module.parameters():
        small = torch.rand(parameter.shape, generator=generator) / 100 + 0.01
        parameter.copy_(torch.where(parameter == 0, small.to(parameter.dtype), parameter))


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


@contextmanager
def _tracing(module: nn.Module) -> Iterator[_Trace]:
    names = {each: name for name, each in module.named_modules()}
    trace = _Trace(module, names, OperatorCounter())
    handles = []
    for each in names:
        # Modules in a compiled one take no hooks, and run as its part.
        if each is not module and not isinstance(each, torch.jit.ScriptModule):
            handles.append(each.register_forward_pre_hook(trace.enter))
            handles.append(each.register_forward_hook(trace.leave))
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Let attention multiply matrices, rather than run a fused operator without a formula."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _plain_recurrence(module: nn.Module) -> Iterator[None]:
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


def _find_parameters(value: Any) -> Iterator[nn.Parameter]:
    """Yield the parameters among the arguments of an operator."""
    if isinstance(value, nn.Parameter):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _find_parameters(each)


def _describe(call: _Call, parameters: int) -> LayerDescription:
    return LayerDescription(
        name=call.name,
        kind=type(call.module).__name__,
        output_shape=tuple(call.output.shape[1:]) if call.output is not None else (),
        parameters=parameters,
        macs=call.macs,
        receptive_field=SIDE,
    )
