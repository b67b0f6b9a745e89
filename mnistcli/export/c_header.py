"""Integer model → one C99 header without malloc, floating-point numbers or other headers."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from textwrap import fill, indent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.export.c_row_header import measure_memory, render_end, render_start
from mnistcli.export.c_rows import write_row_stage
from mnistcli.export.c_stage import (
    Names,
    Source,
    output_type,
    write_stage,
)
from mnistcli.export.c_text import INDENT
from mnistcli.export.c_weights import index_type, name_levels
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import BYTES, IntegerModel, Levels, Offset, Stage
from mnistcli.export.memory import Buffers, count_constants, pack, place_values
from mnistcli.export.rows import plan_rows

WIDTH = 100
PIXELS = SIDE * SIDE

START = """\
#if defined(MNIST_NETWORK_H) && MNIST_NETWORK_H + 0 != {digest}
#error "Another network is included already. Include each in a source file of its own."
#elif !defined(MNIST_NETWORK_H)
#define MNIST_NETWORK_H {digest}

#include <stdint.h>

/* On AVR, constants would lie in RAM without a word of their own. */
#if defined(__AVR__) && defined(__FLASH)
#define MNIST_CONSTANT const __flash
#else
#define MNIST_CONSTANT const
#endif

/* Right shifts of negative numbers must round down, as they do in C++20 and in every compiler. */
typedef char mnist_shifts_round_down[(-3 >> 1) == -2 ? 1 : -1];

/* Return product / 2^shift, halves rounded up, within low ... high. */
static inline int32_t mnist_scale(int64_t product, int shift, int32_t low, int32_t high)
{
    const int64_t scaled = (product + ((int64_t)1 << (shift - 1))) >> shift;
    return scaled < low ? low : scaled > high ? high : (int32_t)scaled;
}
"""

UNPACK = """\
/* Return weight `index` of several in a byte. */
static inline int mnist_unpack_{name}(MNIST_CONSTANT uint8_t *codes, {index} index)
{{
    return {first} + {step} * ((codes[index / {a_byte}] >> (index % {a_byte} * {bits})) & {mask});
}}
"""

END = """\
/* Return the digit with the largest logit; of equal ones the first. */
static inline int mnist_predict(const uint8_t image[{pixels}])
{{
    int32_t logits[{classes}];
    int best = 0;
    mnist_logits(image, logits);
    for (int digit = 1; digit < {classes}; digit++) {{
        if (logits[digit] > logits[best]) best = digit;
    }}
    return best;
}}

#endif
"""


def render_header(model: IntegerModel, facts: Facts) -> str:
    """Return the text of `network.h`, for images that are there as a whole."""
    buffers = place_values(model)
    arrays = _Arrays()
    functions = [
        write_stage(stage, _list_sources(model, stage), arrays.add(number, stage))
        for number, stage in enumerate(model.stages)
    ]
    body = [*_comment(model, functions), _render_logits(model, buffers)]
    return _assemble(
        _describe(model, facts, buffers.size, "the image and the logits"), arrays, body
    )


def render_row_header(model: IntegerModel, facts: Facts) -> str:
    """Return the text of `network.h`, for images that come row by row."""
    plan = plan_rows(model)
    arrays = _Arrays()
    functions = [
        write_row_stage(model, plan, number, _list_sources(model, stage), arrays.add(number, stage))
        for number, stage in enumerate(model.stages)
    ]
    body = [render_start(plan), *_comment(model, functions), render_end(model, plan)]
    return _assemble(
        _describe(model, facts, measure_memory(plan), "a row and the logits"), arrays, body
    )


def count_memory(model: IntegerModel, *, stream: bool) -> int:
    """Return the bytes of a header's static variables."""
    return measure_memory(plan_rows(model)) if stream else place_values(model).size


def _assemble(description: str, arrays: "_Arrays", body: Sequence[str]) -> str:
    parts = [
        *(_render_unpack(*item) for item in arrays.levels.items()),
        "\n".join(arrays.definitions) + "\n",
        *body,
        END.format(pixels=PIXELS, classes=CLASSES),
    ]
    digest = sha256("\n".join(parts).encode()).hexdigest()
    start = START.replace("{digest}", f"0x{digest[:8]}")
    return "\n".join([description, start, *parts])


def _describe(model: IntegerModel, facts: Facts, memory: int, beside: str) -> str:
    """Return the comment on top: where the network is from, its size, and its accuracy."""
    assert facts.integer_accuracy is not None
    figures = {
        "run": f"{facts.run_id} (preset {facts.preset}, mnistcli {facts.version})",
        "weights": f"SHA-256 {facts.weights_sha256}",
        "parameters": f"{facts.parameters:,}",
        "constants": f"{count_constants(model):,} bytes",
        "memory": f"{memory:,} bytes, and {beside}",
        "MACs": f"{facts.macs:,} an image",
        "accuracy": f"{_percent(facts.integer_accuracy)} on the test images of {facts.data}",
    }
    if facts.float_accuracy:
        figures["in float"] = _percent(facts.float_accuracy)
    lines = [f"{name + ':':<12}{_clean(text)}" for name, text in figures.items()]
    text = (
        "A network that reads handwritten digits, in integers.\n\n"
        + "\n".join(lines)
        + f"\n\nAn image is {SIDE} rows of {SIDE} pixels, 0 for the background, 255 for ink. The "
        "functions are not\nreentrant: values between the layers lie in static memory.\n"
    )
    return "/*\n" + indent(text, " * ", lambda line: True).replace(" * \n", " *\n") + " */"


