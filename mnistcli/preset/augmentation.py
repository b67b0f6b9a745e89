"""Augmentations of the training images, applied in the order in which a preset lists them.

Parameters are drawn for every image. Pixel values are in [0, 1], before normalization; pixels from
outside the image are black.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistcli.preset.values import StrictModel

Probability = Annotated[float, Field(ge=0, le=1)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Jitter = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]]


def _check_order(name: str, bounds: tuple[float, float]) -> None:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{name} must be [min, max]")


class Affine(StrictModel):
    """A rotation, shift, scaling and shear about the centre, in one resampling.

    Each is drawn uniformly: an angle in ±degrees, shifts along x and y in ±shift_pixels, a factor
    in scale, a shear along x in ±shear_degrees.
    """

    kind: Literal["affine"]
    degrees: Degrees = 0
    shift_pixels: Annotated[float, Field(ge=0, le=28)] = 0
    scale: Range = (1.0, 1.0)
    shear_degrees: Annotated[float, Field(ge=0, le=60)] = 0
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order("scale", self.scale)
        return self


class CenterCropResize(StrictModel):
    """The middle `size` × `size` pixels, enlarged to the whole image with `probability`."""

    kind: Literal["center_crop_resize"]
    size: Annotated[int, Field(ge=1, le=28)]
    probability: Probability


class ColorJitter(StrictModel):
    """Brightness and contrast factors, each drawn from 1 ± its value, in a random order."""

    kind: Literal["color_jitter"]
    brightness: Jitter = 0
    contrast: Jitter = 0


class HorizontalFlip(StrictModel):
    """A reflection that swaps left and right with `probability`."""

    kind: Literal["horizontal_flip"]
    probability: Probability = 0.5


class VerticalFlip(StrictModel):
    """A reflection that swaps top and bottom with `probability`."""

    kind: Literal["vertical_flip"]
    probability: Probability = 0.5


class RandomErasing(StrictModel):
    """A black rectangle with `probability`.

    Its fraction of the image is drawn uniformly from `area`, its height over its width
    log-uniformly from `aspect_ratio`.
    """

    kind: Literal["random_erasing"]
    probability: Probability = 0.5
    area: tuple[Probability, Probability] = (0.02, 0.33)
    aspect_ratio: Range = (0.3, 3.3)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order("area", self.area)
        _check_order("aspect_ratio", self.aspect_ratio)
        return self


class Elastic(StrictModel):
    """An elastic distortion: every pixel moves along a smooth random field.

    Source: Simard et al. 2003, "Best practices for convolutional neural networks applied to visual
    document analysis", section 2.
    """

    kind: Literal["elastic"]
    alpha: Annotated[float, Field(gt=0, le=1_000)] = 12.0
    """Factor of the smoothed field, in pixels. The field is drawn uniformly from ±1 before."""
    sigma: Annotated[float, Field(gt=0, le=28)] = 4.0
    """Standard deviation, in pixels, of the Gaussian that smooths it."""


class Noise(StrictModel):
    """Gaussian noise, and pixels set to black or white; the strength is drawn for every image."""

    kind: Literal["noise"]
    std: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Max standard deviation."""
    salt_and_pepper: Probability = 0.0
    """Max fraction of the pixels that become black or white."""

    @model_validator(mode="after")
    def _some_noise(self) -> Self:
        if not (self.std or self.salt_and_pepper):
            raise ValueError("noise needs std or salt_and_pepper")
        return self


class Blur(StrictModel):
    """A Gaussian blur; its standard deviation is drawn uniformly from 0 to `sigma` pixels."""

    kind: Literal["blur"]
    sigma: Annotated[float, Field(gt=0, le=28)] = 1.0


class Thickness(StrictModel):
    """Wider or thinner strokes, by up to `pixels` on each side, by grey morphology.

    Source of the idea: Castro et al. 2019, "Morpho-MNIST".
    """

    kind: Literal["thickness"]
    pixels: Annotated[float, Field(gt=0, le=1)] = 0.5


class Mixup(StrictModel):
    """A weighted mean of every image and another one of its batch, and of their labels.

    The image's own weight, at least a half, is drawn from a beta distribution with both parameters
    `alpha`. Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization".
    """

    kind: Literal["mixup"]
    alpha: Annotated[float, Field(gt=0, le=100)] = 0.2


class Cutmix(StrictModel):
    """A rectangle of another image of the batch, with `probability`; labels mix by area.

    The rectangle has the image's proportions, and an area drawn uniformly. Source: Yun et al. 2019,
    "CutMix: regularization strategy to train strong classifiers", section 3.1.
    """

    kind: Literal["cutmix"]
    probability: Probability = 0.5


Mixing = Mixup | Cutmix
"""What mixes labels too: it must come last."""
Single = (
    Affine
    | CenterCropResize
    | ColorJitter
    | HorizontalFlip
    | VerticalFlip
    | RandomErasing
    | Elastic
    | Noise
    | Blur
    | Thickness
)
"""What changes an image without looking at others."""
Augmentation = Annotated[Single | Mixing, Field(discriminator="kind")]
