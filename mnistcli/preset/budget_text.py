"""Budgets as text, such as "parameters<20000, accuracy>=99.4, epochs<20"."""

import re
from collections.abc import Collection
from decimal import Decimal
from typing import NoReturn

from mnistcli.errors import PresetError, suggest
from mnistcli.preset.budget import BYTES, RULES, Budget, Comparison, Rule
from mnistcli.preset.values import LIMIT, MAX_SECONDS

EXAMPLE = "parameters<20000, accuracy>=99.4, epochs<20"
FRACTIONS = {"test_accuracy", "train_fraction"}
"""Figures that are written in per cent."""
NAMES = list(dict.fromkeys(rule.name for rule in RULES))
FIELDS = {(rule.figure, rule.comparison): rule.field for rule in RULES}
SIGNS = {"≤": "<=", "≥": ">="}
FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}
BYTE_FACTORS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20}
"""Units of bytes, in lower case; "kB" is 1,000 bytes for some and 1,024 for others."""
SPACE = re.compile(r"\s*")
NAME = re.compile(r"[^\W\d][\w.-]*")
SIGN = re.compile(r"[<>=≤≥!]+")
NUMBER = re.compile(r"\d+(?:_\d+)*(?:\.\d+)?|\.\d+", re.ASCII)
UNIT = re.compile(r"\s*(?:%|(?i:(?:[km]i)?b)\b)|[^\W\d_]+")
COMMA = re.compile(",")
WORD = re.compile(r"[^\s,]{1,20}|,")
CUT_NUMBER = re.compile(r"([\d_]+)\s*,\s*(\d+)$", re.ASCII)
"""A number that a comma cuts in two, as in 20,000 or 99,4."""
SHOWN = 80
"""Max number of characters that an error quotes."""


def parse_budget(text: str) -> Budget:
    """Return the budget that a text describes: limits, separated by commas.

    Accuracy is in per cent; `data` is in per cent or a number of images; `k` and `M` stand for
    thousands and millions. `flash` and `ram` are in bytes, KiB (1,024 bytes) or MiB.

    Raises:
        PresetError: the text is not a budget; the message says at which character.
    """
    reader = _Reader(text)
    limits: dict[str, int | float] = {}
    names: set[str] = set()
    while not names or reader.read_comma():
        name = reader.read_name(names)
        field, value = reader.read_limit(name, reader.read_comparison(name))
        limits[field] = value
        names.add(name)
    return Budget.model_validate(limits)


def format_budget(budget: Budget) -> str:
    """Return the text that `parse_budget` reads as this budget; empty if it has no limits."""
    return ", ".join(
        f"{rule.name}{rule.comparison}{_format_value(rule, value)}"
        for rule in RULES
        if (value := getattr(budget, rule.field)) is not None
    )


def _format_value(rule: Rule, value: float) -> str:
    if isinstance(value, int):
        is_round = rule.figure in BYTES and value and value % BYTE_FACTORS["kib"] == 0
        return f"{value // BYTE_FACTORS['kib']}KiB" if is_round else str(value)
    number = Decimal(repr(abs(value)))
    if rule.figure not in FRACTIONS:
        return f"{number.normalize():f}"
    return _in_percent(number, rule.name)


def _in_percent(fraction: Decimal, name: str) -> str:
    """Return a fraction in per cent; the sign is left out of an accuracy that needs none."""
    percent = f"{(100 * fraction).normalize():f}"
    return percent if name == "accuracy" and 100 * fraction > 1 else f"{percent}%"


def _interpret(name: str, comparison: str, number: str, unit: str) -> tuple[str, int | float]:
    """Return the figure that a limit is about, and its value.

    Raises:
        ValueError: the number or its unit does not suit the figure.
    """
    value = Decimal(number.replace("_", ""))
    match name, unit:
        case "accuracy", "" if value <= 1:
            right = f"{name}{comparison}{_in_percent(value, name)}"
            raise ValueError(f"accuracy is in per cent. Write {right} for {number}.")
        case "accuracy", "" | "%":
            return "test_accuracy", _read_percent(name, value)
        case "data", "%":
            return "train_fraction", _read_percent(name, value)
        case "data", "" if 0 < value < 1:
            right = f"{name}{comparison}{_in_percent(value, name)}"
            raise ValueError(f"data is in per cent or images. Write {right} for {number}.")
        case "seconds", "":
            if not 0 < value <= MAX_SECONDS:
                raise ValueError(f"seconds must be above 0 and at most {MAX_SECONDS:,.0f}.")
            return "train_seconds", float(value)
        case "parameters" | "macs" | "epochs" | "data", "" | "k" | "M":
            if "." in number and not unit:
                raise ValueError(f"{name} takes a whole number: got {number}.")
            figure = "train_examples" if name == "data" else name
            return figure, _read_whole(name, value * FACTORS[unit])
        case "flash" | "ram", _ if unit.lower() in BYTE_FACTORS:
            return name, _read_whole(name, value * BYTE_FACTORS[unit.lower()])
        case "flash" | "ram", _:
            raise ValueError(f"{name} is in bytes. Write B, KiB (1,024 bytes) or MiB for {unit}.")
    raise ValueError(f'the unit "{unit}" cannot be used with {name}.')


