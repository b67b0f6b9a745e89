"""The plan for an image that comes row by row: which rows to keep, and in which order to compute.

Of every value only the rows are kept that are still needed. A stage computes a row as soon as the
rows that it reads are there; of several stages that can, the last one does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mnistcli.datasets.examples import SIDE
from mnistcli.export.integer import IntegerModel, Pool, Shape, Stage
from mnistcli.export.memory import Block, Buffers, place_blocks

Way = Literal["rows", "max", "sums", "kernel"]
"""What a stage computes in a turn:

- `rows`: a row of its results;
- `max`: results of one row before its pooling, of which the max so far is kept;
- `sums`: sums of one row before their pooling, of which the max or the sum so far is kept;
- `kernel`: products of one row of a kernel that covers all rows, added to sums that are kept.
"""
IMAGE = -1
"""In the order of turns: the next row of the image is needed."""


@dataclass(frozen=True)
class Turns:
    """How a stage computes its results."""

    way: Way
    count: int
    """Number of turns."""
    rows: int
    """Rows of its sources that it has."""
    first: int
    """First row that the first turn reads; negative if it lies in the padding."""
    step: int
    """Rows from one turn to the next."""
    span: int
    """Rows that a turn reads, with those between them."""
    per_row: int = 1
    """Turns for a row of results."""
    sums: int = 0
    """32-bit sums that are kept from one turn to the next."""

    def find_first(self, turn: int) -> int:
        """Return the first row that a turn reads."""
        return min(max(0, self.first + turn * self.step), self.rows - 1)

    def find_end(self, turn: int) -> int:
        """Return the number of rows that must be there for a turn."""
        return min(max(0, self.first + turn * self.step + self.span), self.rows)


@dataclass(frozen=True)
class RowPlan:
    """How to compute a model from rows of an image."""

    turns: tuple[Turns, ...]
    """Turns of every stage."""
    order: tuple[int, ...]
    """Stages, by number, in the order of their turns; `IMAGE` where a row of the image comes."""
    kept: tuple[int, ...]
    """Rows that are kept of every value; value 0 is the image."""
    shapes: tuple[Shape, ...]
    """Shapes of all values."""
    buffers: Buffers
    """Where the rows of every value lie."""
    sums: Mapping[int, int]
    """First byte of the sums of the stages that keep some."""

    def is_dropped(self, value: int) -> bool:
        """Return whether rows of a value are dropped before the image ends."""
        return self.kept[value] < self.shapes[value][1]


def plan_rows(model: IntegerModel) -> RowPlan:
    """Return which rows to keep, and in which order to compute."""
    shapes = list_shapes(model)
    turns = tuple(_choose_way(stage, shapes[stage.sources[0]]) for stage in model.stages)
    order, kept = _simulate(model, turns)
    buffers, sums = _place(model, turns, order, kept)
    return RowPlan(turns, order, kept, tuple(shapes), buffers, sums)


def list_shapes(model: IntegerModel) -> list[Shape]:
    """Return the shape of every value: of the image, and of every stage's results."""
    return [(1, SIDE, SIDE), *(stage.shape for stage in model.stages)]


def _choose_way(stage: Stage, source: Shape) -> Turns:
    """Return a way that keeps few bytes: rows of the source, or sums where they take less."""
    pools = [step for step in stage.steps if isinstance(step, Pool)]
    height = pools[0].height if pools else 1
    line = _read_lines(stage, source)
    if height == stage.pool == 1:
        return line if pools else _split_kernel(stage, source, line)
    lines = height * stage.pool
    whole = replace(line, step=line.step * lines, span=line.span + line.step * (lines - 1))
    if height == 1:
        return replace(line, way="max", count=lines * stage.shape[1], per_row=lines)
    sums = stage.shape[0] * stage.shape[2]
    spared = min(whole.span, whole.rows) - min(line.span, whole.rows)
    if stage.pool > 1 or 4 * sums >= spared * source[0] * source[2]:
        return whole
    return replace(line, way="sums", count=lines * stage.shape[1], per_row=lines, sums=sums)


def _read_lines(stage: Stage, source: Shape) -> Turns:
    """Return the turns that compute the sums before any pooling, a row in each."""
    found = stage.convolution
    if found is None:
        return Turns("rows", stage.shape[1], source[1], first=0, step=1, span=1)
    span = (found.weights.shape[2] - 1) * found.dilation + 1
    return Turns("rows", stage.shape[1], source[1], -found.padding, found.stride, span)


