"""Series of numbers → one line of block characters."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def draw_sparkline(values: Sequence[float], width: int, *, is_logarithmic: bool = False) -> str:
    """Draw values from their minimum to their maximum; a longer series is thinned to `width`."""
    if len(values) > width:
        last = len(values) - 1
        values = [values[round(place * last / (width - 1))] for place in range(width)]
    if is_logarithmic:
        values = [math.log(max(value, 1e-12)) for value in values]
    low, high = min(values, default=0.0), max(values, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round(scale * (value - low))] for value in values)
