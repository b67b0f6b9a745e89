"""Memory for one image, from a network's description."""

from collections.abc import Sequence
from math import prod

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.network.trace import LayerDescription


def count_values(rows: Sequence[LayerDescription]) -> tuple[int, int]:
    """Return how many values are held at once, forward, and how many outputs there are in all.

    Forward, a layer needs its input and its output, and a residual keeps its input until the end.
    Layers that only contain others have no output of their own, but a residual has the sum.
    """
    largest = outputs = 0
    current = SIDE**2
    residuals: list[tuple[str, int]] = []
    for place, row in enumerate(rows):
        while residuals and not row.name.startswith(f"{residuals[-1][0]}."):
            residuals.pop()
        if not row.output_shape:  # of parameters that nothing uses
            continue
        size = prod(row.output_shape)
        has_rows = place + 1 < len(rows) and rows[place + 1].name.startswith(f"{row.name}.")
        kept = sum(values for _, values in residuals) + current
        if not has_rows:
            largest = max(largest, kept + size)
            current = size
            outputs += size
        elif row.kind == "residual":
            largest = max(largest, kept + 2 * size)  # both terms of the sum
            residuals.append((row.name, current))
            outputs += size
    return largest, outputs
