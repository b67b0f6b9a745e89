"""A network of layers as stages: what happens between one rounding of the values and the next.

Integers are rounded to 8 bits after every stage, and nowhere else: a convolution or linear layer
with the pooling, the normalization and the activation behind it is one stage.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mnistcli.engine.network.blocks import Residual, Reused, SelfAttention, SqueezeExcite
from mnistcli.engine.network.layers import (
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    SeededDropout,
)
from mnistcli.errors import PresetError

KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm2d: "batch_norm",
    nn.GroupNorm: "group_norm",
    nn.InstanceNorm2d: "instance_norm",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.Hardswish: "hard_swish",
    nn.MaxPool2d: "max_pool",
    nn.AvgPool2d: "average_pool",
    GlobalMaxPool: "global_max_pool",
    GlobalAveragePool: "global_average_pool",
    SqueezeExcite: "squeeze_excite",
    SelfAttention: "self_attention",
}
Maximum = nn.MaxPool2d | GlobalMaxPool
Average = nn.AvgPool2d | GlobalAveragePool
Curve = nn.LeakyReLU | nn.PReLU | nn.SiLU | nn.GELU | nn.Hardswish
Weighted = nn.Conv2d | nn.Linear


@dataclass
class Stage:
    """The modules of a stage, in the order in which they apply."""

    sources: tuple[int, ...]
    """The values that it reads: 0 is the image, i + 1 the output of stage i. Several are added."""
    layer: Weighted | None = None
    sums: list[nn.Module] = field(default_factory=list)
    """ReLU and at most one pooling, before any normalization."""
    norm: nn.BatchNorm2d | None = None
    rectifies: bool = False
    """Whether ReLU follows the normalization or the addition."""
    curve: Curve | None = None
    """The activation, if it is not ReLU."""
    pool: Maximum | None = None
    """Max pooling of the results."""
    modules: list[nn.Module] = field(default_factory=list)
    """All modules in the order of the network, with dropout."""
    names: list[str] = field(default_factory=list)
    is_unsigned: bool = False
    """Whether its output is never negative, which leaves 8 bits for its size."""

    @property
    def name(self) -> str:
        """Return the layers that it stands for."""
        return ", ".join(self.names)

    @property
    def has_results(self) -> bool:
        """Return whether what comes next applies to more than sums."""
        return len(self.sources) > 1 or bool(self.norm or self.curve or self.pool)

    @property
    def is_rectified(self) -> bool:
        """Return whether its results, before the curve, are never negative."""
        is_sum = self.norm is None and len(self.sources) == 1
        return self.rectifies or (is_sum and any(isinstance(each, nn.ReLU) for each in self.sums))

    @property
    def has_pooled_sums(self) -> bool:
        """Return whether it pools before any normalization."""
        return any(not isinstance(each, nn.ReLU) for each in self.sums)

    def compute(self, *inputs: Tensor) -> Tensor:
        """Return the stage's output, float (n, c, h, w), before any rounding."""
        return self.finish(self.sum_up(*inputs))

    def sum_up(self, *inputs: Tensor) -> Tensor:
        """Return the sums, float (n, c, h, w).

        Raises:
            PresetError: what is to be added has other shapes.
        """
        if len({each.shape for each in inputs}) > 1:
            raise PresetError(
                f"layer {self.name}: right after flatten it has no integer form. Put a linear "
                "layer before it"
            )
        if len(inputs) > 1:
            return sum(inputs[1:], start=inputs[0])
        match self.layer:
            case nn.Linear():
                sums: Tensor = self.layer(inputs[0].flatten(1))
                return sums[:, :, None, None]
            case nn.Conv2d():
                return self.layer(inputs[0])  # type: ignore[no-any-return]
        return inputs[0]

    def finish(self, values: Tensor) -> Tensor:
        """Return what becomes of the sums, float (n, c, h, w)."""
        for module in (*self.sums, self.norm, nn.ReLU() if self.rectifies else None):
            values = apply(module, values)
        return apply(self.pool, apply(self.curve, values))


def apply(module: nn.Module | None, values: Tensor) -> Tensor:
    """Return the module's output, always with height and width; without a module, the values."""
    if module is None:
        return values
    results: Tensor = module(values)
    return results if results.dim() == 4 else results[:, :, None, None]


def plan_stages(model: nn.Sequential) -> list[Stage]:
    """Return the stages of a network of layers; the last one's output is the logits.

    Raises:
        PresetError: a layer has no integer counterpart; the message names it.
    """
    planner = _Planner()
    planner.walk(model, "")
    return planner.finish()


@torch.no_grad()
def compute_stages(stages: list[Stage], inputs: Tensor) -> Iterator[Tensor]:
    """Yield every stage's output, float (n, c, h, w), for normalized images (n, 1, h, w)."""
    values = [inputs]
    for stage in stages:
        values.append(stage.compute(*(values[source] for source in stage.sources)))
        yield values[-1]


