"""What calls the stages of a header that takes the image row by row."""

from collections.abc import Iterator
from textwrap import fill, indent

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.export.c_stage import output_type
from mnistcli.export.c_text import INDENT
from mnistcli.export.integer import IntegerModel
from mnistcli.export.rows import IMAGE, RowPlan

WIDTH = 100
START = """\
/* Stages, in the order of their turns; {wait} waits for the next row of the image. */
static MNIST_CONSTANT {order_type} mnist_order[] = {{
{order}
}};

/* How far an image is: turns of the stages, and rows of the values, of which 0 is the image. */
static struct {{
    {place_type} place;
    {count_type} turn[{stages}], first[{values}], count[{values}];
}} mnist_state;
static {memory};

/* Return the place of a value's next row; where no room is left, its first row is dropped. */
static inline uint8_t *mnist_begin_row(uint8_t *rows, int value, int capacity, int size)
{{
    {count_type} *const first = &mnist_state.first[value];
    if (mnist_state.count[value] - *first == capacity) {{
        for (int i = 0; i < (capacity - 1) * size; i++) rows[i] = rows[i + size];
        ++*first;
    }}
    return rows + (mnist_state.count[value]++ - *first) * size;
}}

/* Return the place of a value's last row. */
static inline uint8_t *mnist_last_row(uint8_t *rows, int value, int size)
{{
    return rows + (mnist_state.count[value] - 1 - mnist_state.first[value]) * size;
}}
"""
END = """\
/* Begin a new image, whether the last one was finished or not. */
static inline void mnist_begin(void)
{{
    mnist_state.place = 0;
    for (int i = 0; i < {stages}; i++) mnist_state.turn[i] = 0;
    for (int i = 0; i < {values}; i++) mnist_state.first[i] = mnist_state.count[i] = 0;
}}

/* Take the next row of an image and return 0. After the last one compute the logits, in units of
 * about {unit:.3g}, begin a new image and return 1. */
static inline int mnist_take_row(const uint8_t row[{side}], int32_t logits[{classes}])
{{
    uint8_t *const memory = {memory};
    uint8_t *const image = mnist_begin_row({image}, 0, {kept}, {side});
    for (int x = 0; x < {side}; x++) image[x] = row[x];
    for (;;) {{
        switch (mnist_order[mnist_state.place++]) {{
{cases}
        default:
            if (mnist_state.place < {turns}) return 0;
            mnist_begin();
            return 1;
        }}
    }}
}}

/* Compute the logits of a whole image. */
static inline void mnist_logits(const uint8_t image[{pixels}], int32_t logits[{classes}])
{{
    mnist_begin();
    for (int y = 0; y < {side}; y++) mnist_take_row(image + y * {side}, logits);
}}
"""


def measure_memory(plan: RowPlan) -> int:
    """Return the bytes of the static variables."""
    stages = len(plan.turns)
    places, counts = _count_bits(len(plan.order)) // 8, _count_bits(_most(plan)) // 8
    state = places + counts * (3 * stages + 2)
    return plan.buffers.size + state + -state % max(places, counts)


def render_start(plan: RowPlan) -> str:
    """Return the order of turns, the static variables, and what finds rows."""
    stages, size = len(plan.turns), plan.buffers.size
    wait = 2 ** _count_bits(stages) - 1
    # The first row of the image begins it all; behind the last turn, one more wait ends it.
    order = [wait if turn == IMAGE else turn for turn in (*plan.order[1:], IMAGE)]
    is_wide = plan.buffers.has_words
    return START.format(
        wait=wait,
        order_type=_type_of(stages),
        order=indent(fill(", ".join(map(str, order)), WIDTH - len(INDENT)), INDENT),
        place_type=_type_of(len(order)),
        # An unsigned type of 16 bits would be no int on AVR.
        count_type="uint8_t" if _count_bits(_most(plan)) == 8 else "int16_t",
        stages=stages,
        values=stages + 1,
        memory=f"int32_t mnist_words[{size // 4}]" if is_wide else f"uint8_t mnist_memory[{size}]",
    )


