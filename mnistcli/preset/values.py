"""The base model of everything in a preset, ranges of figures, and text that is safe to print."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LIMIT = 10**15
MAX_SECONDS = 1e9

Count = Annotated[int, Field(ge=0, le=LIMIT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


class StrictModel(BaseModel):
    """A frozen part of a preset that converts no types and accepts no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def check_printable(text: str) -> str:
    """Return `text` unchanged if a terminal shows every character of it.

    Raises:
        ValueError: A character is a control code or has no glyph; the message names it.
    """
    for character in text:
        if not character.isprintable():
            raise ValueError(
                f"the character U+{ord(character):04X} is not printable. Leave it out."
            )
    return text


Printable = Annotated[str, AfterValidator(check_printable)]
PathText = Annotated[Printable, Field(min_length=1, max_length=4_096)]
"""Path of a file or folder, or a name that stands for one."""
