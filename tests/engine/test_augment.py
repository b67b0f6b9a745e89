from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as oracle

from mnistcli.engine.augment import (
    AffineParameters,
    affine,
    build_augment,
    center_crop_resize,
    color_jitter,
    draw_affine,
    draw_boxes,
    enlarge_all,
    enlarge_alone,
    erase,
    flip,
)
from mnistcli.preset import augmentation as spec


def digits(count: int = 16) -> Tensor:
    """Smooth random images in [0, 1]."""
    noise = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(noise, (28, 28), mode="bilinear").clamp(0, 1)


def uniform(low: float, high: float, count: int, seed: int) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_affine_is_torchvisions_on_the_same_parameters(interpolation: str) -> None:
    images = digits(64)
    parameters = AffineParameters(
        degrees=uniform(-40, 40, 64, 1),
        shift_x=uniform(-4, 4, 64, 2).round(),  # torchvision shifts by whole pixels
        shift_y=uniform(-4, 4, 64, 3).round(),
        scale=uniform(0.7, 1.4, 64, 4),
        shear_degrees=uniform(-25, 25, 64, 5),
    )
    expected = torch.stack(
        [
            oracle.affine(
                image,
                angle=float(angle),
                translate=[float(x), float(y)],
                scale=float(scale),
                shear=[float(shear), 0.0],
                interpolation=InterpolationMode(interpolation),
            )
            for image, angle, x, y, scale, shear in zip(images, *parameters, strict=True)
        ]
    )
    difference = (affine(images, parameters, interpolation) - expected).abs()
    if interpolation == "bilinear":
        assert difference.max() < 1e-4
    else:  # a point half-way between two pixels may fall to either
        assert (difference > 1e-4).float().mean() < 1e-3


def test_affine_without_a_change_changes_nothing() -> None:
    images = digits()
    nothing, one = torch.zeros(16), torch.ones(16)
    parameters = AffineParameters(nothing, nothing, nothing, one, nothing)
    assert torch.allclose(affine(images, parameters, "bilinear"), images, atol=1e-5)
    assert torch.equal(affine(images, parameters, "nearest"), images)


def test_a_shift_moves_right_and_down() -> None:
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, 10, 10] = 1
    zero = torch.zeros(1)
    moved = affine(images, AffineParameters(zero, zero + 3, zero + 2, zero + 1, zero), "nearest")
    assert moved[0, 0, 12, 13] == 1


@pytest.mark.parametrize("size", [1, 14, 22, 23, 28])
def test_center_crop_resize_is_torchvisions(size: int) -> None:
    images = digits()
    expected = oracle.resize(oracle.center_crop(images, [size]), [28, 28], antialias=True)
    assert torch.allclose(center_crop_resize(images, size), expected, atol=1e-5)


@pytest.mark.parametrize("contrast_first", [False, True])
def test_color_jitter_is_torchvisions_in_both_orders(contrast_first: bool) -> None:
    images = digits(32)
    brightness, contrast = uniform(0.5, 1.5, 32, 1), uniform(0.5, 1.5, 32, 2)
    steps: list[tuple[Callable, Tensor]] = [
        (oracle.adjust_brightness, brightness),
        (oracle.adjust_contrast, contrast),
    ]
    expected = []
    for index, image in enumerate(images):
        for step, factors in reversed(steps) if contrast_first else steps:
            image = step(image, float(factors[index]))
        expected.append(image)
    order = torch.full((32,), contrast_first)
    found = color_jitter(images.clone(), brightness, contrast, contrast_first=order)
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("axis", "expected"), [(3, oracle.horizontal_flip), (2, oracle.vertical_flip)]
)
def test_flips_are_torchvisions_on_the_chosen_images(axis: int, expected: Callable) -> None:
    images = digits(4)
    found = flip(images, torch.tensor([True, False, True, False]), axis)
    assert torch.equal(found[::2], expected(images[::2]))
    assert torch.equal(found[1::2], images[1::2])


def test_erasing_is_torchvisions_on_the_same_boxes() -> None:
    images = digits(200) + 0.1
    settings_ = spec.RandomErasing(kind="random_erasing", probability=0.7)
    boxes = draw_boxes(settings_, images, torch.Generator().manual_seed(0))
    expected = torch.stack(
        [
            oracle.erase(image, int(top), int(left), int(height), int(width), torch.zeros(1, 1, 1))
            for image, top, left, height, width in zip(images, *boxes, strict=True)
        ]
    )
    assert torch.equal(erase(images, boxes), expected)
    assert (boxes.height > 0).float().mean().item() == pytest.approx(0.7, abs=0.1)
    assert int((boxes.top + boxes.height).max()) <= 28
    assert int((boxes.left + boxes.width).max()) <= 28
    area = (boxes.height * boxes.width)[boxes.height > 0] / 784
    assert 0.01 < area.min() < area.max() < 0.36


def test_enlarging_all_images_gives_the_chosen_ones_the_same_bits() -> None:
    images, chosen = digits(40), uniform(0, 1, 40, 1) < 0.3
    expected = enlarge_alone(images.clone(), chosen, 22)
    assert torch.equal(enlarge_all(images, chosen, 22), expected)
    assert not torch.equal(expected[chosen], images[chosen])
    assert torch.equal(expected[~chosen], images[~chosen])


ALL = (
    spec.CenterCropResize(kind="center_crop_resize", size=22, probability=0.3),
    spec.Affine(kind="affine", degrees=20, shift_pixels=2, scale=(0.8, 1.2), shear_degrees=10),
    spec.ColorJitter(kind="color_jitter", brightness=0.3, contrast=0.3),
    spec.HorizontalFlip(kind="horizontal_flip"),
    spec.VerticalFlip(kind="vertical_flip"),
    spec.RandomErasing(kind="random_erasing"),
)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.kind)
def test_every_image_draws_parameters_of_its_own(one: spec.Augmentation) -> None:
    same = digits(1).expand(64, -1, -1, -1).clone()
    found = build_augment([one])(same, torch.Generator().manual_seed(0))
    assert len(found.flatten(1).unique(dim=0)) > 1


@given(
    subset=st.lists(st.sampled_from(ALL), max_size=6), seed=st.integers(0, 2**63 - 1),
    count=st.integers(1, 40),
)  # fmt: skip
@settings(max_examples=40)
def test_any_chain_keeps_shape_and_range_and_depends_on_its_generator_alone(
    subset: list[spec.Augmentation], seed: int, count: int
) -> None:
    augment = build_augment(subset)
    found = augment(digits(count), torch.Generator().manual_seed(seed))
    assert found.shape == (count, 1, 28, 28)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    again = augment(digits(count), torch.Generator().manual_seed(seed))
    assert torch.equal(found, again)


def test_parameters_fill_their_ranges() -> None:
    settings_ = spec.Affine(kind="affine", degrees=10, shift_pixels=2, scale=(0.8, 1.3))
    drawn = draw_affine(settings_, torch.zeros(5_000, 1, 28, 28), torch.Generator().manual_seed(0))
    for values, low, high in (
        (drawn.degrees, -10, 10),
        (drawn.shift_x, -2, 2),
        (drawn.shift_y, -2, 2),
        (drawn.scale, 0.8, 1.3),
    ):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert not drawn.shear_degrees.any()
