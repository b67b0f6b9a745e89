"""What the parts of a preset have in common: how strictly they are read, and what a text may be."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict

STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)


def check_printable(text: str) -> str:
    """The same text, which a terminal shows and does not obey.

    Raises:
        ValueError: naming the first character that is a command or cannot be shown.
    """
    for character in text:
        if not character.isprintable():
            raise ValueError(f"the character U+{ord(character):04X} is not printable; leave it out")
    return text


Printable = Annotated[str, AfterValidator(check_printable)]
