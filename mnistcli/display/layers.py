"""A network's layers → the rows of an indented tree, with repetitions taken together."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.records.documents import LayerRow


class Branch(NamedTuple):
    """A row of the tree, and how many rows it is nested in."""

    layer: LayerRow
    depth: int


def layer_table(layers: Sequence[LayerRow], *, is_measured: bool = False) -> Table:
    """Build the table of a network's layers.

    Args:
        layers: in their order, those in others right after them.
        is_measured: whether the receptive fields were measured.
    """
    field = "field, measured" if is_measured else "receptive field"
    table = new_table(
        "layer", "kind", "output", "parameters", "MACs", field,
        right=("parameters", "MACs", field, "output"), gap=1,
    )  # fmt: skip
    rows = draw_tree(layers)
    digits = max((len(layer.name) for layer, depth in rows if not depth), default=0)
    for layer, depth in rows:
        table.add_row(
            layer.name if depth else layer.name.rjust(digits),
            Text("  " * depth + layer.kind),
            "×".join(str(extent) for extent in layer.output_shape),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.macs:,}" if layer.macs else "",
            str(layer.receptive_field),
        )
    return table


def draw_tree(layers: Sequence[LayerRow]) -> list[Branch]:
    """Return the rows to show, outer layers before those in them; they sum to all costs.

    Of a `repeat`, the first repetition has a row for every layer, and all others have one together.
    """
    return list(_draw(layers, 0))


def _draw(layers: Sequence[LayerRow], depth: int) -> Iterator[Branch]:
    place = 0
    while place < len(layers):
        layer, end = layers[place], place + 1
        while end < len(layers) and layers[end].name.startswith(f"{layer.name}."):
            end += 1
        inner = layers[place + 1 : end]
        if layer.kind == "repeat" and inner:
            yield from _draw_repeat(layer, inner, depth)
        else:
            yield Branch(layer, depth)
            yield from _draw(inner, depth + 1)
        place = end


def _draw_repeat(layer: LayerRow, inner: Sequence[LayerRow], depth: int) -> Iterator[Branch]:
    level = layer.name.count(".") + 1
    repetitions = [list(rows) for _, rows in groupby(inner, lambda row: row.name.split(".")[level])]
    times = len(repetitions)
    yield Branch(layer.model_copy(update={"kind": f"{layer.kind} ×{times}"}), depth)
    yield from _draw(repetitions[0], depth + 1)
    if later := [row for rows in repetitions[1:] for row in rows]:
        together = {
            "name": f"{layer.name}.1" + (f"–{times - 1}" if times > 2 else ""),
            "kind": f"{times - 1} more",
            "parameters": sum(row.parameters for row in later),
            "macs": sum(row.macs for row in later),
        }
        yield Branch(layer.model_copy(update=together), depth + 1)
