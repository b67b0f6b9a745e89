"""A network's layers → the rows of an indented tree, with repetitions taken together."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.records.documents import LayerRow

INDENT = "  "


class Branch(NamedTuple):
    """A row of the tree, and how many rows it is nested in."""

    layer: LayerRow
    depth: int
    relative_name: str
    """The name without that of the layer around it."""


def layer_table(layers: Sequence[LayerRow], *, is_measured: bool = False) -> Table:
    """Build the table of a network's layers.

    The tree is in the column of kinds, beside names such as "3.0.1". Names that a user gave can be
    long: they are shown without those of the layers around them, and the tree is theirs.

    Args:
        layers: in their order, those in others right after them.
        is_measured: whether the receptive fields were measured.
    """
    field = "field,\nmeasured" if is_measured else "receptive\nfield"
    table = new_table(
        "layer", "kind", "output", "parameters", "MACs", field,
        right=("parameters", "MACs", field, "output"), gap=1,
    )  # fmt: skip
    rows = draw_tree(layers)
    digits = max((len(row.name) for row, *_ in rows if row.name.isdigit()), default=0)
    is_numbered = all(row.name.startswith(tuple("0123456789")) for row, *_ in rows)
    for layer, depth, relative in rows:
        name, kind = layer.name.rjust(digits), layer.kind
        if not is_numbered:
            name = f"{INDENT * depth}{relative}"
        elif depth:
            name, kind = layer.name, f"{INDENT * depth}{layer.kind}"
        table.add_row(
            Text(name),
            Text(kind),
            "×".join(str(extent) for extent in layer.output_shape),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.macs:,}" if layer.macs else "",
            str(layer.receptive_field) if layer.output_shape else "",
        )
    return table


def draw_tree(layers: Sequence[LayerRow]) -> list[Branch]:
    """Return the rows to show, outer layers before those in them; they sum to all costs.

    Of a `repeat`, the first repetition has a row for every layer, and all others have one together.
    """
    return list(_draw(layers, 0, ""))


def _draw(layers: Sequence[LayerRow], depth: int, around: str) -> Iterator[Branch]:
    place = 0
    while place < len(layers):
        layer, end = layers[place], place + 1
        while end < len(layers) and layers[end].name.startswith(f"{layer.name}."):
            end += 1
        inner = layers[place + 1 : end]
        if layer.kind == "repeat" and inner:
            yield from _draw_repeat(layer, inner, depth, around)
        else:
            yield Branch(layer, depth, layer.name.removeprefix(around))
            yield from _draw(inner, depth + 1, f"{layer.name}.")
        place = end


def _draw_repeat(
    layer: LayerRow, inner: Sequence[LayerRow], depth: int, around: str
) -> Iterator[Branch]:
    level = layer.name.count(".") + 1
    repetitions = [list(rows) for _, rows in groupby(inner, lambda row: row.name.split(".")[level])]
    times = len(repetitions)
    repeat = layer.model_copy(update={"kind": f"{layer.kind} ×{times}"})
    yield Branch(repeat, depth, layer.name.removeprefix(around))
    yield from _draw(repetitions[0], depth + 1, f"{layer.name}.")
    if later := [row for rows in repetitions[1:] for row in rows]:
        numbers = "1" + (f"–{times - 1}" if times > 2 else "")
        together = {
            "name": f"{layer.name}.{numbers}",
            "kind": f"{times - 1} more",
            "parameters": sum(row.parameters for row in later),
            "macs": sum(row.macs for row in later),
        }
        yield Branch(layer.model_copy(update=together), depth + 1, numbers)
