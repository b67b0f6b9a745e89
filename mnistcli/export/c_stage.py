"""One stage of an integer model as a C function.

Values lie row by row, all channels of a pixel together, so that the inner loop of a convolution
reads both values and weights one after the other.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mnistcli.export.c_text import INDENT, divide, join, move_by, multiply, shift_to, write_number
from mnistcli.export.c_weights import Weights
from mnistcli.export.integer import Convolution, Offset, Pool, Rectify, Shape, Stage


@dataclass(frozen=True)
class Names:
    """Names of a stage's function and arrays; "" for arrays that it lacks."""

    function: str
    weights: str = ""
    bias: str = ""
    offset: str = ""
    multipliers: str = ""
    table: str = ""


@dataclass(frozen=True)
class Source:
    """A value that a stage reads."""

    type: str
    """C type of its elements."""
    shape: Shape
    zero: int
    """Number to subtract from them: from the image's pixels; else 0."""

    def read(self, name: str, index: str) -> str:
        """Return the expression for an element."""
        return f"({name}[{index}] - {self.zero})" if self.zero else f"{name}[{index}]"

    def read_next(self, pointer: str) -> str:
        """Return the expression for the element at a pointer, which moves on."""
        return f"(*{pointer}++ - {self.zero})" if self.zero else f"*{pointer}++"


def output_type(stage: Stage) -> str:
    """Return the C type of a stage's results."""
    if stage.is_wide:
        return "int32_t"
    return "int8_t" if stage.is_signed else "uint8_t"


def write_stage(stage: Stage, sources: Sequence[Source], names: Names) -> str:
    """Return the definition of the stage's function."""
    return "\n".join(StageWriter(stage, sources, names).write())


