"""Ranges: what a field may be in a space of networks, and where they are in its content."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, floor, isfinite, log, log10
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, PlainValidator, ValidationError, model_validator

from mnistcli.preset.faults import describe_fault
from mnistcli.preset.overrides import REMOVING
from mnistcli.preset.values import LIMIT, StrictModel

DIGITS = 3
"""Digits of a number that is drawn, after its first one."""

Decision = int | float
"""A number of a range, or the index of a choice."""


def _check_number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, got {value!r}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"must be a number, got {value!r}")
    if abs(value) > LIMIT:
        # An integer may be too large for a float, as which :g writes it.
        found = f"{value:g}" if abs(value) <= sys.float_info.max else "a larger number"
        raise ValueError(f"must be from {-LIMIT:g} to {LIMIT:g}, got {found}")
    return value


Number = Annotated[int | float, PlainValidator(_check_number)]


class Numbers(StrictModel):
    """A range of integers, or of numbers if a bound has a decimal point; bounds are included."""

    low: Number
    high: Number
    log: bool = False
    """Whether values are even in their logarithm."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, more than high, {self.high:g}. Swap them.")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}, which has no logarithm. Use one above 0.")
        return self

    @property
    def is_ordered(self) -> bool:
        """Whether neighbouring positions are similar values."""
        return True

    @property
    def is_single(self) -> bool:
        """Whether there is only one value, and so nothing to decide."""
        return self.low == self.high

    @property
    def ends(self) -> tuple[Decision, ...]:
        """The decisions to validate, the default first."""
        return (self.low, self.high) if self._is_integer else (float(self.low), float(self.high))

    def at(self, position: float) -> Decision:
        """Return the value at a position in [0, 1]; equal intervals are equally likely values."""
        top = self.high + 1 if self._is_integer else self.high
        if self.log:
            value = exp(log(self.low) + position * (log(top) - log(self.low)))
        else:
            value = self.low + position * (top - self.low)
        if self._is_integer:
            return min(max(floor(value), self.low), self.high)
        step = min(value, self.high - self.low) if self.log else self.high - self.low
        rounded = round(value, DIGITS - floor(log10(step))) if step else value
        return float(min(max(rounded, self.low), self.high))

    def find(self, decision: Decision) -> float:
        """Return the position of a value: `at(find(value))` is the value."""
        if self.is_single:
            return 0.0
        top, middle = (self.high + 1, 0.5) if self._is_integer else (self.high, 0)
        if self.log:
            return (log(decision + middle) - log(self.low)) / (log(top) - log(self.low))
        return (decision + middle - self.low) / (top - self.low)

    def includes(self, decision: Any) -> bool:
        """Return whether a value is in the range, and an integer if the bounds are."""
        is_number = isinstance(decision, int if self._is_integer else int | float)
        return is_number and not isinstance(decision, bool) and self.low <= decision <= self.high

    @property
    def _is_integer(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Choices:
    """Alternatives; a decision is the index of one."""

    options: tuple[Any, ...]
    """JSON, in which there may be further ranges."""

    @property
    def is_ordered(self) -> bool:
        """Whether all alternatives are numbers, so that neighbouring positions are similar."""
        return all(type(option) in (int, float) for option in self.options)

    @property
    def is_single(self) -> bool:
        """Whether there is only one alternative, and so nothing to decide."""
        return len(self.options) == 1

    @property
    def ends(self) -> tuple[Decision, ...]:
        """The decisions to validate, the default first: all."""
        return tuple(range(len(self.options)))

    def at(self, position: float) -> Decision:
        """Return the index of the alternative at a position in [0, 1]; numbers are in order."""
        count = len(self.options)
        return self._order[min(floor(position * count), count - 1)]

    def find(self, decision: Decision) -> float:
        """Return the position of an alternative: `at(find(index))` is the index."""
        return (self._order.index(int(decision)) + 0.5) / len(self.options)

    def includes(self, decision: Any) -> bool:
        """Return whether there is such an alternative."""
        return type(decision) is int and 0 <= decision < len(self.options)

    @property
    def _order(self) -> list[int]:
        indices = list(range(len(self.options)))
        return sorted(indices, key=self.options.__getitem__) if self.is_ordered else indices


Range = Numbers | Choices
Choose = Callable[[str, Range], Decision]
"""Return a decision for a path in a space, as in "model.layers.3.out_channels"."""


def parse_ranges(value: Any, types: Sequence[Any], path: tuple[str, ...] = ()) -> Any:
    """Return the content of a space with a `Numbers` or `Choices` for every range.

    A table with `low` and `high`, or with `choices`, is a range, and so is a list where none of the
    types is a list.

    Args:
        value: JSON.
        types: of a preset at this place, without constraints; none where anything may be.
        path: of this place.

    Raises:
        ValueError: a range is invalid; the message names the place.
    """
    match value:
        case {"choices": list(options)} if path and len(value) == 1:
            return _parse_choices(options, types, path)
        case dict() if path and not {"low", "high", "choices"}.isdisjoint(value):
            return _parse_numbers(value, path)
        case dict():
            return {
                key: parse_ranges(inner, _below(types, key), (*path, key))
                for key, inner in value.items()
            }
        case list() if any(get_origin(each) is tuple for each in types):
            return [
                parse_ranges(inner, _below(types, str(index)), (*path, str(index)))
                for index, inner in enumerate(value)
            ]
        case list():
            return _parse_choices(value, types, path)
    return value


def _parse_choices(options: list[Any], types: Sequence[Any], path: tuple[str, ...]) -> Choices:
    if not options:
        raise ValueError(f"{'.'.join(path)}: there is nothing to choose from. Add an alternative.")
    return Choices(
        tuple(
            parse_ranges(option, types, (*path, str(index))) for index, option in enumerate(options)
        )
    )


def _parse_numbers(table: dict[str, Any], path: tuple[str, ...]) -> Numbers:
    place = ".".join(path)
    if "choices" in table:
        raise ValueError(f"{place}: choices must be a list, and the only key of its table")
    try:
        return Numbers.model_validate(table)
    except ValidationError as error:
        reason = describe_fault(error, Numbers, table)
        separator = "." if error.errors()[0]["loc"] else ": "
        raise ValueError(f"{place}{separator}{reason}") from error


def _below(types: Sequence[Any], key: str) -> list[Any]:
    """Return the types of a field, or of the items of a list, of any of these types."""
    found = list[Any]()
    for each in types:
        if isinstance(each, type) and issubclass(each, BaseModel):
            inner = [each.model_fields[key].annotation] if key in each.model_fields else []
        else:
            inner = [*get_args(each)] if get_origin(each) is tuple else []
        for option in (option for annotation in inner for option in list_types(annotation)):
            if option not in found:  # two kinds of layers have layers in them: 2, 4, 8, …
                found.append(option)
    return found


def list_types(annotation: Any) -> list[Any]:
    """Return the types of a union, without their constraints."""
    if get_origin(annotation) is Annotated:
        return list_types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [each for option in get_args(annotation) for each in list_types(option)]
    return [annotation]


class Settler:
    """The walk through parsed content that decides every range, once."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.decisions: dict[str, Decision] = {}
        self.written: dict[tuple[str, ...], str] = {}
        """Places in the space, by those in the preset that is made."""

    def settle(self, node: Any, path: tuple[str, ...] = (), place: str = "") -> Any:
        """Return the content with a value for every range; None where it is removed.

        Args:
            node: parsed content.
            path: of this place in the preset.
            place: the same in the space, where alternatives have a number.
        """
        if isinstance(node, dict | list) or path not in self.written:
            self.written[path] = place
        match node:
            case Numbers():
                return node.at(0) if node.is_single else self._decide(node, place)
            case Choices():
                index = 0 if node.is_single else int(self._decide(node, place))
                option = node.options[index]
                is_removed = isinstance(option, str) and option.lower() in REMOVING
                return None if is_removed else self.settle(option, path, f"{place}.{index}")
            case dict():
                return self._settle_table(node, path, place)
            case list():
                return self._settle_list(node, path, place)
        return node

    def _decide(self, range_: Range, place: str) -> Decision:
        decision = self.choose(place, range_)
        if not range_.includes(decision):
            raise ValueError(f"{place}: {decision!r} is not in its range")
        self.decisions[place] = decision
        return decision

    def _settle_table(self, node: dict[str, Any], path: tuple[str, ...], place: str) -> Any:
        table = dict[str, Any]()
        for key, inner in node.items():
            value = self.settle(inner, (*path, key), f"{place}.{key}".lstrip("."))
            if value is not None:
                table[key] = value
        return table

    def _settle_list(self, node: list[Any], path: tuple[str, ...], place: str) -> list[Any]:
        items = list[Any]()
        for index, inner in enumerate(node):
            here = (*path, str(len(items)))
            self.written.pop(here, None)
            item = self.settle(inner, here, f"{place}.{index}")
            if item is not None:
                items.append(item)
        return items
