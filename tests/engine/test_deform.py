"""Elastic distortion, noise, blur and thickness against SciPy, image by image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mnistcli.engine.augment import build_augment
from mnistcli.engine.deform import (
    add_noise,
    blur,
    displace,
    draw_displacements,
    smoothing_matrix,
    thicken,
)
from mnistcli.preset import augmentation as spec
from tests.engine.test_augment import digits, uniform


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=10)
@given(sigma=st.floats(0.5, 6), seed=st.integers(0, 100))
def test_elastic_fields_are_scipys(sigma: float, seed: int) -> None:
    images = digits(3)
    elastic = spec.Elastic(kind="elastic", alpha=20, sigma=sigma)
    fields = draw_displacements(elastic, images, generator(seed))
    noise = torch.rand(3, 2, 28, 28, generator=generator(seed)).mul(2).sub(1).numpy()
    right = 20 * ndimage.gaussian_filter(noise, sigma, axes=(2, 3), mode="constant")
    np.testing.assert_allclose(fields.numpy(), right, atol=1e-4)


def test_elastic_samples_where_the_field_points() -> None:
    images = digits(5)
    elastic = spec.Elastic(kind="elastic", alpha=30, sigma=3)
    fields = draw_displacements(elastic, images, generator())
    found = displace(images, fields).numpy()
    row, column = np.mgrid[0:28, 0:28]
    for image, (right, down), one in zip(images[:, 0], fields.numpy(), found[:, 0], strict=True):
        places = [row + down, column + right]
        right_one = ndimage.map_coordinates(image, places, order=1, mode="grid-constant")
        np.testing.assert_allclose(one, right_one, atol=1e-4)


def test_the_smoothing_matrix_ends_where_scipys_kernel_does() -> None:
    matrix = smoothing_matrix(28, 1.0, torch.device("cpu"))
    assert matrix[0, 4] > 0 and matrix[0, 5] == 0
    assert float(matrix[14].sum()) == pytest.approx(1)


def test_blur_is_scipys_with_a_sigma_of_each_images_own() -> None:
    images, sigmas = digits(6), torch.tensor([0, 0.3, 0.7, 1, 2, 3.0])
    found = blur(images, sigmas)
    for image, sigma, one in zip(images[:, 0], sigmas, found[:, 0], strict=True):
        right = ndimage.gaussian_filter(image.numpy(), float(sigma), mode="constant", truncate=9)
        np.testing.assert_allclose(one.numpy(), right if sigma else image.numpy(), atol=2e-3)


def test_strokes_are_as_wide_as_by_scipys_morphology() -> None:
    images = digits(4)
    pixels = torch.tensor([1.0, -1.0, 0.0, 0.5]).view(-1, 1, 1, 1)
    wide, thin, same, half = thicken(images, pixels)[:, 0].numpy()
    first = images[:, 0].numpy()
    square = (3, 3)
    assert (wide == ndimage.grey_dilation(first[0], square, mode="constant", cval=-9)).all()
    assert (thin == ndimage.grey_erosion(first[1], square, mode="constant", cval=9)).all()
    assert (same == first[2]).all()
    dilated = ndimage.grey_dilation(first[3], square, mode="constant", cval=-9)
    np.testing.assert_allclose(half, (first[3] + dilated) / 2, atol=1e-6)


def test_noise_has_the_strength_of_each_image() -> None:
    grey = torch.full((3, 1, 28, 28), 0.5)
    std = torch.tensor([0.0, 0.05, 0.1]).view(-1, 1, 1, 1)
    none = torch.zeros_like(std)
    noisy = add_noise(grey.clone(), std, none, generator())
    assert noisy.std(dim=(1, 2, 3)).tolist() == pytest.approx([0, 0.05, 0.1], abs=0.01)
    flipped = torch.tensor([0.0, 0.2, 0.5]).view(-1, 1, 1, 1)
    peppered = add_noise(grey.clone(), none, flipped, generator())
    for value in (0.0, 1.0):
        found = (peppered == value).float().mean(dim=(1, 2, 3))
        assert found.tolist() == pytest.approx([0, 0.1, 0.25], abs=0.04)


@pytest.mark.parametrize(
    "settings_",
    [
        spec.Elastic(kind="elastic"),
        spec.Noise(kind="noise", std=0.2),
        spec.Noise(kind="noise", salt_and_pepper=0.2),
        spec.Blur(kind="blur"),
        spec.Thickness(kind="thickness"),
    ],
    ids=lambda each: each.kind if each.kind != "noise" else f"noise {each.std}",
)
def test_every_image_has_parameters_of_its_own_and_stays_in_range(
    settings_: spec.Single,
) -> None:
    same = digits(1).expand(32, -1, -1, -1).clone()
    augment = build_augment([settings_])
    found = augment(same.clone(), generator(3))
    # A blur of less than a fifth of a pixel changes nothing.
    assert len(found.flatten(1).unique(dim=0)) >= 20
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert torch.equal(found, augment(same.clone(), generator(3)))
    assert not torch.equal(found, augment(same.clone(), generator(4)))


def test_noise_of_no_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="noise needs std or salt_and_pepper"):
        spec.Noise(kind="noise")


def test_uniform_draws_are_within_their_limits() -> None:
    images = digits(64)
    pixels = uniform(-0.5, 0.5, 64, 0).view(-1, 1, 1, 1)
    assert float((thicken(images, pixels) - images).abs().max()) <= 0.5
