"""Validation errors of pydantic → one line: the field's path, what is wrong, what is allowed."""

from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mnistcli.errors import suggest
from mnistcli.preset.overrides import TAG

TOO_DEEP = "values are nested too deeply. Nest them less."


class Fault(NamedTuple):
    """Where a validation error is, and pydantic's name of its kind."""

    path: tuple[str, ...]
    kind: str


def describe_fault(error: ValidationError, model: type[BaseModel], data: Any) -> str:
    """Return one line about the first error in `data`, and the number of further ones."""
    faults = error.errors(include_url=False)
    first = faults[0]
    text = f"{'.'.join(_path(first, data))}: {_reason(first, model)}".removeprefix(": ")
    return text if len(faults) == 1 else f"{text} (and {len(faults) - 1} more)"


def locate_fault(error: ValidationError, data: Any) -> Fault:
    """Return where the first error in `data` is."""
    first = error.errors(include_url=False)[0]
    return Fault(_path(first, data), first["type"])


def _path(fault: ErrorDetails, data: Any) -> tuple[str, ...]:
    """Return the path as its author wrote it; pydantic puts the kind between a field's names."""
    keys: list[str] = []
    here = tagged = data
    for key in fault["loc"]:
        # The kind comes first below its model, even where a field has the same name.
        if isinstance(here, dict) and here is not tagged and here.get(TAG) == key:
            tagged = here
            continue
        keys.append(str(key))
        try:
            here = here[key]
        except (KeyError, IndexError, TypeError):
            here = None
    return tuple(keys)


def _reason(fault: ErrorDetails, model: type[BaseModel]) -> str:
    context = fault.get("ctx", {})
    got = fault["input"]
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key. {suggest(str(fault['loc'][-1]), _allowed(fault, model))}"
        case "missing":
            return "required, but missing"
        case "union_tag_invalid":
            kinds = [tag.strip().strip("'") for tag in context["expected_tags"].split(",")]
            return f'unknown kind: "{context["tag"]}". {suggest(context["tag"], kinds)}'
        case "union_tag_not_found":
            return f'"{TAG}" is required, but missing'
        case "literal_error":
            return f"{got!r} is not allowed. Use {context['expected']}."
        case "value_error":
            return str(context["error"])
        case "too_short":
            noun = "item" if context["min_length"] == 1 else "items"
            return f"needs at least {context['min_length']:,} {noun}, got {len(got)}"
        case "json_invalid" if "recursion" in fault["msg"]:
            return TOO_DEEP
    message = fault["msg"][0].lower() + fault["msg"][1:]
    if isinstance(got, dict | list):
        return message
    message = f"{message}, got {_shorten(got)}"
    if context.get("le") == 1 and 2 <= got <= 100:
        return f"{message}. Use {got / 100:g} for {got:g} %."
    return message


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _allowed(fault: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """Return the names of the fields where the error is."""
    here: Any = model
    for key in fault["loc"][:-1]:
        here = _enter(here, key)
    return list(here.model_fields)


def _enter(annotation: Any, key: int | str) -> Any:
    """Return the type below `annotation` at `key`: of a field, a list's item, or a union's kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _strip(annotation.model_fields[str(key)].annotation)
    if get_origin(annotation) in (Union, UnionType):
        return next(a for a in get_args(annotation) if key in get_args(_tag_of(a)))
    return _strip(get_args(annotation)[0])


def _tag_of(model: type[BaseModel]) -> Any:
    return model.model_fields[TAG].annotation


def _strip(annotation: Any) -> Any:
    """Return the type without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _strip(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        options = [a for a in get_args(annotation) if a is not type(None)]
        if len(options) == 1:
            return _strip(options[0])
    return annotation
