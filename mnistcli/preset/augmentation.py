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


Augmentation = Annotated[
    Affine | CenterCropResize | ColorJitter | HorizontalFlip | VerticalFlip | RandomErasing,
    Field(discriminator="kind"),
]
