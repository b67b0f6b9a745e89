"""One turn of a stage of an integer model as a C function, for an image that comes row by row."""

from collections.abc import Iterator, Sequence

from mnistcli.export.c_stage import Names, Source, StageWriter, output_type
from mnistcli.export.c_text import join, multiply
from mnistcli.export.integer import IntegerModel, Pool, Stage
from mnistcli.export.rows import RowPlan, Turns


def write_row_stage(
    model: IntegerModel, plan: RowPlan, number: int, sources: Sequence[Source], names: Names
) -> str:
    """Return the definition of a stage's function, which takes one turn."""
    stage = model.stages[number]
    are_dropped = [plan.is_dropped(source) for source in stage.sources]
    return "\n".join(_RowWriter(stage, sources, names, plan.turns[number], are_dropped).write())


class _RowWriter(StageWriter):
    """The lines of a function that takes one turn of a stage."""

    def __init__(
        self,
        stage: Stage,
        sources: Sequence[Source],
        names: Names,
        turns: Turns,
        are_dropped: Sequence[bool],
    ) -> None:
        super().__init__(stage, sources, names)
        self._turns = turns
        self._firsts = [
            f"{name}_first" if dropped else ""
            for name, dropped in zip(self._inputs, are_dropped, strict=True)
        ]

    def write(self) -> list[str]:
        stage, turns = self._stage, self._turns
        channels, _, width = stage.shape
        row, column = ("y" if turns.count > 1 else "0"), ("x" if width > 1 else "0")
        self._add(f"static inline void {self._names.function}({', '.join(self._list_arguments())})")
        place = join(join("0", width, column), channels, "channel")
        with self._block(""), self._each(channels, 1, width):
            match turns.way:
                case "rows":
                    self._write_result(row, column)
                    self._store(place)
                case "max":
                    self._write_max(column, place)
                case "sums":
                    self._write_pooled(column, place)
                case "kernel":
                    self._write_kernel_row(column, place)
        return self._lines

    def _unpack(self) -> None:
        """Unpack the weights of a channel, or those of the kernel's row that a turn needs."""
        found = self._stage.convolution
        if self._turns.way != "kernel" or found is None:
            super()._unpack()
            return
        for line in self._weights.unpack("y", found.weights.shape[2]):
            self._add(line)

    def _list_arguments(self) -> Iterator[str]:
        if self._turns.count > 1:
            yield "int y"
        for name, first, source in zip(self._inputs, self._firsts, self._sources, strict=True):
            if first:
                yield f"int {first}"
            yield f"const {source.type} *{name}"
        if self._turns.sums:
            yield "int32_t *sums"
        yield f"{output_type(self._stage)} *output"

    def _find_kept(self, row: str, source: int = 0) -> str:
        first = self._firsts[source]
        if not first or row == "0":
            return row
        return f"{row} - {first}"

    def _write_max(self, column: str, place: str) -> None:
        """Take the max of the results so far and of those of one row."""
        size = self._stage.pool
        self._add("int32_t result = INT32_MIN;")
        with self._loop("j", size):
            self._write_scaled("const int32_t one", "y", join(column, size, "j"))
            self._add("if (one > result) result = one;")
        with self._block(f"if (y % {size} == 0 || result > output[{place}]) "):
            self._store(place)

    def _write_pooled(self, column: str, place: str) -> None:
        """Take the max or the sum of the sums so far and of those of one row."""
        steps = self._stage.steps
        number, pool = next((n, step) for n, step in enumerate(steps) if isinstance(step, Pool))
        is_max = pool.kind == "max"
        kept, height = f"sums[{place}]", pool.height
        self._add(f"int32_t sum = y % {height} ? {kept} : {'INT32_MIN' if is_max else '0'};")
        with self._loop("u", pool.width):
            self._write_products("part", "y", join(column, pool.width, "u"))
            self._take("part", steps[:number])
            self._add("if (part > sum) sum = part;" if is_max else "sum += part;")
        self._finish_sum(f"y % {height} < {height - 1}", kept, place, steps[number + 1 :])

    def _write_kernel_row(self, column: str, place: str) -> None:
        """Add the products of one row of the kernel."""
        found, source, steps = self._stage.convolution, self._sources[0], self._stage.steps
        assert found is not None
        inputs, height, width = found.weights.shape[1:]
        size = inputs * width
        kept = f"sums[{place}]"
        self._add(f"int32_t sum = y ? {kept} : {self._names.bias}[channel];")
        start = multiply(self._find_kept("y"), source.shape[2])
        if column != "0":
            start = f"{start} + {multiply(column, found.stride)}"
        self._add(f"const {source.type} *value = input + {multiply(start, source.shape[0])};")
        weights = self._weights
        row = "0" if weights.are_unpacked else join(weights.channel, height, "y")
        self._add(weights.point(multiply(row, size)))
        self._add_products("sum", f"{size}")
        self._finish_sum(f"y < {height - 1}", kept, place, steps)

    def _finish_sum(self, is_open: str, kept: str, place: str, steps: Sequence[object]) -> None:
        """Keep the sum while it is open; else make it a result."""
        with self._block(f"if ({is_open}) "):
            self._add(f"{kept} = sum;")
            self._add("continue;")
        self._take("sum", steps)
        factor = f"{self._names.multipliers}[channel]"
        self._write_scaling("const int32_t result", f"(int64_t)sum * {factor}")
        self._store(place)