def _percent(accuracy: Accuracy) -> str:
    low, high = accuracy.interval
    return (
        (
            f"{accuracy.correct / accuracy.total:.2%} ({accuracy.correct:,} of {accuracy.total:,}; "
            f"95 % interval {low:.2%} to {high:.2%})"
        )
        .replace("%", " %")
        .replace("95  %", "95 %")
    )


def _clean(text: str) -> str:
    """Return a text without control characters, in which no comment ends."""
    return "".join(each if each.isprintable() else " " for each in text).replace("*/", "* /")


def _comment(model: IntegerModel, functions: Sequence[str]) -> Iterator[str]:
    """Yield the functions of the stages, each below its name and shape."""
    for number, (stage, function) in enumerate(zip(model.stages, functions, strict=True)):
        shape = " x ".join(map(str, stage.shape))
        yield f"/* {number}: {_clean(stage.name)} -> {shape} */\n{function}\n"


def _list_sources(model: IntegerModel, stage: Stage) -> list[Source]:
    return [
        Source("uint8_t", (1, SIDE, SIDE), model.zero)
        if source == 0
        else Source(output_type(model.stages[source - 1]), model.stages[source - 1].shape, 0)
        for source in stage.sources
    ]


def _render_unpack(levels: Levels, index: str) -> str:
    return UNPACK.format(
        name=name_levels(levels),
        index=index,
        first=levels.first,
        step=levels.step,
        a_byte=8 // levels.bits,
        bits=levels.bits,
        mask=2**levels.bits - 1,
    )


def _render_logits(model: IntegerModel, buffers: Buffers) -> str:
    lines = [
        f"/* Compute the logits of an image, in units of about {model.logit_scale:.3g}. */",
        f"static inline void mnist_logits(const uint8_t image[{PIXELS}], "
        f"int32_t logits[{CLASSES}])",
        "{",
    ]
    if buffers.has_words:
        lines.append(f"{INDENT}static int32_t words[{buffers.size // 4}];")
        lines.append(f"{INDENT}uint8_t *const memory = (uint8_t *)words;")
    elif buffers.size:
        lines.append(f"{INDENT}static uint8_t memory[{buffers.size}];")
    for number, stage in enumerate(model.stages):
        values = [_locate(model, buffers, source) for source in stage.sources]
        values.append(_locate(model, buffers, number + 1))
        lines.append(f"{INDENT}mnist_stage_{number}({', '.join(values)});")
    return "\n".join([*lines, "}", ""])


def _locate(model: IntegerModel, buffers: Buffers, value: int) -> str:
    """Return the expression for the place of a value."""
    if value == 0:
        return "image"
    if value == len(model.stages):
        return "logits"
    place = f"memory + {buffers.offsets[value]}" if buffers.offsets[value] else "memory"
    kind = output_type(model.stages[value - 1])
    return place if kind == "uint8_t" else f"({kind} *)({place})"


class _Arrays:
    """The definitions of all constants; equal ones are defined once."""

    def __init__(self) -> None:
        self.definitions = list[str]()
        self.levels = dict[Levels, str]()
        """How packed weights are stored, and the C type of their indices."""
        self._names = dict[str, str]()

    def add(self, number: int, stage: Stage) -> Names:
        """Define the arrays of a stage, and return their names."""
        names = {"function": f"mnist_stage_{number}"}
        if stage.convolution is not None:
            levels, weights = stage.convolution.levels, stage.convolution.weights
            if levels != BYTES:
                known = self.levels.get(levels, "int")
                self.levels[levels] = max(known, index_type(stage.convolution))
            packed = pack(weights.transpose(0, 2, 3, 1), levels)
            names["weights"] = self._define(f"weights_{number}", packed)
            names["bias"] = self._define(f"bias_{number}", stage.convolution.bias)
        for step in stage.steps:
            if isinstance(step, Offset):
                names["offset"] = self._define(f"offset_{number}", step.values)
        if len(stage.sources) == 1:
            names["multipliers"] = self._define(f"multipliers_{number}", stage.multipliers)
        if stage.table is not None:
            kind = np.int8 if stage.is_signed else np.uint8
            names["table"] = self._define(f"table_{number}", stage.table.astype(kind))
        return Names(**names)

    def _define(self, name: str, values: NDArray[np.integer[Any]]) -> str:
        numbers = fill(", ".join(map(str, values.tolist())), WIDTH - len(INDENT))
        body = f"[{values.size}] = {{\n{indent(numbers, INDENT)}\n}};"
        key = f"{values.dtype.name}_t {body}"
        if key not in self._names:
            self._names[key] = f"mnist_{name}"
            kind = f"{values.dtype.name}_t"
            self.definitions.append(f"static MNIST_CONSTANT {kind} mnist_{name}{body}")
        return self._names[key]