def render_end(model: IntegerModel, plan: RowPlan) -> str:
    """Return the functions that take rows of an image, and a whole one."""
    stages = len(plan.turns)
    cases = [line for number in range(stages) for line in _write_case(model, plan, number)]
    return END.format(
        stages=stages,
        values=stages + 1,
        unit=model.logit_scale,
        side=SIDE,
        classes=CLASSES,
        pixels=SIDE * SIDE,
        memory="(uint8_t *)mnist_words" if plan.buffers.has_words else "mnist_memory",
        image=_locate(plan, 0),
        kept=plan.kept[0],
        cases=indent("\n".join(cases), 2 * INDENT),
        turns=len(plan.order),
    )


def _write_case(model: IntegerModel, plan: RowPlan, number: int) -> Iterator[str]:
    """Yield the call of a stage's function for its next turn."""
    stage, turns = model.stages[number], plan.turns[number]
    is_last = number == len(model.stages) - 1
    has_turns = turns.count > 1
    yield f"case {number}: {{" if has_turns else f"case {number}:"
    if has_turns:
        yield f"{INDENT}const int y = mnist_state.turn[{number}]++;"
    arguments = ["y"] if has_turns else []
    for source in stage.sources:
        if plan.is_dropped(source):
            arguments.append(f"mnist_state.first[{source}]")
        arguments.append(_cast(_type(model, source), _locate(plan, source)))
    if turns.sums:
        arguments.append(_cast("int32_t", _point(plan.sums[number])))
    arguments.append(_find_output(model, plan, number))
    yield f"{INDENT}mnist_stage_{number}({', '.join(arguments)});"
    if is_last and turns.way == "max":
        logits = _cast("int32_t", _locate(plan, number + 1))
        copy = f"for (int i = 0; i < {CLASSES}; i++) logits[i] = ({logits})[i];"
        yield f"{INDENT}if (y == {turns.count - 1}) {{"
        yield f"{INDENT}{INDENT}{copy}"
        yield f"{INDENT}}}"
    yield f"{INDENT}break;"
    if has_turns:
        yield "}"


def _find_output(model: IntegerModel, plan: RowPlan, number: int) -> str:
    """Return the expression for the row that a turn writes to; 0 for a turn that writes nothing."""
    turns, value = plan.turns[number], number + 1
    if number == len(model.stages) - 1 and turns.way != "max":
        return "logits"
    kind = _type(model, value)
    channels, _, width = plan.shapes[value]
    size = channels * width * (4 if kind == "int32_t" else 1)
    place, per_row = _locate(plan, value), turns.per_row
    begun = f"mnist_begin_row({place}, {value}, {plan.kept[value]}, {size})"
    if per_row == 1:
        return _cast(kind, begun)
    if turns.way == "max":
        last = f"mnist_last_row({place}, {value}, {size})"
        return _cast(kind, f"y % {per_row} ? {last} : {begun}")
    return f"y % {per_row} < {per_row - 1} ? 0 : {_cast(kind, begun)}"


def _type(model: IntegerModel, value: int) -> str:
    return output_type(model.stages[value - 1]) if value else "uint8_t"


def _cast(kind: str, place: str) -> str:
    if kind == "uint8_t":
        return place
    return f"({kind} *){place}" if place.startswith("mnist_") else f"({kind} *)({place})"


def _locate(plan: RowPlan, value: int) -> str:
    return _point(plan.buffers.offsets[value])


def _point(offset: int) -> str:
    return f"memory + {offset}" if offset else "memory"


def _most(plan: RowPlan) -> int:
    """Return the largest number of turns or rows."""
    return max(SIDE, *(max(turns.count, turns.rows) for turns in plan.turns))


def _type_of(largest: int) -> str:
    return f"uint{_count_bits(largest)}_t"


def _count_bits(largest: int) -> int:
    """Return the bits of numbers up to one that is larger still."""
    return next(bits for bits in (8, 16, 32) if largest < 2**bits - 1)