class _Planner:
    """The stages so far, and the one that layers are still added to."""

    def __init__(self) -> None:
        self._stages: list[Stage] = []
        self._open: Stage | None = None
        self._waiting: list[nn.Module] = []
        """Dropout that no stage has been opened for."""

    def walk(self, model: nn.Sequential, place: str) -> None:
        """Add the layers of a sequence, one after the other."""
        for name, module in model.named_children():
            self._add(module, f"{place}.{name}".lstrip("."))

    def finish(self) -> list[Stage]:
        """Return all stages. Results of a table are no logits: another stage follows them."""
        if self._open is None or self._open.curve is not None:
            self._begin()
        self._close()
        return self._stages

    def _begin(self, layer: Weighted | None = None) -> Stage:
        self._open = Stage((self._close(),), layer, modules=self._waiting)
        self._waiting = []
        return self._open

    def _close(self) -> int:
        """End the stage that layers are added to, and return the number of the last value."""
        if self._open is not None:
            self._open.is_unsigned = self._has_no_sign(self._open)
            self._stages.append(self._open)
        self._open = None
        return len(self._stages)

    def _has_no_sign(self, stage: Stage) -> bool:
        """Return whether a stage's output is never negative; a curve's always may be."""
        if stage.curve or stage.is_rectified:
            return not stage.curve
        is_weighted = stage.layer is not None or stage.norm is not None
        # A pixel of the image stands for a negative number if it is darker than the mean.
        values = [source and self._stages[source - 1].is_unsigned for source in stage.sources]
        return not is_weighted and all(values)

    def _add(self, module: nn.Module, place: str) -> None:
        match module:
            case Reused():
                self._add(module.module, place)
            case nn.Sequential():
                self.walk(module, place)
            case Residual():
                self._add_residual(module, place)
            case SeededDropout():
                (self._open.modules if self._open else self._waiting).append(module)
            case nn.Identity() | Flatten():
                pass
            case _:
                name = f"{place} {KINDS.get(type(module), type(module).__name__)}"
                stage = self._find_stage(module, name)
                stage.names.append(name)
                stage.modules.append(module)

    def _add_residual(self, module: Residual, place: str) -> None:
        source = added = self._close()
        self.walk(module.layers, place)
        if self._waiting:
            self._begin()
        main = self._close()
        projection = module.projection
        if isinstance(projection, Reused):
            projection = projection.module
        if isinstance(projection, nn.Conv2d | nn.Linear):
            name = f"{place} projection"
            self._open = Stage((source,), projection, modules=[projection], names=[name])
            added = self._close()
        self._open = Stage((main, added), names=[f"{place} residual"])

    def _find_stage(self, module: nn.Module, name: str) -> Stage:
        """Give the module to the stage that it belongs to, perhaps a new one."""
        match module:
            case nn.Conv2d() | nn.Linear():
                return self._begin(module)
            case nn.BatchNorm2d():
                return self._take_norm(module)
            case nn.ReLU():
                return self._take_rectifier(module)
            case nn.LeakyReLU() | nn.PReLU() | nn.SiLU() | nn.GELU() | nn.Hardswish():
                return self._take_curve(module)
            case nn.MaxPool2d() | GlobalMaxPool():
                return self._take_max(module)
            case nn.AvgPool2d() | GlobalAveragePool():
                stage = self._open or self._begin()
                if stage.has_results or stage.has_pooled_sums:
                    stage = self._begin()
                stage.sums.append(module)
                return stage
        raise PresetError(
            f"layer {name} cannot be computed in integers. Use convolutions, linear layers, "
            "batch_norm, activations, pooling, residual and repeat."
        )

    def _take_norm(self, norm: nn.BatchNorm2d) -> Stage:
        stage = self._open or self._begin()
        if stage.has_results or (stage.layer is None and stage.sums):
            stage = self._begin()
        stage.norm = norm
        return stage

    def _take_rectifier(self, module: nn.ReLU) -> Stage:
        stage = self._open or self._begin()
        if stage.curve:
            stage = self._begin()
        if stage.has_results:
            stage.rectifies = True
        else:
            stage.sums.append(module)
        return stage

    def _take_curve(self, curve: Curve) -> Stage:
        stage = self._open or self._begin()
        # Max pooling of the results comes last: it may only follow what keeps the order.
        keeps_order = isinstance(curve, nn.LeakyReLU)
        if stage.is_rectified or stage.curve or (stage.pool and not keeps_order):
            stage = self._begin()
        stage.curve = curve
        return stage

    def _take_max(self, pool: Maximum) -> Stage:
        stage = self._open or self._begin()
        if stage.pool or (stage.has_pooled_sums and not stage.has_results):
            stage = self._begin()
        if stage.has_results:
            stage.pool = pool
        else:
            stage.sums.append(pool)
        return stage