class StageWriter:
    """The lines of a function, written from the outermost loop inwards."""

    def __init__(self, stage: Stage, sources: Sequence[Source], names: Names) -> None:
        self._stage = stage
        self._sources = sources
        count = len(sources)
        self._inputs = ["input", "other", *(f"other_{n}" for n in range(2, count))][:count]
        self._names = names
        self._weights = Weights(stage, names.weights)
        self._lines = list[str]()
        self._depth = 0

    def write(self) -> list[str]:
        """Return the lines."""
        channels, height, width = self._stage.shape
        row, column = ("y" if height > 1 else "0"), ("x" if width > 1 else "0")
        arguments = [
            f"const {source.type} *{name}"
            for source, name in zip(self._sources, self._inputs, strict=True)
        ]
        kind = output_type(self._stage)
        self._add(
            f"static inline void {self._names.function}({', '.join(arguments)}, {kind} *output)"
        )
        with self._block(""), self._each(channels, height, width):
            self._write_result(row, column)
            self._store(join(join(row, width, column), channels, "channel"))
        return self._lines

    @contextmanager
    def _each(self, channels: int, height: int, width: int) -> Iterator[None]:
        """Count pixels and, for each of them, channels; the reverse where weights are unpacked."""
        with ExitStack() as loops:
            if self._weights.are_unpacked:
                loops.enter_context(self._loop("channel", channels, needed=True))
                self._unpack()
            loops.enter_context(self._loop("y", height))
            loops.enter_context(self._loop("x", width))
            if not self._weights.are_unpacked:
                loops.enter_context(self._loop("channel", channels, needed=True))
            yield

    def _unpack(self) -> None:
        """Unpack the weights of a channel."""
        for line in self._weights.unpack():
            self._add(line)

    def _store(self, place: str) -> None:
        kind = output_type(self._stage)
        result = "result" if kind == "int32_t" else f"({kind})result"
        self._add(f"output[{place}] = {result};")

    def _write_result(self, row: str, column: str) -> None:
        """Compute `result`, the stage's output at a row and column."""
        size = self._stage.pool
        if size == 1:
            self._write_scaled("const int32_t result", row, column)
            return
        self._add("int32_t result = INT32_MIN;")
        with self._loop("i", size), self._loop("j", size):
            inner = join(row, size, "i"), join(column, size, "j")
            self._write_scaled("const int32_t one", *inner)
            self._add("if (one > result) result = one;")

    def _write_scaled(self, target: str, row: str, column: str) -> None:
        """Compute the scaled sum at a row and column."""
        stage, names = self._stage, self._names
        if len(self._sources) > 1:
            channels, _, width = self._sources[0].shape
            products = list[str]()
            for number, (source, name) in enumerate(zip(self._sources, self._inputs, strict=True)):
                kept = self._find_kept(row, number)
                place = join(join(kept, width, column), channels, "channel")
                factor = stage.multipliers[number]
                products.append(f"(int64_t){source.read(name, place)} * {factor}")
            self._write_scaling(target, " + ".join(products))
        else:
            self._write_sum(row, column)
            self._write_scaling(target, f"(int64_t)sum * {names.multipliers}[channel]")

    def _write_scaling(self, target: str, product: str) -> None:
        """Compute the result of a product of sum and multiplier."""
        stage, names = self._stage, self._names
        scaled = f"mnist_scale({product}, {stage.shift}, {stage.low}, {write_number(stage.high)})"
        if names.table:
            scaled = f"{names.table}[{scaled} + 128]"
        self._add(f"{target} = {scaled};")

    def _write_sum(self, row: str, column: str) -> None:
        """Compute `sum` at a row and column: the stage's sum after all steps."""
        steps = self._stage.steps
        place = next((n for n, step in enumerate(steps) if isinstance(step, Pool)), None)
        if place is None:
            self._write_products("sum", row, column)
            self._take("sum", steps)
            return
        pool = steps[place]
        assert isinstance(pool, Pool)
        self._add(f"int32_t sum = {'INT32_MIN' if pool.kind == 'max' else '0'};")
        with self._loop("v", pool.height), self._loop("u", pool.width):
            inner = join(row, pool.height, "v"), join(column, pool.width, "u")
            self._write_products("part", *inner)
            self._take("part", steps[:place])
            self._add("if (part > sum) sum = part;" if pool.kind == "max" else "sum += part;")
        self._take("sum", steps[place + 1 :])

    def _find_kept(self, row: str, source: int = 0) -> str:
        """Return the place of a source's row among those that are kept: here all are."""
        return row

    def _take(self, name: str, steps: Sequence[object]) -> None:
        for step in steps:
            match step:
                case Rectify():
                    self._add(f"if ({name} < 0) {name} = 0;")
                case Offset():
                    self._add(f"{name} += {self._names.offset}[channel];")

    def _write_products(self, name: str, row: str, column: str) -> None:
        """Compute the sum at a row and column before any step."""
        convolution, source = self._stage.convolution, self._sources[0]
        if convolution is None:
            channels, _, width = source.shape
            place = join(join(self._find_kept(row), width, column), channels, "channel")
            self._add(f"int32_t {name} = {source.read('input', place)};")
            return
        self._add(f"int32_t {name} = {self._names.bias}[channel];")
        if convolution.groups == convolution.dilation == 1:
            self._write_rows(convolution, name, row, column)
        else:
            self._write_pixels(convolution, name, row, column)

    def _write_rows(self, convolution: Convolution, name: str, row: str, column: str) -> None:
        """Add the products of one row of the kernel after the other.

        A row lies in one piece, in the weights and in the values: one loop and two pointers do.
        """
        source, padded = self._sources[0], convolution.padding > 0
        inputs, height, width = convolution.weights.shape[1:]
        channels, rows, columns = source.shape
        size, count = width * inputs, f"{width * inputs}"
        place = "column" if columns > 1 else "0"
        if padded or columns > 1:
            self._add(f"const int column = {shift_to(column, '', convolution, 1)};")
        if padded:
            self._add("const int first = column < 0 ? -column : 0;")
            last = f"column > {columns - width} ? {columns} - column : {width}"
            self._add(f"const int last = {last};")
            place, count = "column + first", multiply("last - first", inputs)
        else:
            self._add(self._weights.point(multiply(self._weights.channel, height * size)))
        with (
            self._loop("r", height, needed=padded),
            self._inside("row", shift_to(row, "r", convolution, height), rows, needed=padded),
        ):
            if convolution.padding >= width:
                self._add("if (first >= last) continue;")
            above = multiply(self._find_kept("row"), columns) if rows > 1 else "0"
            place = " + ".join(term for term in (above, place) if term != "0") or "0"
            self._add(f"const {source.type} *value = {move_by('input', place, channels)};")
            if padded:
                kernel_row = multiply(join(self._weights.channel, height, "r"), size)
                terms = (kernel_row, multiply("first", inputs))
                start = " + ".join(term for term in terms if term != "0")
                self._add(self._weights.point(start))
            self._add_products(name, count)

    def _add_products(self, name: str, count: str) -> None:
        """Add so many products of what `weight` and `value` point at."""
        value = self._sources[0].read_next("value")
        with self._block(f"for (int k = 0; k < {count}; k++) "):
            self._add(f"{name} += {self._weights.next} * {value};")

    def _write_pixels(self, convolution: Convolution, name: str, row: str, column: str) -> None:
        """Add the products of one pixel of the kernel after the other."""
        source, padded = self._sources[0], convolution.padding > 0
        inputs, height, width = convolution.weights.shape[1:]
        channels, rows, columns = source.shape
        with (
            self._loop("r", height, needed=padded),
            self._inside("row", shift_to(row, "r", convolution, height), rows, needed=padded),
            self._loop("c", width, needed=padded),
            self._inside(
                "column", shift_to(column, "c", convolution, width), columns, needed=padded
            ),
            self._loop("k", inputs),
        ):
            per_group = convolution.weights.shape[0] // convolution.groups
            first = "k" if convolution.groups == 1 else join(divide(per_group), inputs, "k")
            pixel = join(self._find_kept("row") if rows > 1 else "0", columns, "column")
            kernel = join(join(self._weights.channel, height, "r"), width, "c")
            weight = self._weights.read(join(kernel, inputs, "k"))
            value = source.read("input", join(pixel, channels, first))
            self._add(f"{name} += {weight} * {value};")

    @contextmanager
    def _inside(self, name: str, position: str, extent: int, *, needed: bool) -> Iterator[None]:
        """Name a row or column of the input; where `needed`, leave out what lies in the padding."""
        if needed or extent > 1:
            self._add(f"const int {name} = {position};")
        if needed:
            self._add(f"if ({name} < 0 || {name} >= {extent}) continue;")
        yield

    @contextmanager
    def _loop(self, name: str, count: int, *, needed: bool = False) -> Iterator[None]:
        """Count from 0; a loop of one turn is left out unless it is `needed`."""
        if count == 1 and not needed:
            yield
            return
        with self._block(f"for (int {name} = 0; {name} < {count}; {name}++) "):
            yield

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self._add(f"{head}{{")
        self._depth += 1
        yield
        self._depth -= 1
        self._add("}")

    def _add(self, line: str) -> None:
        self._lines.append(INDENT * self._depth + line)
