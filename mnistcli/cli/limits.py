"""Times and sizes that options take: a number with its unit."""

import re

from mnistcli.errors import UsageError

TIMES = {"s": 1, "m": 60, "h": 3_600}
SIZES = {"MiB": 1 << 20, "GiB": 1 << 30, "MB": 10**6, "GB": 10**9}
MAX_NUMBER = 100_000
NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?([A-Za-z]+)", re.ASCII)


def parse_time(option: str, text: str) -> float:
    """Return the seconds of a time such as 30s, 5m or 1h.

    Raises:
        UsageError: it is no such time, or out of range.
    """
    return _parse(option, text, TIMES, "30s, 5m or 1h")


def parse_size(option: str, text: str) -> float:
    """Return the bytes of a size such as 512MiB or 4GiB.

    Raises:
        UsageError: it is no such size, or out of range.
    """
    return _parse(option, text, SIZES, "512MiB or 4GiB")


def _parse(option: str, text: str, units: dict[str, int], examples: str) -> float:
    found = NUMBER.fullmatch(text.strip())
    factor = units.get(found[2]) if found else None
    if not found or not factor or not 0 < float(found[1]) <= MAX_NUMBER:
        raise UsageError(f'invalid {option}: "{text}". Write a number with a unit: {examples}.')
    return float(found[1]) * factor
