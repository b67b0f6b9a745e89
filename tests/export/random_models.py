"""Integer models with random weights: every kind of stage, in every order that fits."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from mnistcli.engine.network.fold import SUM_LIMIT
from mnistcli.export.integer import (
    BYTES,
    Convolution,
    IntegerModel,
    Integers,
    Levels,
    Offset,
    Pool,
    Rectify,
    Stage,
    Step,
    compute_stage,
    convolve,
    pool,
)

LEVELS = (
    (BYTES, 256),
    (Levels(bits=4, first=-7), 15),
    (Levels(bits=2, first=-3, step=2), 4),
    (Levels(bits=2, first=-1), 3),
)
"""Levels of weights, and how many there are."""
WIDE = (-SUM_LIMIT, SUM_LIMIT)


def make_model(seed: int) -> IntegerModel:
    """Return a model of 2 to 6 stages whose logits differ from image to image."""
    rng = np.random.default_rng(seed)
    images = 255 * (rng.random((8, 1, 28, 28)) < rng.uniform(0.05, 0.5, (8, 1, 1, 1)))
    while True:
        zero = int(rng.integers(0, 60))
        drawn = _Drawn(rng, [images - zero])
        for _ in range(rng.integers(1, 6)):
            drawn.add_stage()
        drawn.add_logits()
        if len(np.unique(drawn.values[-1], axis=0)) == len(images):
            return IntegerModel(zero, tuple(drawn.stages), float(10 ** rng.uniform(-7, -5)))


@dataclass
class _Drawn:
    rng: Generator
    values: list[Integers]
    """Of some images, so that multipliers and shifts fit them."""
    stages: list[Stage] = field(default_factory=list)

    def add_stage(self) -> None:
        last = len(self.values) - 1
        kind = self.rng.choice(["conv", "conv", "conv", "identity", "add", "shared"])
        if kind == "add":
            shape = self.values[-1].shape
            fitting = [place for place, each in enumerate(self.values) if each.shape == shape]
            self._finish((last, int(self.rng.choice(fitting))), None)
        elif kind == "identity":
            self._finish((last,), None)
        else:
            known = [each.convolution for each in self.stages if self._fits(each.convolution)]
            shared = known[0] if known and kind == "shared" else None
            self._finish((last,), shared or self._draw_convolution())

    def add_logits(self) -> None:
        weights = self.rng.integers(-127, 128, (10, *self.values[-1].shape[1:])).astype(np.int8)
        bias = self.rng.integers(-10_000, 10_000, 10).astype(np.int32)
        self._finish((len(self.values) - 1,), Convolution(weights, bias), is_last=True)

    def _fits(self, convolution: Convolution | None) -> bool:
        if convolution is None:
            return False
        _, channels, height, width = self.values[-1].shape
        _, inputs, *kernel = convolution.weights.shape
        room = min(height, width) + 2 * convolution.padding
        fits = (max(kernel) - 1) * convolution.dilation < room
        return fits and inputs * convolution.groups == channels

    def _draw_convolution(self) -> Convolution:
        rng, (_, channels, height, width) = self.rng, self.values[-1].shape
        groups = int(rng.choice([each for each in (1, 1, 2, channels) if channels % each == 0]))
        padding, dilation = int(rng.integers(0, 3)), int(rng.integers(1, 3))
        largest = (min(height, width) + 2 * padding - 1) // dilation + 1
        kernel = rng.integers(1, min(5, largest) + 1, 2)
        outputs = groups * int(rng.integers(1, max(2, 9 // groups)))
        levels, codes = LEVELS[rng.choice(len(LEVELS), p=(0.6, 0.2, 0.1, 0.1))]
        chosen = rng.integers(0, codes, (outputs, channels // groups, *kernel))
        weights = levels.first + levels.step * chosen
        reach = int(np.abs(weights).max()) * 40
        return Convolution(
            weights.astype(np.int8),
            rng.integers(-reach, reach + 1, outputs).astype(np.int32),
            levels,
            stride=int(rng.integers(1, 4)),
            padding=padding,
            dilation=dilation,
            groups=groups,
        )

    def _draw_steps(self, sums: Integers) -> list[Step]:
        rng, (_, channels, height, width) = self.rng, sums.shape
        steps: list[Step] = [Rectify()] if rng.random() < 0.3 else []
        if rng.random() < 0.4:
            rows, columns = (int(rng.integers(1, min(3, side) + 1)) for side in (height, width))
            steps.append(Pool("max" if rng.random() < 0.5 else "sum", rows, columns))
        if rng.random() < 0.4:
            steps.append(Offset(rng.integers(-5_000, 5_000, channels).astype(np.int32)))
        return steps

    def _finish(
        self, sources: tuple[int, ...], convolution: Convolution | None, *, is_last: bool = False
    ) -> None:
        rng, inputs = self.rng, [self.values[source] for source in sources]
        sums = convolve(convolution, inputs[0]) if convolution else inputs[0]
        is_sum = len(sources) == 2
        steps = () if is_sum or is_last else tuple(self._draw_steps(sums))
        multipliers = rng.integers(8_000, 2**15, 2 if is_sum else sums.shape[1])
        multipliers *= np.where(rng.random(len(multipliers)) < 0.3, -1, 1)
        plain = Stage(
            "random", sources, convolution, steps, multipliers.astype(np.int16),
            shift=1, low=-(2**60), high=2**60, table=None, pool=1, shape=(0, 0, 0),
        )  # fmt: skip
        products = 2 * compute_stage(plain, inputs)
        low, high = WIDE if is_last else (0, 255) if rng.random() < 0.5 else (-128, 127)
        unit = np.quantile(np.abs(products), 0.9) / (1e6 if is_last else high)
        table = None
        if low == -128 and rng.random() < 0.4:
            table = rng.integers(-128, 128, 256).astype(np.int16)
        side = 2 if not is_last and min(products.shape[2:]) > 1 and rng.random() < 0.3 else 1
        shape = pool("max", products, side, side).shape[1:]
        shift = max(1, int(np.ceil(np.log2(max(unit, 1)))))
        stage = replace(plain, shift=shift, low=low, high=high, table=table, pool=side, shape=shape)
        self.stages.append(stage)
        self.values.append(compute_stage(stage, inputs))
