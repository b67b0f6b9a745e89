"""Build layers one after the other, each for the output of those before it, and describe them."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistcli.engine.network.blocks import Residual, Reused
from mnistcli.engine.network.costs import bound_size, count_macs, count_parameters
from mnistcli.engine.network.fit import check_input, find_projection, show_shape
from mnistcli.engine.network.layers import SeededDropout
from mnistcli.engine.network.modules import make_module
from mnistcli.engine.network.reach import Reached, advance, join
from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec

PARAMETER_LIMIT = 20_000_000
ACTIVATION_LIMIT = 20_000_000
TOTAL_LIMIT = 100_000_000
"""Values that all layers may have in all, so that describing a network takes no minutes."""
MAC_LIMIT = 5_000_000_000


@dataclass(frozen=True)
class LayerDescription:
    """One layer as built: its output shape for one image, and its costs.

    A layer with layers in it comes before them, and has only costs of its own: all rows sum to the
    network's costs.
    """

    name: str
    """Place of the layer; in a residual "3.1", in repetition 0 of a repeat "3.0.1"."""
    kind: str
    output_shape: tuple[int, ...]
    """Shape without the batch: (channels, height, width) or (features,)."""
    parameters: int
    """Number of parameters, without those that an earlier layer has counted."""
    macs: int
    """Multiply-accumulates (MACs) for one image: in convolutions, linear layers and attention."""
    receptive_field: int
    """Side, in input pixels, of the square that one output value depends on."""


@dataclass(frozen=True)
class _Place:
    """Where a layer is: in the description, in the preset, and in the repetition it shares with."""

    row: str
    path: str
    twin: nn.Module | None = None
    """The module of the same place in the repetition whose weights are used."""

    def child(self, index: int) -> "_Place":
        """Return the place of a layer in this sequence."""
        twin = None if self.twin is None else self.twin.get_submodule(str(index))
        return _Place(f"{self.row}.{index}".lstrip("."), f"{self.path}.{index}", twin)

    @contextmanager
    def explain(self, kind: str) -> Iterator[None]:
        """Make one line, which names the layer, of what PyTorch says about it."""
        try:
            yield
        except (PresetError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise PresetError(f"{self.path}: {kind}: {reason}") from error


class Tracer:
    """A builder that pushes one image through every layer that it builds."""

    def __init__(self) -> None:
        self.rows: list[LayerDescription] = []
        self._parameters = self._macs = self._values = 0

    @torch.no_grad()
    def build(self, layers: Sequence[spec.Layer], reached: Reached) -> tuple[nn.Sequential, Tensor]:
        """Return the network in evaluation mode, and its output for one image.

        Raises:
            PresetError: a layer does not fit the output of the layers before it, or is too large.
        """
        model, reached = self._build_sequence(layers, reached, _Place("", "model.layers"))
        return model.eval(), reached.values

    def _build_sequence(
        self, layers: Sequence[spec.Layer], reached: Reached, place: _Place
    ) -> tuple[nn.Sequential, Reached]:
        model, module = nn.Sequential(), nn.Module()
        for index, layer in enumerate(layers):
            match layer:
                case spec.Residual():
                    module, reached = self._build_residual(layer, reached, place.child(index))
                case spec.Repeat():
                    module, reached = self._build_repeat(layer, reached, place.child(index))
                case _:
                    module, reached = self._build_plain(layer, reached, place.child(index))
            model.append(module)
        return pool_early(model), reached

    def _build_plain(
        self, layer: spec.PlainLayer, reached: Reached, place: _Place
    ) -> tuple[nn.Module, Reached]:
        with place.explain(layer.kind):
            module, values = self._push(layer, reached.values, place.twin)
        reached = advance(reached, layer, values)
        self._describe(place, layer.kind, reached, module)
        return module, reached

    def _build_residual(
        self, layer: spec.Residual, reached: Reached, place: _Place
    ) -> tuple[nn.Module, Reached]:
        start, twin = len(self.rows), place.twin if isinstance(place.twin, Residual) else None
        inside = _Place(place.row, f"{place.path}.layers", twin and twin.layers)
        layers, inner = self._build_sequence(layer.layers, reached, inside)
        projection: nn.Module = nn.Identity()
        values = reached.values
        with place.explain(layer.kind):
            needed = find_projection(values, inner.values, inner.jump // reached.jump)
            if needed:
                projection, values = self._push(needed, values, twin and twin.projection)
            total = inner.values + values
        reached = join(inner, advance(reached, needed, values), total)
        self._describe(place, layer.kind, reached, projection, start)
        return Residual(layers, projection), reached

    def _build_repeat(
        self, layer: spec.Repeat, reached: Reached, place: _Place
    ) -> tuple[nn.Module, Reached]:
        start, repetitions = len(self.rows), nn.Sequential()
        for number in range(layer.times):
            twin = place.twin and place.twin.get_submodule(str(number))
            if layer.shared and number and twin is None:
                twin = repetitions[0]
            inside = _Place(f"{place.row}.{number}", f"{place.path}.layers", twin)
            repetition, reached = self._build_sequence(layer.layers, reached, inside)
            repetitions.append(repetition)
        self._describe(place, layer.kind, reached, nn.Identity(), start)
        return repetitions, reached

    def _push(
        self, layer: spec.PlainLayer, values: Tensor, twin: nn.Module | None
    ) -> tuple[nn.Module, Tensor]:
        """Return the layer's module for an input like `values`, and its output."""
        check_input(layer, values)
        is_reused = twin is not None and _has_shared_weights(layer, twin)
        self._check_size(layer, values, is_reused)
        if twin is None or not is_reused:
            module = make_module(layer, values.shape[1]).eval()
            output = module(values.clone())
        else:
            module = Reused(twin.module if isinstance(twin, Reused) else twin)
            output = _reuse(module, values)
        self._parameters += count_parameters(module)
        self._macs += count_macs(module, output)
        return module, output

    def _check_size(self, layer: spec.PlainLayer, values: Tensor, is_reused: bool) -> None:
        weights, macs, outputs = bound_size(layer, values)
        if not is_reused and self._parameters + weights > PARAMETER_LIMIT:
            raise PresetError(f"more than {PARAMETER_LIMIT:,} parameters")
        self._values += outputs
        is_large = outputs > ACTIVATION_LIMIT or self._values > TOTAL_LIMIT
        if is_large or self._macs + macs > MAC_LIMIT:
            raise PresetError("too large for a network on 28 × 28 pixels")

    def _describe(
        self,
        place: _Place,
        kind: str,
        reached: Reached,
        module: nn.Module,
        row: int | None = None,
    ) -> None:
        """Add a row, at the end or before the rows of the layers in it."""
        description = LayerDescription(
            name=place.row,
            kind=kind,
            output_shape=tuple(reached.values.shape[1:]),
            parameters=count_parameters(module),
            macs=count_macs(module, reached.values),
            receptive_field=reached.field,
        )
        self.rows.insert(len(self.rows) if row is None else row, description)