def _split_kernel(stage: Stage, source: Shape, line: Turns) -> Turns:
    """Return the turns of a kernel that covers all rows, if they keep fewer bytes."""
    found = stage.convolution
    sums = stage.shape[0] * stage.shape[2]
    if found is None or stage.shape[1] > 1 or found.padding or found.groups * found.dilation > 1:
        return line
    if line.span == 1 or 4 * sums >= (line.span - 1) * source[0] * source[2]:
        return line
    return Turns("kernel", line.span, line.rows, 0, 1, 1, per_row=line.span, sums=sums)


def _simulate(
    model: IntegerModel, turns: Sequence[Turns]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the order of turns, and how many rows of every value are needed at a time."""
    readers = _list_readers(model)
    order = list[int]()
    kept = [1] * len(readers)
    ready = [0] * len(readers)
    """Rows of every value that are finished."""
    done = [0] * len(turns)

    def begin_row(value: int) -> None:
        """Count the rows of a value that are needed together with the one that begins."""
        needed = [
            turns[reader].find_first(done[reader])
            for reader in readers[value]
            if done[reader] < turns[reader].count
        ]
        kept[value] = max(kept[value], ready[value] + 1 - min(needed, default=ready[value]))

    while done[-1] < turns[-1].count or ready[0] < SIDE:
        stage = _find_next(model, turns, done, ready)
        if stage == IMAGE:
            begin_row(0)
            ready[0] += 1
        else:
            is_first, is_last = _place_turn(turns[stage], done[stage])
            if is_first:
                begin_row(stage + 1)
            done[stage] += 1
            ready[stage + 1] += is_last
        order.append(stage)
    return tuple(order), tuple(kept)


def _find_next(
    model: IntegerModel, turns: Sequence[Turns], done: Sequence[int], ready: Sequence[int]
) -> int:
    """Return the last stage that can compute; `IMAGE` if none can."""
    if ready[0] == 0:
        return IMAGE
    for number in reversed(range(len(turns))):
        each, turn = turns[number], done[number]
        if turn == each.count or any(
            ready[source] < each.find_end(turn) for source in model.stages[number].sources
        ):
            continue
        # The logits come with the last row, whether it is needed for them or not.
        is_end = number == len(turns) - 1 and turn == each.count - 1
        if not is_end or ready[0] == SIDE:
            return number
    return IMAGE


def _place_turn(turns: Turns, turn: int) -> tuple[bool, bool]:
    """Return whether a turn begins a row of results, and whether it finishes one."""
    place = turn % turns.per_row
    is_last = place == turns.per_row - 1
    return (place == 0 if turns.way == "max" else is_last), is_last


def _list_readers(model: IntegerModel) -> list[list[int]]:
    """Return, for every value, the stages that read it."""
    readers: list[list[int]] = [[] for _ in range(len(model.stages) + 1)]
    for number, stage in enumerate(model.stages):
        for source in stage.sources:
            readers[source].append(number)
    return readers


def _place(
    model: IntegerModel, turns: Sequence[Turns], order: Sequence[int], kept: Sequence[int]
) -> tuple[Buffers, dict[int, int]]:
    """Place rows and sums in one block of memory."""
    shapes, readers = list_shapes(model), _list_readers(model)
    blocks = dict[int, Block]()
    for value, (channels, _, width) in enumerate(shapes):
        is_logits = value == len(shapes) - 1
        if is_logits and turns[-1].way != "max":
            continue  # they go straight to the caller
        # Rows that nothing reads are written all the same. The logits are read behind it all.
        begin, end = _find_span(order, (_find_writer(value), *readers[value]))
        element = 4 if value and model.stages[value - 1].is_wide else 1
        size = kept[value] * channels * width * element
        blocks[value] = Block(size, element, begin, len(order) if is_logits else end)
    with_sums = [stage for stage, each in enumerate(turns) if each.sums]
    for number, stage in enumerate(with_sums, start=len(shapes)):
        blocks[number] = Block(4 * turns[stage].sums, 4, *_find_span(order, (stage,)))
    placed = place_blocks(blocks)
    numbers = enumerate(with_sums, start=len(shapes))
    return placed, {stage: placed.offsets[number] for number, stage in numbers}


def _find_writer(value: int) -> int:
    """Return what writes a value: a stage, or the image."""
    return value - 1 if value else IMAGE


def _find_span(order: Sequence[int], users: Sequence[int]) -> tuple[int, int]:
    """Return the first and the last turn of any of these; one that nothing needs has none."""
    places = [place for place, stage in enumerate(order) if stage in users]
    return min(places, default=0), max(places, default=0)
