"""Parts of C expressions, without what adds nothing, as in "0 * 3 + x"."""

from mnistcli.export.integer import Convolution

INDENT = "    "


def shift_to(position: str, kernel: str, convolution: Convolution, extent: int) -> str:
    """Return the input's row or column that a kernel's row or column applies to."""
    base = position if convolution.stride == 1 else f"{wrap(position)} * {convolution.stride}"
    step = kernel if convolution.dilation == 1 else f"{kernel} * {convolution.dilation}"
    terms = [term for term in (base if position != "0" else "", step if extent > 1 else "") if term]
    edge = f" - {convolution.padding}" if convolution.padding else ""
    return f"{' + '.join(terms) or '0'}{edge}"


def divide(per_group: int) -> str:
    """Return the group of a channel."""
    return "channel" if per_group == 1 else f"channel / {per_group}"


def join(outer: str, count: int, inner: str) -> str:
    """Return outer · count + inner, where inner is one of `count`."""
    if count == 1:
        return outer
    return inner if outer == "0" else f"{wrap(outer)} * {count} + {inner}"


def move_by(array: str, place: str, count: int) -> str:
    """Return the address of a place of so many elements."""
    return array if place == "0" else f"{array} + {multiply(place, count)}"


def multiply(expression: str, count: int) -> str:
    """Return expression · count."""
    return expression if count == 1 or expression == "0" else f"{wrap(expression)} * {count}"


def wrap(expression: str) -> str:
    """Return an expression as it can stand in a product."""
    return f"({expression})" if " " in expression else expression


def write_number(value: int) -> str:
    """Return a number of 32 bits; the largest one has a name."""
    return "INT32_MAX" if value == 2**31 - 1 else str(value)