def _read_percent(name: str, value: Decimal) -> float:
    if value > 100:
        raise ValueError(f"{name} can be at most 100 %.")
    return float(value / 100)


def _read_whole(name: str, count: Decimal) -> int:
    if count > LIMIT:
        raise ValueError(f"{name} can be at most {LIMIT:,}.")
    if count % 1:
        raise ValueError(f"{name} takes a whole number: got {count.normalize():f}.")
    return int(count)


class _Reader:
    """A text that is read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def read_name(self, known: Collection[str]) -> str:
        """Read the name of a figure that is not among those `known`."""
        start = self._skip_space()
        found = self._match(NAME)
        name = found.lower()
        if not found:
            self._refuse_start(start, is_first=not known)
        if name not in NAMES:
            self._fail(start, f'unknown figure "{found}". {suggest(name, NAMES)}')
        if name in known:
            self._fail(start, f"{name} is limited twice. Give one limit for each figure.")
        return name

    def read_comparison(self, name: str) -> Comparison:
        """Read a comparison that suits the figure."""
        start = self._skip_space()
        sign = self._match(SIGN)
        allowed = list(dict.fromkeys(rule.comparison for rule in RULES if rule.name == name))
        wanted = f"expected {' or '.join(allowed)} after {name}"
        for comparison in allowed:
            if comparison == SIGNS.get(sign, sign):
                return comparison
        if start == len(self._text):
            example = f'"{name}{allowed[0]}…"'
            self._fail(
                start, f"{wanted}. Quote the budget, as in {example}: a shell reads < itself."
            )
        self._fail(start, f"{wanted}, found {self._quote(start)}.")

    def read_limit(self, name: str, comparison: Comparison) -> tuple[str, int | float]:
        """Read a number, and return the field of the budget and its value."""
        start = self._skip_space()
        number = self._match(NUMBER)
        if not number:
            self._fail(start, f"expected a number, found {self._quote(start)}.")
        unit = self._match(UNIT).strip()
        try:
            figure, value = _interpret(name, comparison, number, unit)
        except ValueError as error:
            self._fail(start, str(error))
        return FIELDS[figure, comparison], value

    def read_comma(self) -> bool:
        """Return whether a comma comes next, and not the end."""
        start = self._skip_space()
        if start == len(self._text):
            return False
        if not self._match(COMMA):
            self._fail(start, f"expected a comma or the end, found {self._quote(start)}.")
        return True

    def _refuse_start(self, start: int, *, is_first: bool) -> NoReturn:
        """Refuse what is not the name of a figure."""
        if is_first and start == len(self._text):
            self._fail(0, f'it has no limits. Write, for example, "{EXAMPLE}".')
        if number := CUT_NUMBER.search(self._text[: self._place] + self._match(NUMBER)):
            first, second = number.groups()
            right = f"{first}{second}" if len(second) == 3 else f"{first}.{second}"
            self._fail(start, f"a comma separates limits. Write {right}.")
        found = self._quote(start)
        self._fail(start, f"expected a figure ({', '.join(NAMES)}), found {found}.")

    def _skip_space(self) -> int:
        self._match(SPACE)
        return self._place

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Read what the pattern matches, perhaps nothing."""
        found = pattern.match(self._text, self._place)
        if not found:
            return ""
        self._place = found.end()
        return found[0]

    def _quote(self, start: int) -> str:
        """Return the word at a place, as an error names it."""
        found = WORD.match(self._text, start)
        return f'"{found[0]}"' if found else "the end"

    def _fail(self, start: int, reason: str) -> NoReturn:
        first = max(0, min(start - SHOWN // 2, len(self._text) - SHOWN))
        last = first + SHOWN
        before, after = "…" if first else "", "…" if last < len(self._text) else ""
        shown = f"{before}{self._text[first:last]}{after}"
        raise PresetError(f'invalid --budget "{shown}" at character {start + 1}: {reason}')
