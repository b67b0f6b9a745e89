import pytest
import torch

from mnistcli.engine.robustness import DISTORTIONS, STRENGTHS, UNITS, distort


def dot() -> torch.Tensor:
    """Four images of a bright square, to the right of the middle."""
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 13:15, 18:20] = 255
    return images


def centre(image: torch.Tensor) -> tuple[float, float]:
    """Row and column of the centre of mass, from the middle."""
    weights = image[0].double()
    places = torch.arange(28, dtype=torch.float64) - 13.5
    total = weights.sum()
    return float((weights.sum(1) @ places) / total), float((weights.sum(0) @ places) / total)


def made(kind: str, strength: float) -> torch.Tensor:
    return distort(dot(), kind, strength, torch.Generator().manual_seed(0))


def test_a_turn_goes_left_and_right() -> None:
    first, second = (centre(image) for image in made("rotation", 90)[:2])
    assert first == pytest.approx((5, 0), abs=0.1)
    assert second == pytest.approx((-5, 0), abs=0.1)


def test_a_shift_goes_to_four_sides() -> None:
    found = {tuple(round(v) for v in centre(image)) for image in made("shift", 3)}
    assert found == {(0, 8), (0, 2), (3, 5), (-3, 5)}


def test_a_scale_moves_from_the_centre() -> None:
    assert centre(made("scale", 2)[0])[1] == pytest.approx(10, abs=0.2)
    assert centre(made("scale", 0.5)[0])[1] == pytest.approx(2.5, abs=0.2)


def test_noise_is_as_strong_as_said_and_a_blur_keeps_the_ink() -> None:
    grey = torch.full((50, 1, 28, 28), 128, dtype=torch.uint8)
    noisy = distort(grey, "noise", 0.1, torch.Generator().manual_seed(0))
    assert float(noisy.double().std()) == pytest.approx(25.5, rel=0.02)
    blurred = made("blur", 1.5)[0]
    assert blurred.max() < 100
    assert float(blurred.sum()) == pytest.approx(float(dot()[0].sum()), rel=0.1)
    assert centre(blurred) == pytest.approx((0, 5), abs=0.1)


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_every_distortion_has_strengths_and_a_unit(kind: str) -> None:
    assert len(STRENGTHS[kind]) == 4
    assert UNITS[kind]
    for strength in STRENGTHS[kind]:
        images = made(kind, strength)
        assert images.dtype == torch.uint8
        assert images.shape == (4, 1, 28, 28)
        assert not images.equal(dot())
