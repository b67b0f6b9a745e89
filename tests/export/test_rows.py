"""Headers that take the image row by row: the same logits, in less memory."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnistcli.cli.guide import read_guide
from mnistcli.export import c_header
from mnistcli.export.c_header import count_memory, render_row_header
from mnistcli.export.convert import convert
from mnistcli.export.emulators import emulate, find_obstacle
from mnistcli.export.integer import IntegerModel, Levels, Pool, Stage
from mnistcli.export.rows import IMAGE, plan_rows
from mnistcli.export.targets import TARGETS, TargetName, build
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Normalization
from tests.export.drawn import build_network, draw_network
from tests.export.random_models import make_model
from tests.export.test_c import (
    COMMANDS,
    FACTS,
    IDS,
    SANITIZED,
    WARNINGS,
    load_network,
    needs_gcc,
    take,
)
from tests.export.test_ensemble import make
from tests.export.test_targets import CROSS, make_small

MAIN = """\
#include <stdio.h>
#include "network.h"

int main(void)
{
    static uint8_t row[28];
    int32_t logits[10];
    for (int y = 0; y < UNFINISHED; y++) mnist_take_row(row, logits);
    mnist_begin();
    while (fread(row, sizeof row, 1, stdin) == 1) {
        const int is_there = mnist_take_row(row, logits);
        for (int x = 0; x < 28; x++) row[x] = 99;
        if (is_there) fwrite(logits, sizeof logits, 1, stdout);
        for (int digit = 0; digit < 10; digit++) logits[digit] = -1;
    }
    return 0;
}
"""
"""Rows and logits are the caller's: both are changed between the calls."""


