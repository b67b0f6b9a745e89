"""stdout and stderr that no character and no closed terminal can break."""

import codecs
import io
import os
import sys
from typing import Any

ERRORS = "mnistcli.ascii"
SUBSTITUTES = {
    "→": "->", "·": "-", "…": "...", "×": "x", "–": "-", "—": "-", "±": "+-", "≥": ">=", "≤": "<=",
    "▀": '"', "▄": "_", "█": "#", "─": "-", "━": "-", "╸": "-", "╺": "-", "│": "|", "┃": "|",
    "═": "=", "•": "*", "◆": "@", "²": "2", "µ": "u", "“": '"', "”": '"', "‘": "'", "’": "'",
    "\xa0": " ",
}  # fmt: skip
"""ASCII for the characters that mnistcli and rich print."""
BOX, BLOCKS = range(0x2500, 0x2580), range(0x2580, 0x25A0)
ONE_WIDER = ("≥", "≤")
"""Signs before a figure, whose space makes room so that columns stay in line."""


def prepare_streams() -> None:
    """Print ASCII for what an encoding lacks, and let no closed terminal end a training."""
    if sys.stderr is None:  # as with 2>&-
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    elif os.name == "posix" and isinstance(sys.stderr, io.TextIOWrapper) and _has_file(sys.stderr):
        raw = io.BufferedWriter(_Forgiving(sys.stderr.fileno(), "wb", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


class _Forgiving(io.FileIO):
    """A file whose reader may be gone: what it would have read is dropped."""

    def write(self, content: Any) -> int:
        """Write `content` if possible, and say that it was written."""
        try:
            return super().write(content) or len(content)
        except OSError:
            return len(content)


def _has_file(stream: io.TextIOWrapper) -> bool:
    try:
        return stream.fileno() >= 0
    except OSError:
        return False


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for what cannot be encoded, and where to continue."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, end = error.object, error.end
    found = "".join(map(_spell, text[error.start : end]))
    return found, end + (text[end - 1] in ONE_WIDER and text[end : end + 1] == " ")


def _spell(character: str) -> str:
    if known := SUBSTITUTES.get(character):
        return known
    return "+" if ord(character) in BOX else "#" if ord(character) in BLOCKS else "?"


codecs.register_error(ERRORS, _substitute)
