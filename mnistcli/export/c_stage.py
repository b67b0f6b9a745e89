"""One stage of an integer model as a C function.

Values lie row by row, all channels of a pixel together, so that the inner loop of a convolution
reads both values and weights one after the other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mnistcli.export.integer import BYTES, Convolution, Offset, Pool, Rectify, Shape, Stage

INDENT = "    "


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
    return "\n".join(_Writer(stage, sources, names).write())


class _Writer:
    """The lines of a function, written from the outermost loop inwards."""

    def __init__(self, stage: Stage, sources: Sequence[Source], names: Names) -> None:
        self._stage = stage
        self._sources = sources
        count = len(sources)
        self._inputs = ["input", "other", *(f"other_{n}" for n in range(2, count))][:count]
        self._names = names
        self._lines = list[str]()
        self._depth = 0

    def write(self) -> list[str]:
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
        with (
            self._block(""),
            self._loop("y", height),
            self._loop("x", width),
            self._loop("channel", channels, needed=True),
        ):
            place = _join(_join(row, width, column), channels, "channel")
            self._write_result(row, column)
            result = "result" if kind == "int32_t" else f"({kind})result"
            self._add(f"output[{place}] = {result};")
        return self._lines

    def _write_result(self, row: str, column: str) -> None:
        """Compute `result`, the stage's output at a row and column."""
        size = self._stage.pool
        if size == 1:
            self._write_scaled("const int32_t result", row, column)
            return
        self._add("int32_t result = INT32_MIN;")
        with self._loop("i", size), self._loop("j", size):
            inner = _join(row, size, "i"), _join(column, size, "j")
            self._write_scaled("const int32_t one", *inner)
            self._add("if (one > result) result = one;")

    def _write_scaled(self, target: str, row: str, column: str) -> None:
        """Compute the scaled sum at a row and column."""
        stage, names = self._stage, self._names
        if len(self._sources) > 1:
            channels, _, width = self._sources[0].shape
            place = _join(_join(row, width, column), channels, "channel")
            products = [
                f"(int64_t){source.read(name, place)} * {factor}"
                for source, name, factor in zip(
                    self._sources, self._inputs, stage.multipliers, strict=True
                )
            ]
            product = " + ".join(products)
        else:
            self._write_sum(row, column)
            product = f"(int64_t)sum * {names.multipliers}[channel]"
        scaled = f"mnist_scale({product}, {stage.shift}, {stage.low}, {_number(stage.high)})"
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
            inner = _join(row, pool.height, "v"), _join(column, pool.width, "u")
            self._write_products("part", *inner)
            self._take("part", steps[:place])
            self._add("if (part > sum) sum = part;" if pool.kind == "max" else "sum += part;")
        self._take("sum", steps[place + 1 :])

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
            place = _join(_join(row, width, column), channels, "channel")
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
            self._add(f"const int column = {_shift(column, '', convolution, 1)};")
        if padded:
            self._add("const int first = column < 0 ? -column : 0;")
            last = f"column > {columns - width} ? {columns} - column : {width}"
            self._add(f"const int last = {last};")
            place, count = "column + first", _multiply("last - first", inputs)
        else:
            self._point_at_weights(convolution, _multiply("channel", height * size))
        with (
            self._loop("r", height, needed=padded),
            self._inside("row", _shift(row, "r", convolution, height), rows, needed=padded),
        ):
            if convolution.padding >= width:
                self._add("if (first >= last) continue;")
            above = _multiply("row", columns) if rows > 1 else "0"
            place = " + ".join(term for term in (above, place) if term != "0") or "0"
            self._add(f"const {source.type} *value = {_offset('input', place, channels)};")
            if padded:
                start = f"{_multiply(_join('channel', height, 'r'), size)} + "
                self._point_at_weights(convolution, start + _multiply("first", inputs))
            with self._block(f"for (int k = 0; k < {count}; k++) "):
                is_packed = convolution.levels != BYTES
                weight = self._read_weight(convolution, "weight++") if is_packed else "*weight++"
                self._add(f"{name} += {weight} * {source.read_next('value')};")

    def _point_at_weights(self, convolution: Convolution, start: str) -> None:
        """Declare `weight`: a pointer, or a number if there are several weights in a byte."""
        if convolution.levels == BYTES:
            self._add(f"MNIST_CONSTANT int8_t *weight = {self._names.weights} + {start};")
        else:
            self._add(f"int weight = {start};")

    def _write_pixels(self, convolution: Convolution, name: str, row: str, column: str) -> None:
        """Add the products of one pixel of the kernel after the other."""
        source, padded = self._sources[0], convolution.padding > 0
        inputs, height, width = convolution.weights.shape[1:]
        channels, rows, columns = source.shape
        with (
            self._loop("r", height, needed=padded),
            self._inside("row", _shift(row, "r", convolution, height), rows, needed=padded),
            self._loop("c", width, needed=padded),
            self._inside("column", _shift(column, "c", convolution, width), columns, needed=padded),
            self._loop("k", inputs),
        ):
            per_group = convolution.weights.shape[0] // convolution.groups
            first = "k" if convolution.groups == 1 else _join(_divide(per_group), inputs, "k")
            pixel = _join("row" if rows > 1 else "0", columns, "column")
            kernel = _join(_join("channel", height, "r"), width, "c")
            weight = self._read_weight(convolution, _join(kernel, inputs, "k"))
            value = source.read("input", _join(pixel, channels, first))
            self._add(f"{name} += {weight} * {value};")

    def _read_weight(self, convolution: Convolution, index: str) -> str:
        if convolution.levels == BYTES:
            return f"{self._names.weights}[{index}]"
        return f"mnist_unpack_{convolution.levels.bits}({self._names.weights}, {index})"

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


def _shift(position: str, kernel: str, convolution: Convolution, extent: int) -> str:
    """Return the input's row or column that a kernel's row or column applies to."""
    base = position if convolution.stride == 1 else f"{_wrap(position)} * {convolution.stride}"
    step = kernel if convolution.dilation == 1 else f"{kernel} * {convolution.dilation}"
    terms = [term for term in (base if position != "0" else "", step if extent > 1 else "") if term]
    edge = f" - {convolution.padding}" if convolution.padding else ""
    return f"{' + '.join(terms) or '0'}{edge}"


def _divide(per_group: int) -> str:
    return "channel" if per_group == 1 else f"channel / {per_group}"


def _join(outer: str, count: int, inner: str) -> str:
    """Return outer · count + inner, where inner is one of `count`."""
    if count == 1:
        return outer
    return inner if outer == "0" else f"{_wrap(outer)} * {count} + {inner}"


def _offset(array: str, place: str, count: int) -> str:
    """Return the address of a place of so many elements."""
    return array if place == "0" else f"{array} + {_multiply(place, count)}"


def _multiply(expression: str, count: int) -> str:
    return expression if count == 1 or expression == "0" else f"{_wrap(expression)} * {count}"


def _wrap(expression: str) -> str:
    return f"({expression})" if " " in expression else expression


def _number(value: int) -> str:
    return "INT32_MAX" if value == 2**31 - 1 else str(value)