def run(header: str, images: NDArray[np.uint8], folder: Path, *command: str) -> bytes:
    """Return the logits of images after one that was not finished."""
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    (folder / "network.h").write_text(header, encoding="utf-8")
    (folder / "main.c").write_text(MAIN.replace("UNFINISHED", "17"))
    subprocess.run([*command, *WARNINGS, "main.c", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run(["./main"], cwd=folder, input=images.tobytes(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@needs_gcc
@pytest.mark.parametrize("name", ["sprint", "shared"])
def test_rows_give_the_logits_of_the_definition(name: str, tmp_path: Path) -> None:
    images = take("test", 12)[:, 0].numpy()
    model = load_network(name)
    found = run(render_row_header(model, FACTS), images, tmp_path, *COMMANDS[0])
    assert found == model.compute_logits(images).tobytes()


UNREAD = [
    {"kind": "conv", "out_channels": 3, "kernel_size": 28, "padding": 0},
    {"kind": "relu"},
    {"kind": "conv", "out_channels": 5, "kernel_size": 1, "padding": 1, "stride": 100},
    {"kind": "flatten"},
    {"kind": "linear", "out_features": 10},
]
"""The second convolution sees nothing but padding."""


def make_pooled_kernel() -> IntegerModel:
    """Return a model with a kernel over all rows, whose sums are pooled from left to right."""
    model = convert(build_network([{"kind": "conv", "out_channels": 8, "kernel_size": 27,
        "padding": 0}, {"kind": "flatten"}, {"kind": "linear", "out_features": 10}]),
        Normalization(), take("train", 20))  # fmt: skip
    first, last = model.stages
    assert first.convolution is not None and last.convolution is not None
    weights = np.resize(first.convolution.weights, (8, 1, 28, 27))
    kernel = replace(first.convolution, weights=weights)
    pooled = replace(first, convolution=kernel, steps=(Pool("max", 1, 2),), shape=(8, 1, 1))
    linear = replace(last.convolution, weights=last.convolution.weights[:, :, :1, :1])
    return replace(model, stages=(pooled, replace(last, convolution=linear)))


def make_rare(kind: str) -> IntegerModel:
    match kind:
        case "ensemble":
            return convert(make(3, 4, 5), Normalization(), take("train", 50))
        case "levels":
            return make_model(26)  # weights of 2 bits of both kinds
        case "pooled kernel":
            return make_pooled_kernel()
    return convert(build_network(UNREAD), Normalization(), take("train", 20))


@needs_gcc
@pytest.mark.parametrize("kind", ["ensemble", "levels", "pooled kernel", "unread"])
def test_rare_models_give_the_logits_of_the_definition(kind: str, tmp_path: Path) -> None:
    images = take("test", 8)[:, 0].numpy()
    model = make_rare(kind)
    found = run(render_row_header(model, FACTS), images, tmp_path, *SANITIZED)
    assert found == model.compute_logits(images).tobytes()


@needs_gcc
def test_a_row_that_is_dropped_too_early_is_found_out(tmp_path: Path, monkeypatch) -> None:
    images = take("test", 3)[:, 0].numpy()
    model = load_network("sprint")
    plan = plan_rows(model)
    fewer = replace(plan, kept=(plan.kept[0], plan.kept[1] - 1, *plan.kept[2:]))
    for each, is_right in ((plan, True), (fewer, False)):
        monkeypatch.setattr(c_header, "plan_rows", lambda model, each=each: each)
        found = run(render_row_header(model, FACTS), images, tmp_path, *COMMANDS[0])
        assert (found == model.compute_logits(images).tobytes()) is is_right


@given(seed=st.integers(0, 2**32 - 1))
def test_every_row_comes_in_time_and_is_kept_until_it_was_read(seed: int) -> None:
    model = make_model(seed)
    plan = plan_rows(model)
    shapes = plan.shapes
    ready, turn = [0] * len(shapes), [0] * len(model.stages)
    begun = [0] * len(shapes)
    """Rows that are finished, and the one that a pooling has begun."""
    for stage in plan.order:
        if stage == IMAGE:
            ready[0] += 1
            begun[0] += 1
            continue
        turns = plan.turns[stage]
        for source in model.stages[stage].sources:
            first, end = turns.find_first(turn[stage]), turns.find_end(turn[stage])
            oldest = begun[source] - plan.kept[source]
            assert end <= ready[source] and (first >= oldest or first >= end)
        place = turn[stage] % turns.per_row
        begun[stage + 1] += place == (0 if turns.way == "max" else turns.per_row - 1)
        ready[stage + 1] += place == turns.per_row - 1
        turn[stage] += 1
    # Rows that nothing reads may be missing; the logits are there, and they come last.
    assert all(rows <= shape[1] for rows, shape in zip(ready, shapes, strict=True))
    assert (ready[0], ready[-1], turn[-1]) == (28, shapes[-1][1], plan.turns[-1].count)
    assert plan.order.count(IMAGE) == 28
    assert (plan.order[0], plan.order[-1]) == (IMAGE, len(turn) - 1)
    assert all(
        kept <= shape[1] and plan.is_dropped(value) is (kept < shape[1])
        for value, (kept, shape) in enumerate(zip(plan.kept, shapes, strict=True))
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_no_row_is_written_over_before_its_last_use(seed: int) -> None:
    model = make_model(seed)
    plan = plan_rows(model)
    uses = dict[str, list[int]]()
    spans = dict[str, range]()
    for moment, stage in enumerate(plan.order):
        read = () if stage == IMAGE else model.stages[stage].sources
        written = 0 if stage == IMAGE else stage + 1
        for name in (*(f"value {value}" for value in (written, *read)), f"sums {stage}"):
            uses.setdefault(name, []).append(moment)
    for value, start in plan.buffers.offsets.items():
        if value < len(plan.shapes):
            channels, _, width = plan.shapes[value]
            size = 4 if value and model.stages[value - 1].is_wide else 1
            spans[f"value {value}"] = range(
                start, start + plan.kept[value] * channels * width * size
            )
    for stage, start in plan.sums.items():
        spans[f"sums {stage}"] = range(start, start + 4 * plan.turns[stage].sums)
    assert all(span.stop <= plan.buffers.size for span in spans.values())
    for (one, first), (other, second) in combinations(spans.items(), 2):
        is_apart = max(first.start, second.start) >= min(first.stop, second.stop)
        mine, others = uses.get(one, [0]), uses.get(other, [0])
        assert is_apart or min(mine) > max(others) or min(others) > max(mine), (one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["journey-v3", "residual", "shared"])
@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_compiler_agrees(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    images = take("test", 100)[:, 0].numpy()
    model = load_network(name)
    found = run(render_row_header(model, FACTS), images, tmp_path, *command)
    assert found == model.compute_logits(images).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["networks", "stages"])
def test_random_ones_agree(kind: str, tmp_path: Path) -> None:
    images = take("test", 8)[:, 0].numpy()
    seen = set[str]()
    for seed in range(1_000, 1_030):
        model = _draw(kind, seed)
        seen |= {turns.way for turns in plan_rows(model).turns}
        found = run(render_row_header(model, FACTS), images, tmp_path, *SANITIZED)
        assert found == model.compute_logits(images).tobytes(), f"{kind}: {seed}"
    assert seen == {"rows", "max", "sums", "kernel"}


def _draw(kind: str, seed: int) -> IntegerModel:
    if kind == "stages":
        return make_model(seed)
    return convert(draw_network(seed), Normalization(), take("train", 50))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CROSS, "cortex-m0-16k"])
def test_a_device_computes_what_the_definition_computes(name: TargetName, tmp_path: Path) -> None:
    target = TARGETS[name]
    if not shutil.which(target.compiler) or not shutil.which(target.emulator):
        pytest.skip(f"no {target.compiler}, or no {target.emulator}")
    for model in (make_small(), load_network("residual")):
        made = build(target, render_row_header(model, FACTS), tmp_path, stream=True)
        # AVR has no padding, and a Cortex-M pads to four bytes.
        assert -2 < made.sizes.ram - count_memory(model, stream=True) < 4
        assert find_obstacle(made) == "" and made.caller == 68
        images = take("test", 6)[:, 0].numpy()
        ran = emulate(made, images)
        assert np.array_equal(ran.logits, model.compute_logits(images))
        assert made.stack is not None and made.stack - 16 <= ran.stack < made.stack + 64
        assert 100_000 < (ran.instructions or ran.cycles or 0) < 10_000_000
        if target.flash and ran.program_flash:
            assert made.sizes.flash < ran.program_flash <= target.flash


@pytest.mark.slow
@pytest.mark.parametrize("name", ["atmega328p", "cortex-m0-16k"])
def test_the_network_of_a_device_fits_and_runs_there(name: TargetName, tmp_path: Path) -> None:
    target = TARGETS[name]
    if not shutil.which(target.compiler) or not shutil.which(target.emulator):
        pytest.skip(f"no {target.compiler}, or no {target.emulator}")
    model = load_network(name)
    quantize = load_preset(name).train.quantize
    assert quantize is not None
    if quantize.weights == 4:
        model = replace(model, stages=tuple(map(_make_narrow, model.stages)))
    made = build(target, render_row_header(model, FACTS), tmp_path, stream=True)
    assert find_obstacle(made) == ""
    images = take("test", 2)[:, 0].numpy()
    ran = emulate(made, images)
    assert np.array_equal(ran.logits, model.compute_logits(images))
    assert target.ram is not None and made.sizes.ram + ran.stack + made.caller <= target.ram


def _make_narrow(stage: Stage) -> Stage:
    """Return a stage with weights of 4 bits, if it has any."""
    if (found := stage.convolution) is None:
        return stage
    narrow = replace(found, weights=found.weights // 16, levels=Levels(bits=4, first=-8))
    return replace(stage, convolution=narrow)


def test_the_interface_is_that_of_the_guide() -> None:
    header = render_row_header(load_network("sprint"), FACTS)
    for line in (
        "int mnist_take_row(const uint8_t row[28], int32_t logits[10])",
        "void mnist_begin(void)",
        "void mnist_logits(const uint8_t image[784], int32_t logits[10])",
        "int mnist_predict(const uint8_t image[784])",
    ):
        assert f"static inline {line}\n" in header
    assert re.findall(r"#include.*", header) == ["#include <stdint.h>"]


@pytest.mark.slow
def test_memory_is_what_the_guide_tells() -> None:
    table = re.findall(
        r"^\| (`.*`) \| ([\d,]+) \| ([\d,]+) \|$", read_guide("export"), re.MULTILINE
    )
    assert len(table) == 6
    for names, *figures in table:
        for name in re.findall(r"`(.*?)`", names):
            model = load_network(name)
            found = [count_memory(model, stream=stream) for stream in (False, True)]
            assert found == [int(figure.replace(",", "")) for figure in figures], name
