"""Measure every layer of a preset, forward and backward, against the machine's own peak.

    python -m tests.benchmarks.speed --layers [PRESET…] [--threads N]

The peak is the speed of a product of two square matrices in the precision of the training. A layer
is fed with what it gets in the network, at the preset's batch size and in its memory order.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from mnistcli.preset.choices import PrecisionChoice
from tests.ledger.comparisons import line

SIDE = 2_048
REPEATS = 30


@dataclass(frozen=True)
class LayerSpeed:
    """What one layer takes, forward and backward, for one batch."""

    name: str
    kind: str
    macs: int
    """Multiply-accumulates (MACs) for one image, forward."""
    forward: float
    """Seconds."""
    backward: float
    """Seconds, for the gradients of weights and inputs; of weights alone in the first layer."""
    flops: tuple[float, float]
    """Floating-point operations for the batch: forward, backward."""

    def share(self, peak: float) -> tuple[float, float]:
        """Return the fractions of the peak, in operations per second, that both reach."""
        return self.flops[0] / self.forward / peak, self.flops[1] / self.backward / peak


def show_layers(name: str, options: argparse.Namespace) -> None:
    """Print the table of one preset's layers."""
    peak, layers = measure_layers(name, options.threads, options.precision)
    print(f"{name}: peak {peak / 1e9:,.0f} GFLOP/s\n\n{rows_of_layers(peak, layers)}\n", flush=True)


def measure_layers(
    name: str, threads: int, precision: PrecisionChoice
) -> tuple[float, list[LayerSpeed]]:
    """Return the machine's peak in operations per second, and the speed of every layer."""
    from mnistcli.engine.evaluation import normalize, to_inputs
    from mnistcli.experiment.data import load_data
    from mnistcli.experiment.machine import Options, choose_machine
    from mnistcli.experiment.network import build_network
    from mnistcli.preset.loading import load_preset

    preset = load_preset(name)
    options = Options(threads=threads, precision=precision, out=Path())
    machine = choose_machine(options)
    network = build_network(preset, 0, machine)
    images = load_data(preset, options, machine).train.images[: preset.train.batch_size]
    values = normalize(to_inputs(images), preset.normalization)

    def autocast() -> AbstractContextManager[Any]:
        return torch.autocast("cpu", machine.precision, machine.precision != torch.float32)

    found = []
    modules = dict(network.model.named_children())
    for layer in network.layers:
        module = modules[layer.name]
        with torch.no_grad(), autocast():
            after = module(values)
        forward, backward = _time_layer(module, values, autocast, is_first=layer.name == "0")
        flops = 2 * layer.macs * len(values)
        sides = 1 if layer.name == "0" else 2
        found.append(
            LayerSpeed(
                layer.name, layer.kind, layer.macs, forward, backward, (flops, sides * flops)
            )
        )
        values = after
    return measure_peak(machine.precision), found


def measure_peak(precision: torch.dtype) -> float:
    """Return the floating-point operations per second of a large matrix product."""
    left, right = (torch.randn(SIDE, SIDE).to(precision) for _ in range(2))
    seconds = _time(lambda: left @ right, repeats=9)
    return float(2 * SIDE**3 / seconds)


def _time_layer(
    module: nn.Module, values: Tensor, autocast: Callable[[], Any], *, is_first: bool
) -> tuple[float, float]:
    inputs = values.detach().clone(memory_format=torch.preserve_format)
    inputs.requires_grad_(not is_first)
    wanted = [each for each in (inputs, *module.parameters()) if each.requires_grad]

    def forward() -> Tensor:
        with autocast():
            return module(inputs)

    outputs = forward()
    if not outputs.requires_grad:
        return _time(forward), float("nan")
    gradient = torch.randn_like(outputs)

    def backward() -> None:
        torch.autograd.grad(outputs, wanted, gradient, retain_graph=True)

    return _time(forward), _time(backward)


def _time(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median time of a call in seconds, after a warm-up."""
    seconds = []
    for _ in range(repeats + 5):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds[5:])


def rows_of_layers(peak: float, layers: list[LayerSpeed]) -> str:
    """Return a Markdown table of the layers."""
    head = ["layer", "MACs", "forward, ms", "of the peak", "backward, ms", "of the peak"]
    rows = []
    for layer in layers:
        there, back = (f"{100 * share:.0f} %" if layer.macs else "" for share in layer.share(peak))
        times = f"{1e3 * layer.forward:.2f}", f"{1e3 * layer.backward:.2f}"
        name = f"{layer.name} {layer.kind}"
        rows.append([name, f"{layer.macs:,}", times[0], there, times[1], back])
    return "\n".join(map(line, [head, ["---"] * len(head), *rows]))