def pool_early(model: nn.Sequential) -> nn.Sequential:
    """Move a max pooling before the ReLU and the channel dropout that it follows.

    Both keep the order of the values in a channel, so the outputs are the same, but they process
    a quarter of the values. Modules keep the names that they have in the preset's order.
    """
    order = list(model.named_children())
    for place in range(len(order)):
        while (
            place
            and isinstance(order[place][1], nn.MaxPool2d)
            and _keeps_order(order[place - 1][1])
        ):
            order[place - 1], order[place] = order[place], order[place - 1]
            place -= 1
    return nn.Sequential(OrderedDict(order))


def _keeps_order(module: nn.Module) -> bool:
    by_channel = isinstance(module, SeededDropout) and module.channels
    return by_channel or isinstance(module, nn.ReLU | nn.LeakyReLU)


def _has_shared_weights(layer: spec.PlainLayer, twin: nn.Module) -> bool:
    if isinstance(layer, spec.Normalization):
        return False
    return isinstance(twin, Reused) or count_parameters(twin) > 0


def _reuse(module: Reused, values: Tensor) -> Tensor:
    try:
        output: Tensor = module(values.clone())
        return output
    except RuntimeError as error:
        raise PresetError(
            f"the shared weights do not fit an input of {show_shape(values)}. Let every "
            "repetition keep the number of channels, or set shared = false"
        ) from error
