"""The network of a preset: layers, or the user's own code."""

import json
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, PrivateAttr, field_validator, model_validator

from mnistcli.errors import PresetError
from mnistcli.preset.code.code import Code
from mnistcli.preset.code.reference import check_place, parse_reference
from mnistcli.preset.layers import LAYER_LIMIT, WIDTH_LIMIT, Layer
from mnistcli.preset.scaling import (
    count_layers,
    has_repeat,
    measure_nesting,
    measure_width,
    scale_layers,
)
from mnistcli.preset.values import Printable, StrictModel

NESTING_LIMIT = 8
SOURCES_LIMIT = 200

SourceFile = Annotated[str, Field(max_length=1_000), AfterValidator(check_place)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Model(StrictModel):
    """A network from images of 1 × 28 × 28 to 10 logits: layers, or the user's own code."""

    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=LAYER_LIMIT)] | None = None
    width: Annotated[float, Field(gt=0, le=100)] = 1
    """Factor for the channels of convolutions and the features of linear layers, except those of
    the last one. They are rounded to the nearest integer that groups and heads allow, at least 1.
    """
    depth: Annotated[float, Field(gt=0, le=100)] = 1
    """Factor for the `times` of every `repeat`, which are rounded up."""
    python: Annotated[Printable, Field(max_length=1_000)] | None = None
    """Python code, as in "net.py:Net": a file beside the preset or below, and the class or function
    in it that returns the network."""
    arguments: dict[str, JsonValue] = {}
    """Keyword arguments of the class or function."""
    sources: Annotated[dict[SourceFile, Sha256], Field(max_length=SOURCES_LIMIT)] | None = None
    """SHA-256 of the files that the code consists of; filled in when the preset is read."""
    _code: Code | None = PrivateAttr(default=None)

    def __hash__(self) -> int:
        """Return a hash: pydantic's own fails at dictionaries."""
        return hash(self.model_dump_json())

    @property
    def code(self) -> Code | None:
        """The user's code, if the network is code and its files have been read."""
        return self._code

    def with_code(self, code: Code) -> Self:
        """Return the model with its code."""
        update = {"python": code.python, "sources": code.fingerprints}
        model = self.model_copy(update=update)
        model._code = code
        return model

    @property
    def scaled_layers(self) -> tuple[Layer, ...]:
        """Return the layers that are built: as written, scaled by width and depth."""
        return scale_layers(self.layers or (), self.width, self.depth)

    @field_validator("arguments")
    @classmethod
    def _arguments_are_json(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            json.dumps(arguments, allow_nan=False)
        except ValueError as error:
            raise ValueError("inf and nan are no numbers of JSON. Use a string or none.") from error
        return arguments

    @model_validator(mode="after")
    def _layers_or_code(self) -> Self:
        if (self.layers is None) == (self.python is None):
            raise ValueError("a network needs either layers or python")
        if self.python is None:
            if self.arguments or self.sources is not None:
                raise ValueError("arguments and sources need python")
            return self
        if self.width != 1 or self.depth != 1:
            raise ValueError("width and depth scale layers, not python. Use arguments.")
        try:
            check_place(parse_reference(self.python).file)
        except PresetError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _layers_are_not_too_many(self) -> Self:
        layers = self.layers or ()
        if measure_nesting(layers) > NESTING_LIMIT:
            raise ValueError(f"layers: nested more than {NESTING_LIMIT} deep. Nest them less.")
        if (count := count_layers(layers, self.depth)) > LAYER_LIMIT:
            raise ValueError(
                f"layers: {count:,} with all repetitions, more than {LAYER_LIMIT:,}. "
                "Repeat fewer layers, or fewer times."
            )
        return self

    @model_validator(mode="after")
    def _layers_are_not_too_wide(self) -> Self:
        if (width := measure_width(self.scaled_layers)) > WIDTH_LIMIT:
            raise ValueError(
                f"width is {self.width:g}: a layer has {width:,} channels or features, more than "
                f"{WIDTH_LIMIT:,}. Use a smaller width."
            )
        return self

    @model_validator(mode="after")
    def _depth_has_something_to_scale(self) -> Self:
        if self.depth != 1 and not has_repeat(self.layers or ()):
            raise ValueError(
                f"depth is {self.depth:g}, but no layer is repeated. "
                'Use a layer of kind "repeat", or leave depth out.'
            )
        return self
