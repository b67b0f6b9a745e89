"""The base model of every JSON document."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A JSON document, or a part of one: frozen, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
        validate_by_name=True,
    )
