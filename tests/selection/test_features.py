import numpy as np
import pytest
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.selection.features import measure_coverage, project, take_pixels


def test_coverage_is_the_distance_to_the_nearest_chosen() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2_500, 4)).astype(np.float32)
    chosen = rng.choice(2_500, 30, replace=False)
    distances = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1)
    found = measure_coverage(points, chosen)
    assert abs(found.mean - distances.mean()) < 1e-4
    assert abs(found.max - distances.max()) < 1e-4
    assert measure_coverage(points, np.arange(2_500)) == (0, 0)


def test_coverage_of_a_few_points() -> None:
    points = np.array([[0, 0], [3, 4], [6, 8], [0, 1]], dtype=np.float32)
    found = measure_coverage(points, np.array([0, 2]))
    assert found.max == pytest.approx(5)
    assert found.mean == pytest.approx((0 + 5 + 0 + 1) / 4)


def test_principal_components_keep_what_varies_most() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 40, (300, 1, 28, 28), generator=generator, dtype=torch.uint8)
    images[::2, 0, :14] += 200
    pixels = take_pixels(Examples(images, torch.zeros(300, dtype=torch.int64)))
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < pixels.max() <= 1
    points = project(pixels)
    assert points.shape == (300, 50)
    assert (np.sign(points[::2, 0]) != np.sign(points[1::2, 0])).all()
    assert project(pixels[:20]).shape == (20, 20)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_images_that_do_not_vary_coincide(count: int) -> None:
    pixels = np.full((count, 784), 0.5, dtype=np.float32)
    points = project(pixels)
    assert len(points) == count
    assert not points.any()
    assert measure_coverage(points, np.array([0])) == (0, 0)
