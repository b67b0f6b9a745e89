import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mnistcli.errors import PresetError
from mnistcli.preset.curriculum import Groups, Paced, Pacing
from mnistcli.selection.curriculum import (
    count_share,
    divide_by_digits,
    draw,
    draw_hardest,
    order_evenly,
    split_steps,
)

LABELS = torch.arange(200) % 10
THREE = ((0, 1, 7), (2, 3, 5, 6), (4, 8, 9))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def phases(mode: str, kept: int | None = None, labels: torch.Tensor = LABELS) -> list[set[int]]:
    settings = Groups(kind="groups", mode=mode, groups=THREE, kept_per_digit=kept)
    found = divide_by_digits(settings, labels, generator())
    assert all(len(one.unique()) == len(one) for one in found)
    return [set(one.tolist()) for one in found]


def of_digits(*digits: int) -> set[int]:
    return {i for i in range(200) if i % 10 in digits}


def test_disjoint_phases_have_their_own_digits_alone() -> None:
    assert phases("disjoint") == [of_digits(*digits) for digits in THREE]


def test_cumulative_phases_keep_all_earlier_ones() -> None:
    easy, medium, hard = phases("cumulative")
    assert easy == of_digits(0, 1, 7)
    assert medium == of_digits(0, 1, 7, 2, 3, 5, 6)
    assert hard == set(range(200))


def test_replay_keeps_so_many_of_each_earlier_digit_and_always_the_same() -> None:
    easy, medium, hard = phases("replay", 4)
    assert easy == of_digits(0, 1, 7)
    assert medium >= of_digits(2, 3, 5, 6)
    kept = medium - of_digits(2, 3, 5, 6)
    assert sorted(i % 10 for i in kept) == sorted([0, 1, 7] * 4)
    assert kept <= hard
    assert len(hard) == 60 + 7 * 4


def test_kept_images_come_up_as_often_as_they_repeat() -> None:
    settings = Groups(kind="groups", mode="replay", groups=THREE, kept_per_digit=4, kept_repeats=3)
    last = divide_by_digits(settings, LABELS, generator())[-1]
    counts = torch.bincount(last, minlength=200)
    assert counts[LABELS == 4].tolist() == [1] * 20
    assert sorted(counts[LABELS == 0].tolist()) == [0] * 16 + [3] * 4


def test_a_phase_without_images_is_refused() -> None:
    with pytest.raises(PresetError, match="phase 3 has no images"):
        phases("disjoint", labels=torch.tensor([0, 1, 2, 3]))


@given(st.integers(0, 1_000), st.integers(1, 40))
def test_every_beginning_of_an_order_has_all_digits_alike(seed: int, many: int) -> None:
    scores = torch.rand(200, generator=torch.Generator().manual_seed(seed))
    order = order_evenly(scores, LABELS, generator())
    assert sorted(order.tolist()) == list(range(200))
    counts = torch.bincount(LABELS[order[:many]], minlength=10)
    assert counts.max() - counts.min() <= 1
    for digit in range(10):
        own = scores[order[LABELS[order] == digit]]
        assert own.equal(own.sort().values)


@given(st.floats(0.01, 1), st.integers(1, 700))
def test_a_draw_takes_from_the_first_share_evenly(share: float, images: int) -> None:
    order = torch.randperm(200, generator=generator())
    drawn = draw(order, share, images, generator())
    assert len(drawn) == images
    available = set(order[: max(1, -(-int(share * 200 * 1e9) // int(1e9)) + 1)].tolist())
    assert set(drawn.tolist()) <= available
    counts = torch.bincount(drawn, minlength=200)
    seen = counts[counts > 0]
    assert seen.max() - seen.min() <= 1


@given(st.integers(1, 50), st.integers(1, 5_000))
def test_rounds_share_the_steps(rounds: int, steps: int) -> None:
    if rounds > steps:
        with pytest.raises(PresetError, match="rounds"):
            split_steps(steps, rounds)
        return
    found = split_steps(steps, rounds)
    assert sum(found) == steps
    assert max(found) - min(found) <= 1


SHAPES = ["linear", "root", "quadratic", "exponential", "logarithmic", "step"]


@pytest.mark.parametrize("shape", SHAPES)
@given(start=st.floats(0.01, 1), full_at=st.floats(0.05, 1))
def test_pacing_rises_from_its_start_to_all(shape: str, start: float, full_at: float) -> None:
    pacing = Pacing(shape=shape, start=start, full_at=full_at)
    shares = [pacing.fraction(i / 100) for i in range(101)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(start, abs=1e-4)
    assert all(0 < share <= 1 for share in shares)
    assert pacing.fraction(full_at) == 1


def test_the_shapes_are_those_of_the_paper() -> None:
    halfway = {shape: Pacing(shape=shape, start=0.2, full_at=1.0).fraction(0.5) for shape in SHAPES}
    assert halfway["step"] == pytest.approx(0.2)
    assert halfway["quadratic"] == pytest.approx(0.4)
    assert halfway["linear"] == pytest.approx(0.6)
    assert halfway["root"] == pytest.approx(0.2 + 0.8 * 0.5**0.5)
    assert halfway["exponential"] < 0.21
    assert halfway["logarithmic"] > 0.9


@pytest.mark.slow
@given(
    losses=st.lists(st.sampled_from([0.0, 1.0, 2.0, math.inf]), min_size=1, max_size=40),
    fraction=st.floats(0.01, 1),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_the_hardest_images_are_drawn_once_each(
    losses: list[float], fraction: float, share: float, seed: int
) -> None:
    size = max(1, round(fraction * len(losses)))
    values = torch.tensor(losses)
    drawn = draw_hardest(values, size, share, torch.Generator().manual_seed(seed))
    assert len(set(drawn.tolist())) == size == len(drawn)
    hardest = size - round(share * size)
    left = torch.ones(len(losses), dtype=torch.bool)
    left[drawn[:hardest]] = False
    if hardest and bool(left.any()):
        assert values[drawn[:hardest]].min() >= values[left].max()
    again = draw_hardest(values, size, share, torch.Generator().manual_seed(seed))
    assert torch.equal(drawn, again)


@given(st.floats(1e-6, 1), st.integers(1, 60_000))
def test_a_round_draws_from_as_many_images_as_it_says(fraction: float, images: int) -> None:
    drawn = draw(torch.arange(images), fraction, 5 * images, generator())
    assert len(drawn.unique()) == count_share(fraction, images)


@pytest.mark.parametrize("rounds", range(2, 60))
def test_the_advice_on_pacing_helps(rounds: int) -> None:
    with pytest.raises(ValidationError, match="or less") as raised:
        Paced(kind="paced", rounds=rounds, pacing=Pacing(full_at=1.0))
    advised = float(re.findall(r"full_at to ([\d.]+) or less", str(raised.value))[0])
    assert Paced(kind="paced", rounds=rounds, pacing=Pacing(full_at=advised)).rounds == rounds
