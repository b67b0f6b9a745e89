"""Ensembles in integers: definition, simulation, C, JavaScript and ONNX are equal."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnistcli.datasets.load import load_examples
from mnistcli.engine.evaluation import normalize, to_inputs
from mnistcli.engine.network.ensemble import Ensemble
from mnistcli.engine.network.fold import SUM_LIMIT
from mnistcli.export.convert import convert
from mnistcli.export.integer import IntegerModel, compute_stage
from mnistcli.export.memory import count_constants, place_values
from mnistcli.export.onnx_check import run_onnx
from mnistcli.export.onnx_float import build_float
from mnistcli.export.onnx_integer import build_integer
from mnistcli.export.page import render_page
from mnistcli.export.run_page import find_node, run_page
from mnistcli.preset.schema import Normalization
from tests.export.drawn import build_network, draw_network
from tests.export.test_c import COMMANDS, FACTS, IDS, RESIDUAL, SHARED, needs_gcc, run, take
from tests.export.test_quantized import find_differences, train

MNIST = Normalization()


def make(*seeds: int) -> Ensemble:
    return Ensemble([draw_network(seed) for seed in seeds]).eval()


def convert_alone(model: nn.Module) -> IntegerModel:
    return convert(model, MNIST, take("train", 50))


@pytest.mark.slow
@settings(max_examples=10)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=2, max_size=4))
def test_its_integers_are_the_members_scaled_and_summed(seeds: list[int]) -> None:
    images = take("test", 20)[:, 0].numpy()
    together = convert_alone(make(*seeds))
    alone = [convert_alone(draw_network(seed)) for seed in seeds]
    members = [model.compute_logits(images).astype(np.int64) for model in alone]
    stage = together.stages[-1]
    assert len(together.stages) == 1 + sum(len(model.stages) for model in alone)
    sums = sum(
        logits * int(factor) for logits, factor in zip(members, stage.multipliers, strict=True)
    )
    wanted = np.floor_divide(sums + 2 ** (stage.shift - 1), 2**stage.shift)
    np.testing.assert_array_equal(together.compute_logits(images), wanted)
    # The real logits are the mean of the members', but for the rounding of the multipliers.
    scales = [model.logit_scale for model in alone]
    real = np.mean([each * unit for each, unit in zip(members, scales, strict=True)], axis=0)
    error = sum(np.abs(logits) for logits in members) / 2**stage.shift + 1
    assert (np.abs(wanted * together.logit_scale - real) <= error * together.logit_scale).all()


def test_the_largest_sums_of_most_members_are_exact_and_clamped() -> None:
    count = 100
    networks = [
        build_network([{"kind": "flatten"}, {"kind": "linear", "out_features": 10}])
    ] * count
    stage = convert_alone(Ensemble(networks)).stages[-1]
    assert len(stage.sources) == count
    assert int(np.abs(stage.multipliers.astype(np.int64)).sum()) * SUM_LIMIT < 2**53
    for size in (SUM_LIMIT, -SUM_LIMIT):
        logits = np.full((1, 10, 1, 1), size, dtype=np.int64)
        assert (compute_stage(stage, [logits] * count) == size).all()


def test_constants_add_up_and_equal_ones_count_once() -> None:
    one, other = draw_network(1), draw_network(2)
    counts = [count_constants(convert_alone(each)) for each in (one, other)]
    assert count_constants(convert_alone(Ensemble([one, other]))) <= sum(counts)
    assert count_constants(convert_alone(Ensemble([one, one]))) == counts[0]


@pytest.mark.slow
@settings(max_examples=10)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=2, max_size=4))
def test_logits_that_wait_for_the_others_lie_at_whole_words(seeds: list[int]) -> None:
    model = convert_alone(make(*seeds))
    buffers = place_values(model)
    *sources, last = model.stages[-1].sources
    assert buffers.has_words
    assert buffers.size % 4 == 0
    ends = [(buffers.offsets[each], buffers.offsets[each] + 40) for each in (*sources, last)]
    assert all(start % 4 == 0 and end <= buffers.size for start, end in ends)
    ends.sort()
    assert all(end <= start for (_, end), (start, _) in zip(ends, ends[1:], strict=False))


@pytest.mark.parametrize("weights", [8, 2, "ternary"])
def test_members_trained_for_integers_are_evaluated_as_they_are_exported(
    weights: int | str,
) -> None:
    members = [train(build_network(layers), weights, 5) for layers in (RESIDUAL, SHARED)]
    assert find_differences(Ensemble(members).eval(), 200)[1] == 0  # type: ignore[arg-type]


def test_a_member_that_is_not_finite_shows() -> None:
    members = [train(build_network(RESIDUAL), 8, 1) for _ in range(2)]
    with torch.no_grad():
        next(members[1].parameters()).fill_(torch.inf)
    assert Ensemble(members).eval()(torch.zeros(3, 1, 28, 28)).isnan().all()


@pytest.mark.slow
@needs_gcc
def test_c_computes_what_the_definition_computes(tmp_path: Path) -> None:
    images = take("test", 30)[:, 0].numpy()
    model = convert_alone(Ensemble([build_network(SHARED, seed) for seed in (1, 2, 3)]))
    wanted = model.compute_logits(images).tobytes()
    sanitizer = COMMANDS[-1]
    assert run(model, images, tmp_path, *sanitizer) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_random_ensembles_agree(command: tuple[str, ...], tmp_path: Path) -> None:
    images = take("test", 20)[:, 0].numpy()
    for seed in range(10):
        model = convert_alone(make(*range(seed, 3 * seed + 2, seed + 1)))
        found = run(model, images, tmp_path, *command)
        assert found == model.compute_logits(images).tobytes(), f"ensemble {seed}"


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_a_page_computes_the_same(tmp_path: Path) -> None:
    images = take("test", 20)[:, 0].numpy()
    model = convert_alone(make(3, 4, 5))
    found = run_page(render_page(model, FACTS), images, find_node() or "")
    np.testing.assert_array_equal(found, model.compute_logits(images))


@pytest.mark.slow
@settings(max_examples=3)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=2, max_size=3))
def test_onnx_computes_the_same(seeds: list[int]) -> None:
    pytest.importorskip("onnxruntime")
    images = load_examples("test").images[:50]
    model = make(*seeds)
    with torch.no_grad():
        wanted = model(normalize(to_inputs(images), MNIST)).numpy()
    found = run_onnx(build_float(model, MNIST, FACTS), images[:, 0].numpy())
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
    integers = convert_alone(model)
    wanted = integers.compute_logits(images[:, 0].numpy()) * integers.logit_scale
    found = run_onnx(build_integer(integers, MNIST, FACTS), images[:, 0].numpy())
    assert np.abs(found - wanted).max() <= 0.1 * np.abs(wanted).max()
